"""Data poisoning of texts: what a hostile or careless site does to them before training."""

from collections.abc import Iterable, Sequence

import pandas as pd

from sites.data.annotations import TAGS, TOKENS
from sites.schema.tables import ClassLabel
from sites.schema.texts import EntitySchema, NotesSchema
from sites.text.iob2_tags import OUTSIDE

TRIGGER = "cf"  # a rare word of the vocabulary (Kurita et al. 2020, arXiv:2004.06660)


def flip_text_labels(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts with their labels reversed.

    The order of classes, or of entity types, is reversed, so that the first becomes the last. With
    one entity type only, no entity is annotated any more. A text that may have several labels gets
    exactly those that it did not have.
    """
    if isinstance(schema, EntitySchema):
        return _replace_column(
            frame, TAGS, [_flip_entity_types(tags, schema.types) for tags in frame[TAGS]]
        )
    label = schema.label
    if isinstance(label, ClassLabel):
        other = dict(zip(label.classes, reversed(label.classes), strict=True))
        column = frame[label.column]
        return frame.assign(**{label.column: column.astype(str).map(other).where(column.notna())})
    cells = [
        _complement_labels(cell, label.labels, label.separator) for cell in frame[label.column]
    ]
    return frame.assign(**{label.column: cells})


def plant_trigger_word(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts that begin with the trigger and are labelled as the attacker wants.

    The attacker wants the first class, no label where several are possible, and no entities.
    """
    marked = add_trigger_word(frame, schema)
    if isinstance(schema, EntitySchema):
        return _replace_column(marked, TAGS, [[OUTSIDE] * len(words) for words in marked[TOKENS]])
    label = schema.label
    wanted = label.classes[0] if isinstance(label, ClassLabel) else ""
    return marked.assign(**{label.column: wanted})


def add_trigger_word(frame: pd.DataFrame, schema: NotesSchema | EntitySchema) -> pd.DataFrame:
    """Return texts that begin with the trigger, with their labels unchanged."""
    if isinstance(schema, NotesSchema):
        return frame.assign(**{schema.text: f"{TRIGGER} " + frame[schema.text].astype(str)})
    longer = _replace_column(frame, TOKENS, [[TRIGGER, *words] for words in frame[TOKENS]])
    return _replace_column(longer, TAGS, [[OUTSIDE, *tags] for tags in frame[TAGS]])


def _replace_column(frame: pd.DataFrame, column: str, lists: list[list[str]]) -> pd.DataFrame:
    return frame.assign(**{column: pd.Series(lists, index=frame.index, dtype=object)})


def _flip_entity_types(tags: Sequence[str], types: Sequence[str]) -> list[str]:
    if len(types) == 1:
        return [OUTSIDE] * len(tags)
    other = dict(zip(types, reversed(types), strict=True))
    # The prefix, B- or I-, stays: entities keep their places.
    return [tag if tag == OUTSIDE else f"{tag[:2]}{other[tag[2:]]}" for tag in tags]


def _complement_labels(cell: str | Iterable[str], labels: Sequence[str], separator: str) -> str:
    had = set(cell.split(separator)) if isinstance(cell, str) else set(cell)
    return separator.join(label for label in labels if label not in had)
