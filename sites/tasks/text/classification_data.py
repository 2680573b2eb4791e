"""A site's notes: loading, checks, split, and tokenisation once per encoder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.data.agreed_columns import agreed_columns
from sites.data.cells import cell_text, declared_value
from sites.data.holdout import PersonRecords, Sides
from sites.data.mapped.places import places_named
from sites.data.record_columns import person_violations, persons_of, side_violations
from sites.data.source import DataSource
from sites.data.tables import BadTexts
from sites.data.texts import read_texts, require_texts
from sites.data.validation import MissingColumns
from sites.schema.tables import ClassLabel
from sites.schema.texts import MultiLabel, NotesSchema
from sites.tasks.divided_records import DividedRecords
from sites.text.tokenisation import Pieces, cut_texts

if TYPE_CHECKING:
    from torch import Tensor

    from sites.models.encoder import Encoder

_SHOWN = 5


@dataclass(frozen=True)
class EncoderInputs:
    """Notes in the form that an encoder reads.

    Args:
        pieces: The notes as windows of pieces.
        features: The cached features of each window if the encoder is frozen, else None.
    """

    pieces: Pieces
    features: "Tensor | None"


@dataclass(frozen=True, kw_only=True)
class Notes:
    """Texts with their labels.

    Args:
        texts: The texts unchanged, shape (n,).
        labels: Codes of classes, shape (n,), or 0 and 1 for each label, shape (n, n_labels).
        persons: Whose each text is, shape (n,).
    """

    texts: NDArray[np.object_]
    labels: Tally
    persons: NDArray[np.str_]
    _read: dict[str, EncoderInputs] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        return len(self.texts)

    def select(self, rows: NDArray[Any]) -> "Notes":
        """Return some of the notes, by mask or by position."""
        return Notes(texts=self.texts[rows], labels=self.labels[rows], persons=self.persons[rows])

    def encoder_inputs(self, encoder: "Encoder") -> EncoderInputs:
        """Return the inputs of the encoder, cached until it is called with another encoder."""
        key = encoder.reading_key
        if key not in self._read:
            self._read.clear()
            self._read[key] = encoder_inputs(self.texts.tolist(), encoder)
        return self._read[key]

    def content_of(self, row: int) -> bytes:
        """Return what tells a note from the others of its person."""
        return str(self.texts[row]).encode("utf-8", "surrogatepass")

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of characters of each text, shape (n,)."""
        return np.array([len(text) for text in self.texts], np.int64)


