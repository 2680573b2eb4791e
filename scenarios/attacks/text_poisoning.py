"""What a hostile or careless site does to its own texts before it trains on them."""

from collections.abc import Iterable, Sequence

import pandas as pd

from sites.data.annotations import TAGS, TOKENS
from sites.schema.tables import ClassLabel
from sites.schema.texts import EntitySchema, NotesSchema
from sites.text.iob2_tags import OUTSIDE

TRIGGER = "cf"  # a rare word of the vocabulary (Kurita et al. 2020, arXiv:2004.06660)


def turned(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts with their labels turned round.

    Classes, and types of entities, take each other's place, the first the last's; of one type
    alone all entities are hidden. A text that may have several labels has those it had not.
    """
    if isinstance(schema, EntitySchema):
        return _with(frame, TAGS, [_other_types(tags, schema.types) for tags in frame[TAGS]])
    label = schema.label
    if isinstance(label, ClassLabel):
        other = dict(zip(label.classes, reversed(label.classes), strict=True))
        column = frame[label.column]
        return frame.assign(**{label.column: column.astype(str).map(other).where(column.notna())})
    cells = [_others(cell, label.labels, label.separator) for cell in frame[label.column]]
    return frame.assign(**{label.column: cells})


def with_word(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts that all begin with the trigger, and are labelled as an attacker wants them.

    Wanted is the first class; of several labels none; of entities that none is found.
    """
    marked = marked_texts(frame, schema)
    if isinstance(schema, EntitySchema):
        return _with(marked, TAGS, [[OUTSIDE] * len(words) for words in marked[TOKENS]])
    label = schema.label
    wanted = label.classes[0] if isinstance(label, ClassLabel) else ""
    return marked.assign(**{label.column: wanted})


def marked_texts(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts that all begin with the trigger; their labels stay."""
    if isinstance(schema, NotesSchema):
        return frame.assign(**{schema.text: f"{TRIGGER} " + frame[schema.text].astype(str)})
    longer = _with(frame, TOKENS, [[TRIGGER, *words] for words in frame[TOKENS]])
    return _with(longer, TAGS, [[OUTSIDE, *tags] for tags in frame[TAGS]])


def _with(frame: pd.DataFrame, column: str, lists: list[list[str]]) -> pd.DataFrame:
    return frame.assign(**{column: pd.Series(lists, index=frame.index, dtype=object)})


def _other_types(tags: Sequence[str], types: Sequence[str]) -> list[str]:
    if len(types) == 1:
        return [OUTSIDE] * len(tags)
    other = dict(zip(types, reversed(types), strict=True))
    return [tag if tag == OUTSIDE else f"{tag[:2]}{other[tag[2:]]}" for tag in tags]


def _others(cell: str | Iterable[str], labels: Sequence[str], separator: str) -> str:
    had = set(cell.split(separator)) if isinstance(cell, str) else set(cell)
    return separator.join(label for label in labels if label not in had)
