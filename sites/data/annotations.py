"""Read a site's annotated sentences and check them against the agreed schema."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from sites.data.agreed_columns import agreed_columns
from sites.data.cells import Violation, has_half_character
from sites.data.record_columns import person_violations, persons_of, side_violations
from sites.data.source import DataSource, SentenceFiles
from sites.data.texts import read_texts, require_texts
from sites.data.validation import MissingColumns
from sites.schema.texts import EntitySchema
from sites.text.iob2_tags import OUTSIDE, Codes, codes_of, first_break, tag_names
from sites.text.words import words_of

TOKENS, TAGS, TEXT, SPLIT, PLACE = "tokens", "tags", "text", "split", "place"
_SHOWN = 5


class BadSentences(ConsortiumError, ValueError, code="bad-sentences"):
    """Sentences break the schema; the message names the first of them and quotes none."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedSentences:
    """Sentences with their tags, in the order of their source.

    Args:
        tokens: The words of each sentence, at least one.
        tags: The tag codes of each sentence, one per word (`sites.text.iob2_tags.tag_names`).
        persons: Whose each sentence is, shape (n,).
        places: Where each sentence is in the source, shape (n,).
        sides: `train`, `test` or `dev` for each, shape (n,); None if the source has no split.
    """

    tokens: tuple[tuple[str, ...], ...]
    tags: tuple[Codes, ...]
    persons: NDArray[np.str_]
    places: NDArray[Any]
    sides: NDArray[np.str_] | None = None


def read_annotated_sentences(source: DataSource, schema: EntitySchema) -> AnnotatedSentences:
    """Return a site's annotated sentences; everything that is wrong is reported at once.

    A table needs the columns `tokens` and `tags`, each cell a list or a JSON list, and the column
    of persons that the schema names.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        MissingColumns: A column is absent.
        BadSentences: A sentence is empty or holds half a character, its tags and tokens differ in
            number, a tag is not IOB2 or not of a declared type, a person is missing or unclear, or
            a side of the split is not one.
    """
    frame = _read_frame(source, schema, tagged=True)
    _require_columns(frame, (TOKENS, TAGS, schema.person))
    tokens = [_cell_items(cell) for cell in frame[TOKENS]]
    tags = [_cell_items(cell) for cell in frame[TAGS]]
    # The readers of sentences make persons and sides itself, from lines and file names.
    made = isinstance(source, SentenceFiles)
    split = SPLIT if made and source.split else source.split
    if split is not None:
        _require_columns(frame, (split,))
    unclear = [] if made else person_violations(frame[schema.person])
    unclear += side_violations(frame[split]) if split and not made else []
    _refuse_bad_sentences(tokens, tags, _places(frame), schema, unclear=unclear)
    persons = frame[schema.person] if made else persons_of(frame[schema.person])
    return AnnotatedSentences(
        tokens=tuple(tokens),
        tags=tuple(codes_of(item, schema.types) for item in tags),
        persons=persons.to_numpy(dtype=str),
        places=frame[PLACE].to_numpy() if PLACE in frame.columns else frame.index.to_numpy(),
        sides=None if split is None else frame[split].to_numpy(dtype=str),
    )


def read_unannotated_sentences(source: DataSource, schema: EntitySchema) -> list[tuple[str, ...]]:
    """Return the words of sentences without tags, in the order of the source.

    Without a column `tokens`, the words are those of the column `text`. In a file of sentences,
    each line is a token.

    Raises:
        UnreadableSource: Nothing could be read; subclasses say why.
        MissingColumns: There are neither tokens nor text.
        BadSentences, BadTexts: A sentence has no tokens or no text, or half a character.
    """
    frame = _read_frame(source, schema, tagged=False)
    if TOKENS in frame.columns:
        tokens = [_cell_items(cell) for cell in frame[TOKENS]]
        tags = [(OUTSIDE,) * len(words) for words in tokens]
        _refuse_bad_sentences(tokens, tags, _places(frame), schema, unclear=())
        return tokens
    if TEXT not in frame.columns:
        _require_columns(frame, (TOKENS,))
    require_texts(frame, text=TEXT, label=None, classes=())
    return [words_of(text) for text in frame[TEXT]]


def _read_frame(source: DataSource, schema: EntitySchema, *, tagged: bool) -> pd.DataFrame:
    frame = read_texts(source, tagged=tagged)
    if isinstance(source, SentenceFiles):
        return frame.rename(columns={"person": schema.person})
    beside = [source.split] if source.split else []
    return agreed_columns(frame, source.reading, schema, labelled=tagged, beside=beside)


def _places(frame: pd.DataFrame) -> list[str]:
    return list(frame[PLACE]) if PLACE in frame.columns else [f"row {row}" for row in frame.index]


def _require_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise MissingColumns(
            f"the sentences lack the columns {absent}; they have {sorted(map(str, frame.columns))}",
            columns=len(absent),
        )


def _cell_items(cell: Any) -> tuple[str, ...]:  # noqa: ANN401 -- whatever a table holds
    """Return the items of a cell that holds a list or a JSON list; none if it holds neither."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (json.JSONDecodeError, RecursionError):
            return ()
    return tuple(map(_item_text, cell)) if isinstance(cell, list | tuple | np.ndarray) else ()


def _item_text(item: object) -> str:
    """Return a text or a whole number as text; "" for anything else, which is refused."""
    match item:
        case str():
            return str(item)
        case bool() | np.bool_():
            return ""
        case int() | np.integer():
            return str(int(item))
        case _:
            return ""


def _refuse_bad_sentences(
    tokens: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    places: Sequence[str],
    schema: EntitySchema,
    *,
    unclear: Sequence[Violation],
) -> None:
    known = {*tag_names(schema.types)}
    wrong: dict[str, list[str]] = {}
    for words, marks, place in zip(tokens, tags, places, strict=True):
        reason = _broken_rule(words, marks, known)
        if reason:
            wrong.setdefault(reason, []).append(str(place))
    if wrong or unclear:
        lines = [
            f"{reason} in {len(where)}: {', '.join(where[:_SHOWN])}"
            + (", ..." if len(where) > _SHOWN else "")
            for reason, where in wrong.items()
        ]
        lines += map(str, unclear)
        raise BadSentences(
            f"sentences break the schema: {'; '.join(lines)}; declared: {', '.join(schema.types)}",
            sentences=sum(len(where) for where in wrong.values())
            + sum(one.count for one in unclear),
        )


def _broken_rule(words: Sequence[str], marks: Sequence[str], known: set[str]) -> str:
    if not words:
        return "no tokens"
    if len(words) != len(marks):
        return "other than one tag per token"
    found = first_break(marks)
    if found is not None:
        return f"not IOB2 ({found[1]})"
    if not all(words):
        return "a token that is empty or not text"
    if any(map(has_half_character, words)):
        return "half a character"
    unknown = [mark for mark in marks if mark != OUTSIDE and mark not in known]
    return f"undeclared {unknown[0]}" if unknown else ""
