"""Small tables for the tests of descriptions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.learners.counted_tables import Columns
from sites.schema.tables import Category, ClassLabel, EventTimeLabel, Number, NumberLabel, Schema
from sites.statistics.tables import TableStatistics

FEATURES = (
    Number(name="age", low=18, high=100, unit="years"),
    Number(name="income", low=0, high=1e6, missing=True, scale="log"),
    Category(name="sex", values=("female", "male"), missing=True),
)
CLASSES = Schema(
    name="t", person="p", features=FEATURES, label=ClassLabel(column="ill", classes=("no", "yes"))
)
NUMBERS = Schema(
    name="t", person="p", features=FEATURES, label=NumberLabel(column="cost", low=0, high=1000)
)
ENDS = Schema(
    name="t",
    person="p",
    features=FEATURES,
    label=EventTimeLabel(column="end", classes=("alive", "dead"), time="days", high=100, bins=10),
)


@dataclass(frozen=True)
class Records:
    """Records by column."""

    columns: Columns
    labels: NDArray[np.int64] | NDArray[np.float64]

    @property
    def persons(self) -> NDArray[np.str_]:
        """Whose record each is: everybody has one."""
        return np.arange(len(self.labels)).astype(np.str_)

    def part(self, rows: NDArray[np.bool_]) -> "Records":
        """Return some of them."""
        kept = {name: values[rows] for name, values in self.columns.items()}
        return Records(kept, self.labels[rows])


def drawn(schema: Schema, n: int, seed: int) -> Records:
    """Return n records, some of whose values are missing."""
    rng = np.random.default_rng(seed)
    income = np.where(rng.random(n) < 0.1, np.nan, np.exp(rng.normal(9, 1, n)).clip(0, 1e6))
    labels = rng.integers(0, 2, n) if schema is CLASSES else rng.uniform(0, 1000, n)
    if schema is ENDS:
        labels = np.stack([rng.integers(0, 2, n), rng.uniform(0, 100, n)], axis=1)
    columns = {
        "age": rng.integers(18, 101, n).astype(np.float64),
        "income": income,
        "sex": rng.integers(-1, 2, n),
    }
    return Records(columns, labels)


def statistics_of(schema: Schema, records: Records) -> Tally:
    """Return the statistics of records as those of the pool."""
    return TableStatistics(schema).tally(
        records.columns, records.labels, persons=len(records.labels)
    )
