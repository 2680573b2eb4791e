"""Small tables of every kind of column, generated."""

import numpy as np

from sites.schema.tables import Category, ClassLabel, Label, Number, NumberLabel, Schema
from sites.tasks.tabular.data import Table

CLASSES = ClassLabel(column="ill", classes=("no", "yes"))
COUNTS = NumberLabel(column="visits", low=0, high=200, unit="visits")
AMOUNT = NumberLabel(column="cost", low=-100, high=1_000, unit="EUR")
FEATURES = (
    Number(name="age", low=0, high=120, unit="years"),
    Number(name="income", low=0, high=1e6, unit="EUR", scale="log", missing=True),
    Category(name="ward", values=("a", "b", "c")),
    Category(name="smoker", values=("no", "yes"), missing=True),
)


def schema_of(label: Label) -> Schema:
    """Return the schema of a generated table."""
    return Schema(name="generated", person="person", features=FEATURES, label=label)


def table_with(label: Label, n: int, *, seed: int = 0, missing: float = 0.0) -> Table:
    """Return records whose label depends on all columns.

    Args:
        label: One of the three.
        n: Number of records.
        seed: Of the generator.
        missing: Share of missing values, where they may be.
    """
    rng = np.random.default_rng(seed)
    age, income = rng.uniform(20, 90, n).round(), rng.lognormal(9, 1, n).round(2).clip(0, 1e6)
    ward, smoker = rng.integers(0, 3, n), rng.integers(0, 2, n)
    sums = -1 + 0.02 * (age - 50) + 0.2 * np.log1p(income) - 1.6 + 0.5 * (ward == 1) + 0.7 * smoker
    labels = {
        "ill": (rng.random(n) < 1 / (1 + np.exp(-sums))).astype(np.int64),
        "visits": rng.poisson(np.exp(sums)).clip(0, 200).astype(np.float64),
        "cost": (100 * sums + 40 * rng.normal(size=n)).clip(-100, 1_000),
    }[label.column]
    return Table(
        columns={
            "age": age,
            "income": np.where(rng.random(n) < missing, np.nan, income),
            "ward": ward,
            "smoker": np.where(rng.random(n) < missing, -1, smoker),
        },
        labels=labels,
        persons=np.array([f"p{row}" for row in range(n)], dtype=str),
    )


def parts_of(table: Table, sites: np.ndarray) -> list[Table]:
    """Return the records of each site, by the number of the site of each record."""
    return [table.select(sites == site) for site in range(int(sites.max(initial=0)) + 1)]
