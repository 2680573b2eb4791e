"""How long until an OMOP database is rows? Beside fetching the same rows from it and no more.

`python -m tests.benchmarks.omop [--json]` from the root of the repository. Times are CPU times.
"""

import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from sites.data.omop.maps import read_map
from sites.data.omop.statements import statements_of
from sites.data.source import OmopDatabase
from sites.data.tables import read_table
from tests.benchmarks.figures import options, print_figures
from tests.omop_databases import UNKNOWN, Row, below, write_database

N_PERSONS = 100_000
CPU_TARGET_S = 10.0
LABS = (3023103, 3019550, 3016723, 3000963)
DIAGNOSES = (201826, 443238, 320128, 317576, 192671, 255573)
MAP = """person = "patient"
[index]
table = "visit_occurrence"
concepts = [9201]
[columns.age]
table = "person"
value = "age"
[columns.diabetes]
table = "condition_occurrence"
concepts = [201826]
take = "exists"
within_days = "always"
[columns.died]
table = "death"
within_days = [0, 365]
""" + "".join(
    f"""[columns.lab-{lab}]
table = "measurement"
concepts = [{lab}]
value = "number"
unit = 8753
units = {{ 8840 = 0.1 }}
take = "{take}"
within_days = [-365, 0]
"""
    for lab, take in zip(LABS, ("latest", "mean", "max", "first"), strict=True)
)


def write_hospital(folder: Path, n_persons: int) -> OmopDatabase:
    """Write a database in SQLite: for each person 2 visits, 3 conditions and 8 measurements."""
    rng = np.random.default_rng(1)

    def days(n: int) -> list[str]:
        start = np.datetime64("2022-01-01")
        return [str(day) for day in start + rng.integers(0, 730, n).astype("timedelta64[D]")]

    def events(
        table: str, prefix: str, day: str, concepts: tuple[int, ...], each: int
    ) -> list[Row]:
        n = each * n_persons
        columns = (f"{table}_id", "person_id", f"{prefix}_concept_id", day)
        persons, chosen = rng.integers(0, n_persons, n), rng.choice(concepts, n)
        rows = zip(range(n), persons.tolist(), chosen.tolist(), days(n), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    born = rng.integers(1930, 2000, n_persons).tolist()
    measured = events("measurement", "measurement", "measurement_date", LABS, 8)
    for one, value, unit in zip(
        measured, rng.normal(5, 1, len(measured)), rng.integers(0, 10, len(measured)), strict=True
    ):
        one["value_as_number"], one["unit_concept_id"] = float(value), 8753 if unit else 8840
    write_database(
        folder / "cdm.db",
        {
            "person": [
                {**UNKNOWN, "person_id": at, "year_of_birth": year} for at, year in enumerate(born)
            ],
            "visit_occurrence": events(
                "visit_occurrence", "visit", "visit_start_date", (9201, 9202), 2
            ),
            "condition_occurrence": events(
                "condition_occurrence", "condition", "condition_start_date", DIAGNOSES, 3
            ),
            "measurement": measured,
            "death": [
                {"person_id": at, "death_date": day}
                for at, day in zip(range(0, n_persons, 20), days(n_persons), strict=False)
            ],
            "concept_ancestor": below(201826, 443238),
        },
    )
    (folder / "map.toml").write_text(MAP)
    return OmopDatabase(url=f"sqlite:///{folder}/cdm.db", map=folder / "map.toml")


def figures(folder: Path, *, n_persons: int = N_PERSONS) -> dict[str, float]:
    """Return the CPU to make rows of a database, and that to fetch what they are made of."""
    source = write_hospital(folder, n_persons)
    statements = statements_of(read_map(source.map)).values()
    began = time.process_time()
    connection = sqlite3.connect(folder / "cdm.db")
    n_read = sum(len(connection.execute(one.text).fetchall()) for one in statements)
    connection.close()
    fetched = time.process_time()
    frame = read_table(source)
    cpu_s, fetching = time.process_time() - fetched, fetched - began
    return {
        "rows": len(frame),
        "rows_read": n_read,
        "cpu_s": cpu_s,
        "fetching_cpu_s": fetching,
        "ratio": cpu_s / fetching,
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    chosen = options(__doc__).parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder))
    missed = (
        [{"what": "cpu_s", "figure": round(found["cpu_s"], 4), "target": CPU_TARGET_S}]
        if found["cpu_s"] > CPU_TARGET_S
        else []
    )
    report = {
        "benchmark": "omop",
        "baseline": "fetchall of each statement with sqlite3",
        "figures": {what: round(figure, 4) for what, figure in found.items()},
        "missed": missed,
        "seconds": round(time.monotonic() - began, 1),
    }
    print_figures(report, as_json=chosen.json)


if __name__ == "__main__":
    main()
