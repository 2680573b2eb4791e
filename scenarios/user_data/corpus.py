"""One corpus for all sites: a user's own records, divided among the sites of a scenario.

This is for trying a consortium out before there is one. Here all records are in one place, which
those of a real consortium never are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError
from scenarios.scenario import Scenario
from sites.data.agreed_columns import agreed_columns
from sites.data.cells import cell_text
from sites.data.formats.dataset_folders import is_dataset
from sites.data.iob2_files import sentence_source
from sites.data.record_columns import person_violations, persons_of
from sites.data.source import SIDES, DataSource, SentenceFiles, TableFile, TextFolder
from sites.data.tables import FORMATS, read_table
from sites.data.texts import read_texts, require_texts
from sites.data.validation import MissingColumns
from sites.schema.tables import ClassLabel
from sites.schema.texts import AnySchema, EntitySchema, MultiLabel, NotesSchema
from sites.text.iob2_tags import OUTSIDE

Names: TypeAlias = "pd.Series[str]"
Declared: TypeAlias = tuple[str, ...]

SITE = "site"
SPLIT = "split"


class UndividedCorpus(ConsortiumError, ValueError, code="undivided-corpus"):
    """A corpus cannot be divided among the sites of a scenario."""


@dataclass(frozen=True)
class Corpus:
    """The records of all sites together.

    Args:
        records: One record a row.
        split: The column that says `train` or `test`, if the records came with one.
        notes: What the user should know about how they were read.
    """

    records: pd.DataFrame
    split: str | None
    notes: tuple[str, ...] = ()


def scenario_with_corpus(
    scenario: Scenario, corpus: Corpus, *, seed: int
) -> tuple[Scenario, tuple[str, ...]]:
    """Return the scenario with a user's own corpus as its records, and notes about it.

    Guarantee: each record is at one site, and all records of a person are at the same site, unless
    the column `site` says otherwise. The scenario expects no particular result any more.

    Raises:
        UndividedCorpus: A site would have no records, the column `site` names an unknown one, or
            it cannot be told whose a record is.
        ConsortiumError: The records do not fit the scenario.
    """
    corpus, table = fit_schema(corpus, scenario.table)
    _require_columns(corpus.records, table.person, persons=True)
    unclear = person_violations(corpus.records[table.person])
    if unclear:
        raise UndividedCorpus(
            "; ".join(map(str, unclear)), records=sum(one.count for one in unclear)
        )
    persons = persons_of(corpus.records[table.person])
    owner = _assign_sites(corpus.records, persons, scenario.sites, seed=seed)
    made = replace(
        scenario,
        table=table,
        story=f"{len(corpus.records)} records of your own, divided among the sites.",
        dataset=None,
        records=lambda: corpus.records,
        own_records=True,
        synthetic=False,
        split=corpus.split,
        site_of_row=lambda frame: owner.loc[frame.index],
    )
    return made, corpus.notes


def read_corpus(source: DataSource, table: AnySchema) -> Corpus:
    """Return the records of a source.

    A directory whose files are named `train`, `test` and the like is one corpus: a file's name
    decides the side of its records, and `dev` is left out. Unless there are both training and
    test records, the seed decides the split.

    Args:
        source: A table, a query, or a directory, with what was said of how to read it.
        table: The scenario's schema; if it is one of sentences, the files hold annotated ones.

    Raises:
        BadReading: A word names no column that the schema knows.
        MissingColumns: The source lacks a column that a word names.
        ConsortiumError: The source cannot be read.
    """
    sentences = isinstance(table, EntitySchema)
    frame, split = _read_source(sentence_source(source) if sentences else source)
    named = agreed_columns(frame, source.reading, table, beside=(SITE, SPLIT))
    corpus = Corpus(named, split)
    return _drop_dev_records(corpus) if split == SPLIT else corpus


def _drop_dev_records(corpus: Corpus) -> Corpus:
    """Return a corpus of training and test records, without those of `dev`."""
    used = corpus.records[corpus.records[SPLIT] != "dev"]
    left_out = len(corpus.records) - len(used)
    notes = (f"{left_out} records of dev are not used",) if left_out else ()
    split = SPLIT if {*used[SPLIT]} == {"train", "test"} else None
    return Corpus(used, split, (*corpus.notes, *notes))


def fit_schema(corpus: Corpus, table: AnySchema) -> tuple[Corpus, AnySchema]:
    """Return a corpus of texts, and the scenario's schema fitted to it.

    If the corpus has a class, or an entity type, that the schema does not declare, those of the
    corpus replace the declared ones: whoever brings all records may declare what is in them, as
    the members of a consortium would together. A declared entity type that does not occur is
    dropped, as nothing could be measured on it. Without a person column every record counts as a
    person of its own.

    Raises:
        MissingColumns: The column of texts, labels, tokens or tags is absent.
        BadTexts: A text is empty; the error names the first rows.
        UndividedCorpus: There are fewer than two classes.
    """
    match table:
        case NotesSchema():
            require_texts(corpus.records, text=table.text, label=None, classes=())
            _require_columns(corpus.records, table.label.column)
            found, declared = _found_and_declared(corpus.records[table.label.column], table.label)
            now = _covering_names(found, declared)
            fit: AnySchema = table.model_copy(update={"label": _replace_classes(table.label, now)})
        case EntitySchema():
            corpus = _name_person_column(corpus, table.person)
            _require_columns(corpus.records, "tokens", "tags")
            # A tag is B- or I- and the type of its entity.
            found = [tag[2:] for tags in corpus.records["tags"] for tag in tags if tag != OUTSIDE]
            declared, now = (
                table.types,
                _drop_absent_types(_covering_names(found, table.types), found),
            )
            fit = table.model_copy(update={"types": now})
        case _:
            return corpus, table
    notes = () if now == declared else (f"classes taken from your records: {', '.join(now)}",)
    return _add_person_column(corpus, table.person, notes=notes), fit


def _found_and_declared(
    cells: "pd.Series[Any]", label: ClassLabel | MultiLabel
) -> tuple[list[str], Declared]:
    """Return the classes or labels in a column, and the declared ones."""
    if isinstance(label, ClassLabel):
        return [cell_text(cell) for cell in cells], label.classes
    return [item for cell in cells for item in _labels_in_cell(cell, label)], label.labels


def _replace_classes(label: ClassLabel | MultiLabel, names: Declared) -> ClassLabel | MultiLabel:
    if isinstance(label, MultiLabel):
        return label.model_copy(update={"labels": names})
    if len(names) < 2:
        raise UndividedCorpus(
            f"all records have the class {', '.join(names)}: at least two classes are needed"
        )
    return label.model_copy(update={"classes": names})


def _labels_in_cell(cell: object, label: MultiLabel) -> list[str]:
    """Return the labels in a cell, which is a list or a text with separators."""
    given = str(cell).split(label.separator) if isinstance(cell, str) else cell
    items = given if isinstance(given, list | tuple | np.ndarray) else []
    return [text for item in items if (text := str(item).strip())]


def _covering_names(found: Iterable[str], declared: Declared) -> Declared:
    """Return the declared names if they cover those found, else those found."""
    held = {*found}
    return declared if held <= {*declared} else tuple(sorted(held))


def _drop_absent_types(declared: Declared, found: Iterable[str]) -> Declared:
    """Return the declared types that occur; all of them if none does."""
    held = {*found}
    return tuple(name for name in declared if name in held) or declared


def _require_columns(frame: pd.DataFrame, *columns: str, persons: bool = False) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        have = sorted(map(str, frame.columns))
        raise MissingColumns(
            f"the records lack {absent}; they have {have}: say --data column:OURS=THEIRS"
            + (" or, if each row is a person of its own, --data persons:rows" if persons else ""),
            columns=len(absent),
        )


def _name_person_column(corpus: Corpus, person: str) -> Corpus:
    """Return a corpus whose documents are in the column that the schema calls the person."""
    records = corpus.records
    return (
        corpus
        if person in records
        else replace(corpus, records=records.rename(columns={"person": person}))
    )


def _add_person_column(corpus: Corpus, person: str, *, notes: tuple[str, ...]) -> Corpus:
    records = corpus.records
    if person not in records.columns:
        records = records.assign(**{person: [str(row) for row in range(len(records))]})
        notes = (
            *notes,
            f"no column '{person}': every record counts as a person of its own",
        )
    return replace(corpus, records=records, notes=(*corpus.notes, *notes))


def _read_source(source: DataSource) -> tuple[pd.DataFrame, str | None]:
    match source:
        case TextFolder(path=path) if path.is_dir() and (tables := _tables_by_side(path)):
            # Tables carry no side of their own: the name of the file says it.
            parts = [
                read_table(TableFile(path=file)).assign(**{SPLIT: side})
                for file, side in tables.items()
            ]
            return pd.concat(parts, ignore_index=True), SPLIT
        case SentenceFiles():
            return read_texts(source), SPLIT if source.split else None
        case TableFile(path=path, split=None):
            frame = read_texts(source)
            return frame, SPLIT if is_dataset(path) and SPLIT in frame else None
        case _:
            return read_texts(source), source.split


def _tables_by_side(folder: Path) -> dict[Path, str]:
    files = sorted(file for file in folder.iterdir() if file.suffix in FORMATS)
    return {file: SIDES[file.stem] for file in files if file.stem in SIDES}


def _assign_sites(frame: pd.DataFrame, persons: Names, sites: Sequence[str], *, seed: int) -> Names:
    """Return the site of each record: by the column `site`, else by a draw of persons."""
    if SITE in frame.columns:
        owner = frame[SITE].astype(str)
        unknown = sorted(set(owner) - set(sites))
        if unknown:
            raise UndividedCorpus(
                f"the column '{SITE}' names {unknown[:5]}; the sites are {', '.join(sites)}",
                sites=len(unknown),
            )
    else:
        # Sorted before they are shuffled: the draw does not depend on the order of rows.
        names = np.unique(persons.to_numpy(dtype=str))
        order = np.random.default_rng(seed).permutation(len(names))
        site = {str(names[n]): sites[place % len(sites)] for place, n in enumerate(order)}
        owner = persons.map(site)
    empty = [name for name in sites if name not in set(owner)]
    if empty:
        raise UndividedCorpus(
            f"{', '.join(empty)} would have no records: bring records for all {len(sites)} sites",
            sites=len(empty),
        )
    return owner
