"""One corpus for all sites: a person's own records, dealt to the sites of a scenario.

To try a consortium before there is one: everything lies in one place here, which the records of
a real consortium never do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.scenario import Expect, Scenario
from sites.data.iob2_files import SIDES, as_sentences
from sites.data.source import DataSource, IobFiles, TableFile, TextFolder
from sites.data.tables import FORMATS, read
from sites.data.texts import read_texts, require_texts
from sites.data.validation import MissingColumns
from sites.schema.tables import ClassLabel
from sites.schema.texts import AnySchema, EntitySchema, MultiLabel, NotesSchema
from sites.text.iob2_tags import OUTSIDE

Names: TypeAlias = "pd.Series[str]"
Declared: TypeAlias = tuple[str, ...]

SITE = "site"
SPLIT = "split"


class UndividedCorpus(ConsortiumError, ValueError):
    """A corpus cannot be dealt to the sites of a scenario."""

    code = "undivided-corpus"


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


def with_corpus(
    scenario: Scenario, corpus: Corpus, *, seed: int
) -> tuple[Scenario, tuple[str, ...]]:
    """Return the scenario with a person's own corpus for its records, and what to tell of it.

    Guarantee: each record is at one site, and a person's records are all at the same one, unless
    the column `site` says otherwise. Nothing is expected of what comes out.

    Raises:
        UndividedCorpus: A site would have no records, or the column names one that is not there.
        ConsortiumError: The records are not what the scenario reads.
    """
    corpus, table = fitted(corpus, scenario.table)
    _require(corpus.records, table.person)
    persons = corpus.records[table.person].astype(str)
    owner = _dealt(corpus.records, persons, scenario.sites, seed=seed)
    made = replace(
        scenario,
        table=table,
        story=f"{len(corpus.records)} records that a person brought, dealt to the sites.",
        dataset=None,
        records=lambda: corpus.records,
        split=corpus.split,
        site_of_row=lambda frame: owner.loc[frame.index],
        expect=Expect(),
    )
    return made, corpus.told


def read_corpus(
    source: DataSource, columns: Mapping[str, str], *, sentences: bool = False
) -> Corpus:
    """Return the records of a source.

    A directory whose files are named `train`, `test` and the like is one corpus, on the sides
    that their names say; `dev` is left out. Without both sides the split is left to the seed.

    Args:
        source: A table, a query, or a directory.
        columns: What the source calls a column, by what it shall be called.
        sentences: Whether files hold annotated sentences.

    Raises:
        MissingColumns: There is no such column.
        ConsortiumError: Nothing could be read.
    """
    frame, split = _read(as_sentences(source) if sentences else source)
    absent = sorted(set(columns.values()) - set(frame.columns))
    if absent:
        have = sorted(map(str, frame.columns))
        raise MissingColumns(f"there is no column {absent} among {have}", columns=len(absent))
    named = frame.rename(columns={theirs: ours for ours, theirs in columns.items()})
    return _sided(named, split) if split == SPLIT else Corpus(named, split)


def _sided(frame: pd.DataFrame, split: str) -> Corpus:
    """Return a corpus whose files said their side: those of `dev` are left out."""
    used = frame[frame[split] != "dev"]
    left_out = len(frame) - len(used)
    told = (f"{left_out} records of dev are used for nothing",) if left_out else ()
    return Corpus(used, split if {*used[split]} == {"train", "test"} else None, told)


def fitted(corpus: Corpus, table: AnySchema) -> tuple[Corpus, AnySchema]:
    """Return a corpus of texts and the schema that it and a scenario's schema make.

    Classes, or types of entities, are those of the corpus if it has one that the schema does not
    declare: who brings all records may declare what they hold, as members of a consortium would
    together. A declared type of which there is none is dropped, as figures of nothing would be.
    Without a column of persons every record counts as a person of its own.

    Raises:
        MissingColumns: There is no text, no label or no tag.
        BadTexts: A text is empty; the first rows are named.
        UndividedCorpus: There are fewer than two classes.
    """
    match table:
        case NotesSchema():
            require_texts(corpus.records, text=table.text, label=None, classes=())
            _require(corpus.records, table.label.column)
            found, declared = _found(corpus.records[table.label.column], table.label)
            now = _declared(found, declared)
            fit: AnySchema = table.model_copy(update={"label": _relabelled(table.label, now)})
        case EntitySchema():
            corpus = _with_documents(corpus, table.person)
            _require(corpus.records, "tokens", "tags")
            found = [tag[2:] for tags in corpus.records["tags"] for tag in tags if tag != OUTSIDE]
            declared, now = table.types, _occurring(_declared(found, table.types), found)
            fit = table.model_copy(update={"types": now})
        case _:
            return corpus, table
    told = () if now == declared else (f"declared from what was brought: {', '.join(now)}",)
    return _with_persons(corpus, table.person, told=told), fit


def _found(cells: "pd.Series[Any]", label: ClassLabel | MultiLabel) -> tuple[list[str], Declared]:
    """Return the classes or labels in a column, and those that are declared."""
    if isinstance(label, ClassLabel):
        return [str(cell) for cell in cells], label.classes
    return [item for cell in cells for item in _labels(cell, label)], label.labels


def _relabelled(label: ClassLabel | MultiLabel, names: Declared) -> ClassLabel | MultiLabel:
    if isinstance(label, MultiLabel):
        return label.model_copy(update={"labels": names})
    if len(names) < 2:
        raise UndividedCorpus(f"all records are {', '.join(names)}: two classes are needed")
    return label.model_copy(update={"classes": names})


def _labels(cell: object, label: MultiLabel) -> list[str]:
    """Return the labels of a text, from a list or from a text that lists them."""
    given = str(cell).split(label.separator) if isinstance(cell, str) else cell
    items = given if isinstance(given, list | tuple | np.ndarray) else []
    return [text for item in items if (text := str(item).strip())]


def _declared(found: Iterable[str], declared: Declared) -> Declared:
    """Return what is declared if it covers what was found, else what was found."""
    held = {*found}
    return declared if held <= {*declared} else tuple(sorted(held))


def _occurring(declared: Declared, found: Iterable[str]) -> Declared:
    """Return the declared types that were found; all, if none was."""
    held = {*found}
    return tuple(name for name in declared if name in held) or declared


def _require(frame: pd.DataFrame, *columns: str) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        have = sorted(map(str, frame.columns))
        raise MissingColumns(
            f"the records lack {absent}; they have {have}: say --data column:OURS=THEIRS",
            columns=len(absent),
        )


def _with_documents(corpus: Corpus, person: str) -> Corpus:
    """Return a corpus whose documents stand in the column that the schema names."""
    records = corpus.records
    return (
        corpus
        if person in records
        else replace(corpus, records=records.rename(columns={"person": person}))
    )


def _with_persons(corpus: Corpus, person: str, *, told: tuple[str, ...]) -> Corpus:
    records = corpus.records
    if person not in records.columns:
        records = records.assign(**{person: [str(row) for row in range(len(records))]})
        told = (*told, f"there is no column '{person}': every record counts as a person of its own")
    return replace(corpus, records=records, told=(*corpus.told, *told))


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
            return read_texts(source), source.split


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
