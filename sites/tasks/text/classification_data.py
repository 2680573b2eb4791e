"""A site's notes: read, checked, and cut into pieces once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from privacy.layout import Tally
from sites.data.holdout import given_hold_out, hold_out
from sites.data.source import DataSource
from sites.data.texts import BadTexts, read_texts, require_texts
from sites.data.validation import MissingColumns
from sites.models.encoder import Encoder
from sites.schema.tables import ClassLabel
from sites.schema.texts import MultiLabel, NotesSchema
from sites.text.tokenisation import Pieces, cut
from sites.training.privacy_units import Units

_SIDES = ("train", "test")
_SHOWN = 5


@dataclass(frozen=True)
class Read:
    """Notes as an encoder reads them.

    Args:
        pieces: In windows.
        features: What the encoder's frozen part makes of each window, where it is computed once.
    """

    pieces: Pieces
    features: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Texts with their labels.

    Args:
        texts: As they were read, shape (n,).
        labels: Codes of classes, shape (n,), or 0 and 1 for each label, shape (n, n_labels).
        persons: Whose each is, shape (n,).
    """

    texts: NDArray[np.object_]
    labels: Tally
    persons: NDArray[np.str_]
    _read: dict[str, Read] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, rows: NDArray[Any]) -> "Notes":
        """Return some of them, by mask or position."""
        return Notes(texts=self.texts[rows], labels=self.labels[rows], persons=self.persons[rows])

    def read_by(self, encoder: Encoder) -> Read:
        """Return the texts as the encoder reads them; kept until another one asks."""
        key = encoder.reading
        if key not in self._read:
            self._read.clear()
            self._read[key] = read_by(self.texts.tolist(), encoder)
        return self._read[key]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Characters of each, shape (n,)."""
        return np.array([len(text) for text in self.texts], np.int64)


@dataclass(frozen=True, kw_only=True)
class NotesData:
    """A site's notes, those of every person on one side.

    Args:
        training: What a model learns from.
        held_out: What it is judged on.
        n_labels: Classes, or labels, of the schema.
    """

    training: Notes
    held_out: Notes
    n_labels: int

    @property
    def train_examples(self) -> int:
        """Notes to train on."""
        return len(self.training)

    @property
    def train_persons(self) -> int:
        """Persons behind the training notes."""
        return len(np.unique(self.training.persons))

    @property
    def held_out_examples(self) -> int:
        """Notes to evaluate on."""
        return len(self.held_out)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training notes of each class, or that have each label."""
        labels = self.training.labels
        if labels.ndim == 2:
            return tuple(labels.sum(axis=0).tolist())
        return tuple(np.bincount(labels, minlength=self.n_labels).tolist())


def read_by(texts: Sequence[str], encoder: Encoder) -> Read:
    """Return texts as an encoder reads them."""
    plan = encoder.role.plan
    pieces = cut(texts, encoder.files.tokenizer, size=plan.max_tokens, overlap=plan.stride)
    return Read(pieces, encoder.features(pieces.windows))


def load_notes(source: DataSource, schema: NotesSchema, *, seed: int) -> NotesData:
    """Read and check a site's notes, and hold out a share of its persons.

    Raises:
        UnreadableSource: Nothing could be read.
        MissingColumns: A column of the schema is absent.
        BadTexts: A text is empty, a label is not declared, or nobody is named; with the rows.
        PersonOnBothSides: The source's own split parts a person's notes.
    """
    frame = read_texts(source)
    split = getattr(source, "split", None)
    notes = checked(frame, schema, split=split)
    if split is None:
        held_out = hold_out(notes.persons, _strata(notes.labels), seed=seed)
    else:
        held_out = given_hold_out(notes.persons, (frame[split] == "test").to_numpy())
    training = notes.at(~held_out)
    if schema.max_notes_per_person:
        most = schema.max_notes_per_person
        kept = Units.of_persons(training.persons, at_most=most, seed=seed).rows
        training = training.at(np.sort(kept))
    n_labels = len(declared_of(schema.label))
    return NotesData(training=training, held_out=notes.at(held_out), n_labels=n_labels)