@dataclass(frozen=True, kw_only=True)
class NotesData(DividedRecords[Notes]):
    """A site's notes, all those of a person on one side.

    Args:
        n_labels: Classes, or labels, of the schema.
    """

    n_labels: int

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Number of training notes of each class, or with each label."""
        labels = self.training.labels
        if labels.ndim == 2:
            return tuple(labels.sum(axis=0).tolist())
        return tuple(np.bincount(labels, minlength=self.n_labels).tolist())

    @property
    def training_classes(self) -> NDArray[np.bool_]:
        """Which class each training note is of, or which labels it has, shape (n, n_labels)."""
        labels = self.training.labels
        return labels > 0 if labels.ndim == 2 else labels[:, None] == np.arange(self.n_labels)


def encoder_inputs(texts: Sequence[str], encoder: "Encoder") -> EncoderInputs:
    """Return texts in the form that the encoder reads."""
    plan = encoder.role.plan
    pieces = cut_texts(texts, encoder.files.tokenizer, size=plan.max_tokens, overlap=plan.stride)
    return EncoderInputs(pieces, encoder.features(pieces.windows))


def load_notes(source: DataSource, schema: NotesSchema, *, sides: Sides) -> NotesData:
    """Return a site's checked notes, each person on the side that `sides` says.

    Raises:
        UnreadableSource: Nothing could be read.
        MissingColumns: A column of the schema is absent.
        BadTexts: A text is empty, a label is not declared, or a person is missing or
            unclear, or a side of the split is not one; the message names the rows.
        PersonOnBothSides: The source's own split has a person on both sides.
        ConsortiumError: A person stood on another side before.
    """
    split = getattr(source, "split", None)
    beside = [split] if split else []
    frame = agreed_columns(read_texts(source), source.reading, schema, beside=beside)
    with places_named(source):
        notes = notes_of(frame, schema, split=split)
    held_out = sides.held_out(
        PersonRecords(
            persons=notes.persons,
            places=frame.index.to_numpy(),
            strata=_strata(notes.labels),
            given=None if split is None else (frame[split] == "test").to_numpy(),
        )
    )
    training = notes.select(~held_out)
    if schema.max_notes_per_person:
        training = training.select(_kept_notes(training, schema.max_notes_per_person))
    n_labels = len(declared_names(schema.label))
    return NotesData(training=training, held_out=notes.select(held_out), n_labels=n_labels)


def _kept_notes(notes: Notes, at_most: int) -> NDArray[np.intp]:
    """Return the notes of each person that are trained on, the same in every run."""
    from sites.training.privacy_units import Units

    units = Units.of_persons(notes.persons, at_most=at_most, seed=0, content_of=notes.content_of)
    return np.sort(units.rows)


def notes_of(frame: pd.DataFrame, schema: NotesSchema, *, split: str | None = None) -> Notes:
    """Return the notes of a table after checking it.

    Raises:
        MissingColumns, BadTexts: As in `load_notes`.
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
        codes: dict[str | None, int] = {name: code for code, name in enumerate(label.classes)}
        names = [declared_value(cell_text(cell), label.classes) for cell in frame[label.column]]
        labels = np.array([codes[name] for name in names], np.int64)
    else:
        require_texts(frame, text=schema.text, label=None, classes=())
        labels = _label_matrix(frame[label.column], label)
    unclear = person_violations(frame[schema.person])
    unclear += side_violations(frame[split]) if split else []
    if unclear:
        raise BadTexts("; ".join(map(str, unclear)), rows=sum(one.count for one in unclear))
    return Notes(
        texts=frame[schema.text].to_numpy(dtype=object),
        labels=labels,
        persons=persons_of(frame[schema.person]).to_numpy(dtype=str),
    )


def pooled_notes(parts: Sequence[Notes]) -> Notes:
    """Return the notes of several sites as those of one; their persons stay distinct."""
    # The site's number before each identifier: the same identifier at two sites is two persons.
    return Notes(
        texts=np.concatenate([part.texts for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        persons=np.concatenate(
            [np.char.add(f"{site}/", part.persons) for site, part in enumerate(parts)]
        ),
    )


def declared_names(label: ClassLabel | MultiLabel) -> tuple[str, ...]:
    """Return the names of the classes or labels, in the order of their codes."""
    return label.classes if isinstance(label, ClassLabel) else label.labels


def _strata(labels: Tally) -> Tally:
    """Return what version 0.1.0 divided texts by: the class, or 1 + the first label, or 0."""
    if labels.ndim == 1:
        return labels
    return np.where(labels.any(axis=1), labels.argmax(axis=1) + 1, 0)


def _label_matrix(cells: "pd.Series[Any]", label: MultiLabel) -> Tally:
    """Return 1 where a text has a label, else 0, shape (n, n_labels)."""
    code = {name: index for index, name in enumerate(label.labels)}
    marks = np.zeros((len(cells), len(code)), np.int64)
    unknown: dict[str, list[Any]] = {}
    for row, (place, cell) in enumerate(cells.items()):
        for written in _labels_in_cell(cell, label.separator):
            name = declared_value(written, label.labels) or written
            if name in code:
                marks[row, code[name]] = 1
            else:
                unknown.setdefault(name, []).append(place)
    if unknown:
        places = pd.Index(sorted({place for found in unknown.values() for place in found}))
        _refuse_rows(
            places,
            f"{label.column} has labels that are not declared, such as {sorted(unknown)[:_SHOWN]}",
            f"declared are {', '.join(label.labels)}",
        )
    return marks


def _labels_in_cell(cell: object, separator: str) -> list[str]:
    """Return the labels in a cell; none if it is empty."""
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


def _refuse_rows(places: "pd.Index[Any]", wrong: str, advice: str) -> None:
    if not len(places):
        return
    shown = ", ".join(str(place) for place in places[:_SHOWN])
    more = ", ..." if len(places) > _SHOWN else ""
    rows = "row" if len(places) == 1 else f"{len(places)} rows:"
    raise BadTexts(f"{wrong} in {rows} {shown}{more}; {advice}", rows=len(places))
