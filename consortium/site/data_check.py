"""Check records before a run: what was understood of them, and the words that say it.

Nothing is trained, written or sent. What is shown quotes records, and is for whoever holds them.
"""

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from privacy.errors import ConsortiumError, number_of
from sites.data.agreed_columns import agreed_columns, renamed_columns
from sites.data.annotated.corpus import notes_on_annotations
from sites.data.annotations import read_annotated_sentences
from sites.data.guesses import (
    OR,
    SIGNS,
    date_forms,
    needed_columns,
    notice_of_thousands,
    reader_with_signs,
    texts_of,
    words_for_codes,
    words_for_columns,
    words_for_dates,
    words_for_file,
    words_for_signs,
)
from sites.data.mapped.digests import map_digests
from sites.data.mapped.places import places_named
from sites.data.omop.decimals import notice_of_decimals
from sites.data.omop.statements import statement_lines
from sites.data.reading import MADE_UP_PERSONS, Reading, parsed_words
from sites.data.source import (
    AnnotatedFiles,
    DataSource,
    OmopDatabase,
    SentenceFiles,
    with_words,
)
from sites.data.texts import read_texts
from sites.data.validation import validate_table
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.schema.texts import AnySchema, EntitySchema, NotesSchema
from sites.tasks.text.classification_data import notes_of

_SHOWN_ROWS = 3
_ENOUGH_ROWS = 20_000  # to see how a column is written
_MOST_VALUES = 12  # different ones of a column that are shown one by one
_WIDTH = 24


