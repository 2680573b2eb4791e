"""Made-up tables of ten columns and any number of rows."""

from pathlib import Path

import numpy as np
import pandas as pd

from sites.schema.tables import Category, ClassLabel, Number, Schema

ROWS_OF_PERSON = 10
ROWS_OF_PART = 100_000
VALUES = ("planned", "emergency", "transfer")

LABEL = ClassLabel(column="ill", classes=("no", "yes"))

SCHEMA = Schema(
    name="ward",
    person="patient",
    features=(
        *(Number(name=f"n{one}", low=-1e6, high=1e6) for one in range(6)),
        *(Category(name=f"c{one}", values=VALUES) for one in range(2)),
    ),
    label=LABEL,
)


def write_made_up_table(path: Path, n_rows: int) -> None:
    """Write a clean table, part by part; ten rows in succession are of one person."""
    rng = np.random.default_rng(1)
    size = min(n_rows, ROWS_OF_PART)
    columns: dict[str, object] = {}
    for item in SCHEMA.features:
        if isinstance(item, Category):
            columns[item.name] = rng.choice(item.values, size)
        else:
            columns[item.name] = rng.normal(0, 100, size).round(3)
    columns[LABEL.column] = rng.choice(LABEL.classes, size)
    # A part repeats the first one but for its persons: its rows are written only once as text.
    rest = pd.DataFrame(columns).to_csv(index=False, header=False).splitlines()
    names = ",".join([SCHEMA.person, *columns])
    with path.open("w") as file:
        file.write(f"{names}\n")
        for first in range(0, n_rows, size):
            persons = range(first, min(first + size, n_rows))
            file.writelines(
                f"{row // ROWS_OF_PERSON},{text}\n"
                for row, text in zip(persons, rest, strict=False)
            )
