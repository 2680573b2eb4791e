"""A site's records by column, and their encoding as inputs of a model by the agreed schema."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from sites.plans import Labels
from sites.schema.tables import Category, Number, Schema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import UndeclaredCategory, scale_values
from sites.tasks.divided_records import DividedRecords

Columns: TypeAlias = Mapping[str, NDArray[Any]]
Derived = TypeVar("Derived")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Records by column, each of shape (n,).

    Args:
        columns: Numbers in their unit with NaN where missing; categories as codes in the
            declared order with -1 where missing.
        labels: Class codes, or values in the label's unit, shape (n,); how and when a record
            ended, shape (n, 2).
        persons: Whose record each is.
    """

    columns: Columns
    labels: Labels
    persons: NDArray[np.str_]
    _derived: dict[str, tuple[bytes, Any]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.labels)

    def once(self, what: str, key: bytes, derive: Callable[[], Derived]) -> Derived:
        """Return what is derived of the records, kept until it is asked for with another key.

        Args:
            what: Its name.
            key: Identifies all that it depends on besides the records: equal keys stand for equal
                ones.
            derive: Derives it. It is shared with whoever asks again, so nobody changes it.
        """
        before = self._derived.get(what)
        if before is None or before[0] != key:
            self._derived[what] = before = (key, derive())
        found: Derived = before[1]
        return found

    def inputs(self, schema: Schema, constants: Constants, *, key: bytes) -> NDArray[np.float32]:
        """Return `encode_columns` of the columns, cached until it is called with another key.

        Args:
            schema: Of the columns.
            constants: By which numbers are standardised.
            key: Identifies schema and constants: equal keys stand for equal ones.
        """
        return self.once("inputs", key, lambda: encode_columns(self.columns, schema, constants))

    def content_of(self, row: int) -> bytes:
        """Return what tells a record from the others of its person: its values."""
        values = [*(self.columns[name][row] for name in sorted(self.columns)), self.labels[row]]
        return repr([value.tolist() for value in values]).encode()

    def classes(self, n_classes: int) -> NDArray[np.int64]:
        """Return the class of each record, shape (n,); 0 of a number, and -1 without a label."""
        codes = self.labels[:, 0] if self.labels.ndim == 2 else self.labels
        return codes.astype(np.int64) if n_classes else np.where(np.isnan(codes), -1, 0)

    def select(self, rows: NDArray[np.bool_]) -> "Table":
        """Return the records where the mask is true."""
        return Table(
            columns={name: values[rows] for name, values in self.columns.items()},
            labels=self.labels[rows],
            persons=self.persons[rows],
        )


@dataclass(frozen=True, kw_only=True)
class TableData(DividedRecords[Table]):
    """A site's records, all those of a person on one side.

    Args:
        n_classes: Of the label; 0 for a number.
    """

    n_classes: int

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training records of each class; empty for regression."""
        if not self.n_classes:
            return ()
        classes = self.training.classes(self.n_classes)
        return tuple(np.bincount(classes, minlength=self.n_classes).tolist())

    @property
    def training_classes(self) -> NDArray[np.bool_]:
        """Which class each training record is of, shape (n, n_classes); one for a number."""
        labels = self.training.classes(self.n_classes)
        of_class: NDArray[np.bool_] = labels[:, None] == np.arange(max(self.n_classes, 1))
        return of_class


def encode_columns(columns: Columns, schema: Schema, constants: Constants) -> NDArray[np.float32]:
    """Return the model's inputs, shape (n, len(schema.encoded_names)), in that order.

    Numbers are standardised by the pooled constants, and 0 where missing. Categories are one-hot,
    and all 0 where missing. A column that may be missing also has an indicator.

    Guarantee: nothing is learnt from these records; the encoding of a row depends on it alone.

    Raises:
        OutOfBounds: A number is outside its declared bounds.
        UndeclaredCategory: A code stands for no declared value.
    """
    parts = []
    for item in schema.features:
        values = columns[item.name]
        match item:
            case Number():
                standard = constants.numbers[item.name]
                encoded = (scale_values(item, values) - standard.mean) / standard.deviation
                missing = np.isnan(encoded)
                parts.append(np.where(missing, 0.0, encoded)[:, None])
            case Category():
                if values.max(initial=-1) >= len(item.values):
                    largest = len(item.values) - 1
                    raise UndeclaredCategory(
                        f"{item.name} needs codes from 0 to {largest}, -1 where missing"
                    )
                missing = values < 0
                parts.append(values[:, None] == np.arange(len(item.values)))
        if item.missing:
            parts.append(missing[:, None])
    return np.concatenate(parts, axis=1, dtype=np.float32)


def pooled_table(tables: Sequence[Table]) -> Table:
    """Return the records of several sites as one table; their persons stay distinct."""
    # The site's number before each identifier: the same identifier at two sites is two persons.
    return Table(
        columns={
            name: np.concatenate([table.columns[name] for table in tables])
            for name in tables[0].columns
        },
        labels=np.concatenate([table.labels for table in tables]),
        persons=np.concatenate(
            [np.char.add(f"{site}/", table.persons) for site, table in enumerate(tables)]
        ),
    )