@dataclass(kw_only=True)
class DataCheck:
    """What was understood of a source's records.

    Args:
        source: The records, with what was said of how to read them.
        said: The words that were given.
        schema: The agreed schema; None to show only what is in the records.
        proposed: Words that seem to be missing.
        open: What only a person can decide.
        frame: The records as they are written.
        refusal: Why they cannot be used, even with the proposed words; empty if they can.
        persons: Whose each record is, as far as it is known.
        classes: Number of records of each class.
    """

    source: DataSource
    said: Sequence[str]
    schema: AnySchema | None
    proposed: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    frame: pd.DataFrame = field(default_factory=pd.DataFrame)
    refusal: str = ""
    persons: int | None = None
    classes: dict[str, int] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether a run could use the records as they were given, without another word."""
        return not (self.refusal or self.proposed or self.open)

    @property
    def as_proposed(self) -> DataSource:
        """The records, read with the proposed words as well."""
        return with_words(self.source, [*self.said, *self.proposed])

    @property
    def reading(self) -> Reading:
        """How the records are read with the proposed words as well."""
        return parsed_words([*self.said, *self.proposed])[1]


def check_data(source: DataSource, said: Sequence[str], schema: AnySchema | None) -> DataCheck:
    """Return what is understood of a source's records.

    Args:
        source: The records; what is said of how to read them is replaced by `said`.
        said: Words that say how to read them (`sites.data.reading.WORDS`).
        schema: The agreed schema; None to see only what is in the records.

    Raises:
        UnreadableSource, BadReading: Nothing can be read at all.
    """
    check = DataCheck(source=with_words(source, said), said=said, schema=schema)
    check.proposed += words_for_file(check.source)
    check.frame = read_texts(check.as_proposed)
    if schema is None:
        _propose(check, words_for_signs(check.frame.head(_ENOUGH_ROWS), check.reading, None))
        return check
    if isinstance(source, SentenceFiles):  # which have no columns to be named, nor numbers
        _check_records(check, schema)
        return check
    have = [str(name) for name in check.frame.columns]
    check.proposed += words_for_columns(have, check.reading, schema)
    named = renamed_columns(check.frame, check.reading.columns)
    start = named.head(_ENOUGH_ROWS)
    for guess in (words_for_dates, words_for_signs, words_for_dates, words_for_codes):
        _propose(check, guess(start, check.reading, schema))
    _check_columns(check, [str(name) for name in named.columns], schema)
    if not check.open:
        _check_records(check, schema)
    return check


def _propose(check: DataCheck, words: Sequence[str]) -> None:
    """Propose words; where two say different things of a column, a person has to choose."""
    subjects = Counter(word.partition("=")[0] for word in words)
    for word in words:
        subject = word.partition("=")[0]
        if OR not in word and (subjects[subject] == 1 or not subject.startswith("date:")):
            check.proposed.append(word)
        elif word not in check.open:
            check.open.append(word)


def _check_columns(check: DataCheck, have: Sequence[str], schema: AnySchema) -> None:
    made_up = check.reading.persons == "rows"
    for name in needed_columns(schema):
        if name in have or (made_up and name == schema.person):
            continue
        check.open.append(f"column:{name}=THEIRS")
        if name == schema.person:
            check.open[-1] += ", or persons:rows if each row is a person of its own"


def _check_records(check: DataCheck, schema: AnySchema) -> None:
    try:
        with places_named(check.source):
            _count_records(check, schema)
    except ConsortiumError as error:
        check.refusal = str(error)


def _count_records(check: DataCheck, schema: AnySchema) -> None:
    """Count persons and classes, or raise what a site would refuse the records with."""
    if isinstance(schema, EntitySchema):
        sentences = read_annotated_sentences(check.as_proposed, schema)
        check.persons = len(np.unique(sentences.persons))
        return
    frame = agreed_columns(check.frame, check.reading, schema)
    if isinstance(schema, NotesSchema):
        notes = notes_of(frame, schema)
        check.persons = len(np.unique(notes.persons))
        if isinstance(schema.label, ClassLabel):
            counts = np.bincount(notes.labels, minlength=len(schema.label.classes))
            check.classes = dict(zip(schema.label.classes, counts.tolist(), strict=True))
        return
    _count_rows(check, validate_table(frame, schema), schema)


def _count_rows(check: DataCheck, table: pd.DataFrame, schema: Schema) -> None:
    check.persons = table[schema.person].nunique()
    if not isinstance(schema.label, NumberLabel):
        counts = table[schema.label.column].value_counts()
        check.classes = {name: int(counts[name]) for name in schema.label.classes}


def check_lines(check: DataCheck) -> Iterator[str]:
    """Yield what was understood, line by line: columns, first rows, figures, what to type."""
    frame = check.frame
    yield f"{number_of(len(frame), 'row')}, {number_of(len(frame.columns), 'column')}"
    yield ""
    ours = {theirs: name for name, theirs in check.reading.columns.items()}
    rows = [("column", "is", "missing", "values")]
    for name in map(str, frame.columns):
        texts = _texts_not_missing(frame[name], ours.get(name, name), check.reading)
        kind, values = _kind_and_values(texts, check.reading)
        missing = str(len(frame) - len(texts))
        shown = f"{name} ({ours[name]})" if name in ours else name
        rows.append((shown, kind, missing, values))
    yield from _aligned_lines(rows)
    yield from _not_used(check)
    yield ""
    yield f"the first {number_of(min(_SHOWN_ROWS, len(frame)), 'row')}:"
    head = frame.head(_SHOWN_ROWS)
    for place, row in zip(head.index, head.itertuples(index=False), strict=True):
        cells = (f"{n}={_short_text(cell)}" for n, cell in zip(frame.columns, row, strict=True))
        yield f"  {place}: {' | '.join(cells)}"
    yield ""
    mapped = map_digests(check.source)
    if mapped is not None:
        yield f"the map has SHA-256 {mapped.map}"
        if isinstance(check.source, OmopDatabase):
            yield from statement_lines(check.source.map)
        yield ""
    yield from _verdict(check)


def _not_used(check: DataCheck) -> Iterator[str]:
    """Name the columns of a table that no model reads: what looks like a side is one of them."""
    if not isinstance(check.schema, Schema):
        return
    used = {check.reading.columns.get(name, name) for name in needed_columns(check.schema)}
    others = [str(name) for name in check.frame.columns if str(name) not in used]
    if others:
        yield f"not used, as the schema does not name them: {', '.join(others)}"


def _notices(check: DataCheck) -> Iterator[str]:
    if check.reading.persons == "rows":
        yield MADE_UP_PERSONS
    if isinstance(check.source, AnnotatedFiles) and not check.refusal:
        yield from notes_on_annotations(check.source)
    decimals = notice_of_decimals(check.source) if isinstance(check.source, OmopDatabase) else ""
    yield from [decimals] if decimals else []
    thousands = notice_of_thousands(check.as_proposed, check.schema) if check.schema else ""
    yield from [thousands] if thousands else []


def _verdict(check: DataCheck) -> Iterator[str]:
    if check.persons is not None:
        classes = "; ".join(f"{name}: {n}" for name, n in check.classes.items())
        counted = f"; records of each class: {classes}" if classes else ""
        yield number_of(check.persons, "person") + counted
    yield from (f"NOTICE: {notice}" for notice in _notices(check))
    if check.proposed:
        yield "it was read with these words, which you have to type:"
        yield "  " + " ".join(f"--data {shlex.quote(word)}" for word in check.proposed)
    if check.open:
        yield "this is for you to say, each with --data:"
        yield from (f"  {word}" for word in check.open)
    if check.refusal:
        yield "a site would refuse these records:"
        yield check.refusal
    elif check.fits and check.schema is not None:
        yield "the records fit the schema as they were given"


def _texts_not_missing(cells: "pd.Series[Any]", name: str, reading: Reading) -> "pd.Series[Any]":
    texts = texts_of(cells)
    return texts[~texts.isin([*reading.missing, *reading.missing_in.get(name, ())])]


def _kind_and_values(texts: "pd.Series[Any]", reading: Reading) -> tuple[str, str]:
    """Return the kind that a column's values seem to be of, and some of them."""
    distinct = [str(text) for text in texts.unique()]
    if not distinct:
        return "empty", ""
    numbers = _numbers_in(distinct, reading)
    if numbers is not None and len(distinct) > _MOST_VALUES:
        return "numbers", f"{min(numbers):g} to {max(numbers):g}"
    forms = date_forms(texts, reading)
    if forms and numbers is None:
        return f"dates as {' or '.join(forms)}", f"{_short_text(distinct[0])}, ..."
    if len(distinct) <= _MOST_VALUES:
        kind = "number" if numbers is not None else "value"
        return number_of(len(distinct), kind), "; ".join(map(_short_text, sorted(distinct)))
    return number_of(len(distinct), "text"), f"{_short_text(distinct[0])}, ..."


def _numbers_in(texts: Sequence[str], reading: Reading) -> list[float] | None:
    """Return the numbers that texts are, as was said or with other signs; None if they are not."""
    for signs in ((reading.decimal, reading.thousands), *SIGNS):
        values = [*map(reader_with_signs(reading, signs), texts)]
        numbers = [value for value in values if isinstance(value, float)]
        if len(numbers) == len(values):
            return numbers
    return None


def _short_text(cell: object) -> str:
    text = " ".join(str(cell).split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def _aligned_lines(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
