"""How long until a table is read and checked? Beside `pandas.read_csv` plus pandera on its file.

`python -m tests.benchmarks.tables [--json]` from the root of the repository. Times are CPU times,
all threads together. What a large table needs at its peak is measured in a process of its own.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pandera

from sites.data.source import TableFile
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.tasks.tabular.loading import read_valid_table, table_of
from tests.benchmarks.figures import options, print_figures
from tests.benchmarks.peak import keep_peak

SMALL_ROWS, SMALL_COLUMNS = 50, 29
LARGE_ROWS, LARGE_COLUMNS = 1_000_000, 30
SMALL_TARGET_S = 0.02
RATIO_TARGET = 2.0
PEAK_TARGET = 1.0
SPARE_BYTES = 200_000_000  # beside twice the table
VALUES = ("planned", "emergency", "transfer")


def schema_of(n_columns: int) -> Schema:
    """Return a schema of this many columns, a fifth of them categories."""
    features = [
        Category(name=f"c{one}", values=VALUES)
        if one % 5 == 0
        else Number(name=f"n{one}", low=-1e6, high=1e6)
        for one in range(n_columns - 2)
    ]
    label = ClassLabel(column="ill", classes=("no", "yes"))
    return Schema(name="ward", person="patient", features=tuple(features), label=label)


def write_table(path: Path, schema: Schema, n_rows: int) -> None:
    """Write a clean table, each row of a person of its own."""
    rng = np.random.default_rng(1)
    columns: dict[str, object] = {schema.person: np.arange(n_rows)}
    for item in schema.features:
        if isinstance(item, Category):
            columns[item.name] = rng.choice(item.values, n_rows)
        else:
            columns[item.name] = rng.normal(0, 100, n_rows).round(3)
    columns[schema.label.column] = rng.choice(["no", "yes"], n_rows)
    pd.DataFrame(columns).to_csv(path, index=False)


def read(path: Path, schema: Schema) -> int:
    """Read and check a table as a site does; return the bytes of what it keeps."""
    table = table_of(read_valid_table(TableFile(path=path), schema), schema)
    kept = [*table.columns.values(), table.labels, table.persons]
    return sum(values.nbytes for values in kept)


def read_beside(path: Path, schema: Schema) -> None:
    """Read and check the same table with `pandas.read_csv` and pandera."""
    columns = {
        item.name: pandera.Column(checks=pandera.Check.isin(item.values))
        if isinstance(item, Category)
        else pandera.Column(float, pandera.Check.between(item.low, item.high))
        for item in schema.features
    }
    columns[schema.label.column] = pandera.Column(checks=pandera.Check.isin(["no", "yes"]))
    pandera.DataFrameSchema(columns).validate(pd.read_csv(path), lazy=True)


def cpu_seconds(action: Callable[[Path, Schema], object], path: Path, schema: Schema) -> float:
    """Return the CPU that an action takes."""
    began = time.process_time()
    action(path, schema)
    return time.process_time() - began


def side_by_side(path: Path, schema: Schema, repeats: int) -> dict[str, float]:
    """Return the median CPU of both, in turns, so that a busy machine burdens both alike."""
    read(path, schema)  # the first also imports what is needed
    read_beside(path, schema)
    ours, beside = [], []
    for _ in range(repeats):
        ours.append(cpu_seconds(read, path, schema))
        beside.append(cpu_seconds(read_beside, path, schema))
    cpu, baseline = statistics.median(ours), statistics.median(beside)
    return {"cpu_s": cpu, "baseline_cpu_s": baseline, "ratio": cpu / baseline}


def peak_of(path: Path) -> dict[str, float]:
    """Return what this process takes at its peak to read a large table, and what it keeps."""
    schema = schema_of(LARGE_COLUMNS)
    small = path.with_name("small.csv")
    write_table(small, schema, SMALL_ROWS)
    read(small, schema)
    with keep_peak() as peak:
        kept = read(path, schema)
    return {"peak_bytes": peak[0], "table_bytes": kept, "share": peak[0] / (2 * kept + SPARE_BYTES)}


def figures(folder: Path, *, rows: int = LARGE_ROWS) -> dict[str, dict[str, float]]:
    """Return the figures of a small and of a large table."""
    small, large = folder / "small.csv", folder / "large.csv"
    write_table(small, schema_of(SMALL_COLUMNS), SMALL_ROWS)
    write_table(large, schema_of(LARGE_COLUMNS), rows)
    code = (
        "import json, pathlib; from tests.benchmarks.tables import peak_of; "
        f"print(json.dumps(peak_of(pathlib.Path({str(large)!r}))))"
    )
    measured = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return {
        "small": side_by_side(small, schema_of(SMALL_COLUMNS), 15),
        "large": {
            **side_by_side(large, schema_of(LARGE_COLUMNS), 3),
            **json.loads(measured.stdout),
        },
    }


def missed_targets(found: dict[str, dict[str, float]]) -> list[dict[str, object]]:
    """Return the figures that are above their target."""
    held = (
        ("cpu_s of a small table", found["small"]["cpu_s"], SMALL_TARGET_S),
        ("ratio of a large table", found["large"]["ratio"], RATIO_TARGET),
        ("share of the memory allowed", found["large"]["share"], PEAK_TARGET),
    )
    return [
        {"what": what, "figure": round(figure, 4), "target": target}
        for what, figure, target in held
        if figure > target
    ]


def main() -> None:
    """Run the benchmark and print its figures."""
    chosen = options(__doc__).parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder))
    report = {
        "benchmark": "tables",
        "baseline": "pandas.read_csv plus pandera on the same clean file",
        "rows": {"small": SMALL_ROWS, "large": LARGE_ROWS},
        "figures": {
            name: {what: round(figure, 4) for what, figure in one.items()}
            for name, one in found.items()
        },
        "missed": missed_targets(found),
        "seconds": round(time.monotonic() - began, 1),
    }
    print_figures(report, as_json=chosen.json)


if __name__ == "__main__":
    main()