def checked(frame: pd.DataFrame, schema: NotesSchema, *, split: str | None = None) -> Notes:
    """Return the notes of a table in which nothing is wrong.

    Raises:
        MissingColumns, BadTexts: As `load_notes`.
    """
    label = schema.label
    others = [name for name in (schema.person, label.column, split) if name]
    absent = [name for name in others if name not in frame.columns]
    if absent:
        raise MissingColumns(
            f"the records lack the columns {absent}; they have {sorted(map(str, frame.columns))}",
            columns=len(absent),
        )
    if isinstance(label, ClassLabel):
        require_texts(frame, text=schema.text, label=label.column, classes=label.classes)
        codes = {name: code for code, name in enumerate(label.classes)}
        labels = np.array([codes[str(cell)] for cell in frame[label.column]], np.int64)
    else:
        require_texts(frame, text=schema.text, label=None, classes=())
        labels = _marked(frame[label.column], label)
    persons = frame[schema.person].map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
    _refuse(frame.index[persons == ""], f"{schema.person} is empty", "name whose text it is")
    if split:
        sides = frame.index[~frame[split].isin(_SIDES)]
        _refuse(sides, f"{split} is neither train nor test", "say on which side it is")
    return Notes(
        texts=frame[schema.text].to_numpy(dtype=object),
        labels=labels,
        persons=persons.to_numpy(dtype=str),
    )


def joined(parts: Sequence[Notes]) -> Notes:
    """Return the notes of several sites as those of one; their persons stay distinct."""
    return Notes(
        texts=np.concatenate([part.texts for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        persons=np.concatenate(
            [np.char.add(f"{site}/", part.persons) for site, part in enumerate(parts)]
        ),
    )


def declared_of(label: ClassLabel | MultiLabel) -> tuple[str, ...]:
    """Return what may be predicted, in the order of its codes."""
    return label.classes if isinstance(label, ClassLabel) else label.labels


def _strata(labels: Tally) -> Tally:
    """What persons are parted by: the class, or a text's first label, after none."""
    if labels.ndim == 1:
        return labels
    return np.where(labels.any(axis=1), labels.argmax(axis=1) + 1, 0)


def _marked(cells: "pd.Series[Any]", label: MultiLabel) -> Tally:
    """Return which labels each text has, shape (n, n_labels)."""
    code = {name: index for index, name in enumerate(label.labels)}
    marks = np.zeros((len(cells), len(code)), np.int64)
    unknown: dict[str, list[Any]] = {}
    for row, (place, cell) in enumerate(cells.items()):
        for name in _listed(cell, label.separator):
            if name in code:
                marks[row, code[name]] = 1
            else:
                unknown.setdefault(name, []).append(place)
    if unknown:
        places = pd.Index(sorted({place for found in unknown.values() for place in found}))
        _refuse(
            places,
            f"{label.column} has labels that are not declared, such as {sorted(unknown)[:_SHOWN]}",
            f"declared are {', '.join(label.labels)}",
        )
    return marks


def _listed(cell: object, separator: str) -> list[str]:
    """Return the labels that a cell lists; none if it is empty."""
    match cell:
        case str():
            return [part.strip() for part in cell.split(separator) if part.strip()]
        case list() | tuple() | np.ndarray():
            return [str(part).strip() for part in cell]
        case None:
            return []
        case float() if np.isnan(cell):
            return []
        case _:
            return [str(cell)]


def _refuse(places: "pd.Index[Any]", wrong: str, advice: str) -> None:
    if not len(places):
        return
    shown = ", ".join(str(place) for place in places[:_SHOWN])
    more = ", ..." if len(places) > _SHOWN else ""
    rows = "row" if len(places) == 1 else f"{len(places)} rows:"
    raise BadTexts(f"{wrong} in {rows} {shown}{more}; {advice}", rows=len(places))
