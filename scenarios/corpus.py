"""One corpus for all sites: a person's own records, dealt to the sites of a scenario.

To try a consortium before there is one: everything lies in one place here, which the records of
a real consortium never do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.scenario import Expect, Scenario
from sites.data import FORMATS, read
from sites.iob import SIDES
from sites.source import DataSource, IobFiles, TableFile, TextFolder
from sites.text_data import read_texts
from sites.validation import MissingColumns

Names: TypeAlias = "pd.Series[str]"

SITE = "site"
SPLIT = "split"


class UndividedCorpus(ConsortiumError, ValueError):
    """A corpus cannot be dealt to the sites of a scenario."""


@dataclass(frozen=True)
class Corpus:
    """Records of all sites together.

    Args:
        records: One a row.
        split: The column that says their side, if they came with one.
        told: What a person should know of how they were read.
    """

    records: pd.DataFrame
    split: str | None
    told: tuple[str, ...] = ()


def with_corpus(scenario: Scenario, corpus: Corpus, *, seed: int) -> Scenario:
    """Return the scenario with a person's own corpus in the place of its records.

    Guarantee: each record is at one site, and a person's records are all at the same one, unless
    the column `site` says otherwise. Nothing is expected of what comes out.

    Raises:
        UndividedCorpus: A site would have no records, or the column names one that is not there.
    """
    persons = corpus.records[scenario.table.person].astype(str)
    owner = _dealt(corpus.records, persons, scenario.sites, seed=seed)
    return replace(
        scenario,
        story=f"{len(corpus.records)} records that a person brought, dealt to the sites.",
        dataset=None,
        records=lambda: corpus.records,
        split=corpus.split,
        site_of_row=lambda frame: owner.loc[frame.index],
        expect=Expect(),
    )


def read_corpus(source: DataSource, columns: Mapping[str, str]) -> Corpus:
    """Return the records of a source.

    A directory whose files are tables named `train`, `test` and the like is one corpus, on the
    sides that their names say; `dev` is on neither.

    Args:
        source: A table, a query, or a directory.
        columns: What the source calls a column, by what it shall be called.

    Raises:
        MissingColumns: There is no such column.
        ConsortiumError: Nothing could be read.
    """
    frame, split = _read(source)
    absent = sorted(set(columns.values()) - set(frame.columns))
    if absent:
        have = sorted(map(str, frame.columns))
        raise MissingColumns(f"there is no column {absent} among {have}", columns=len(absent))
    return Corpus(frame.rename(columns={theirs: ours for ours, theirs in columns.items()}), split)


def _read(source: DataSource) -> tuple[pd.DataFrame, str | None]:
    match source:
        case TextFolder(path=path) if path.is_dir() and (tables := _tables_by_side(path)):
            parts = [
                read(TableFile(path=file)).assign(**{SPLIT: side}) for file, side in tables.items()
            ]
            return pd.concat(parts, ignore_index=True), SPLIT
        case IobFiles():
            return read_texts(source), SPLIT if source.split else None
        case _:
            return read_texts(source).reset_index(drop=True), source.split


def _tables_by_side(folder: Path) -> dict[Path, str]:
    files = sorted(file for file in folder.iterdir() if file.suffix in FORMATS)
    return {file: SIDES[file.stem] for file in files if file.stem in SIDES}


def _dealt(frame: pd.DataFrame, persons: Names, sites: Sequence[str], *, seed: int) -> Names:
    """Return the site of each record: by the column `site`, else by a seeded draw of persons."""
    if SITE in frame.columns:
        owner = frame[SITE].astype(str)
        unknown = sorted(set(owner) - set(sites))
        if unknown:
            raise UndividedCorpus(
                f"the column '{SITE}' names {unknown[:5]}, and the sites are {', '.join(sites)}",
                sites=len(unknown),
            )
    else:
        names = np.unique(persons.to_numpy(dtype=str))
        order = np.random.default_rng(seed).permutation(len(names))
        site = {str(names[n]): sites[place % len(sites)] for place, n in enumerate(order)}
        owner = persons.map(site)
    empty = [name for name in sites if name not in set(owner)]
    if empty:
        raise UndividedCorpus(
            f"{', '.join(empty)} would have no records: bring some for each of {len(sites)} sites",
            sites=len(empty),
        )
    return owner
