#!/usr/bin/env bash
# Packages: omop-lite 0.9.2, which ships the OMOP common data model's definitions of tables for
#   DuckDB, and duckdb 2.0.1 (through duckdb-engine 0.17.0). Seen 2026-11-30.
#
# Question: which laboratory values and drug strengths does an OMOP database hold on DuckDB?
# Good guess: those of the files that were loaded. The definitions say `NUMERIC` for each of them,
#   which on PostgreSQL, with the same words, and on SQLite keeps all digits; the model itself
#   says float.
# What happens: to DuckDB `NUMERIC` is `DECIMAL(18,3)`, and each value is rounded to three decimals:
#   by `COPY`, by INSERT, from Python, and in Parquet files written from the table. No warning, no
#   error; the counts of rows are right. A capsule of 0.00025 mg of calcitriol has the strength 0,
#   one of 0.0005 mg has 0.001, twice its own. A troponin of 15.8 ng/L, filed as 0.0158 ug/L, is
#   above the upper limit of 0.0156; both become 0.016, and no value is above any more.
#   DuckDB documents its default scale. The common data model's definitions for DuckDB use the type
#   25 times all the same, and omop-lite's documentation says nothing of it. Another package that
#   ships them puts DOUBLE in its place.
# Why it matters here: hospitals run one study on different databases. On DuckDB it counts other
#   patients where values are small, and gives a drug of small doses twice its dose, or none.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet omop-lite==0.9.2 duckdb==2.0.1 duckdb-engine==0.17.0 \
    sqlalchemy==2.1.9 pydantic-settings==2.16.3 typer==0.29.2
cd "$folder"
mkdir data
"$folder/venv/bin/python" - <<'PYTHON'
import csv

TABLES = {
    "MEASUREMENT": (
        "measurement_id person_id measurement_concept_id measurement_date measurement_datetime "
        "measurement_time measurement_type_concept_id operator_concept_id value_as_number "
        "value_as_concept_id unit_concept_id range_low range_high provider_id visit_occurrence_id "
        "visit_detail_id measurement_source_value measurement_source_concept_id unit_source_value "
        "unit_source_concept_id value_source_value measurement_event_id "
        "meas_event_field_concept_id",
        [  # person, value, upper limit of the laboratory: troponin I in ug/L
            {"measurement_id": i, "person_id": i, "measurement_concept_id": 0}
            | {"measurement_date": "2026-01-05", "measurement_type_concept_id": 0}
            | {"value_as_number": value, "range_high": "0.0156", "unit_source_value": "ug/L"}
            for i, value in enumerate(("0.0158", "0.0126", "0.0004"), 1)
        ],
    ),
    "DRUG_STRENGTH": (
        "drug_concept_id ingredient_concept_id amount_value amount_unit_concept_id "
        "numerator_value numerator_unit_concept_id denominator_value denominator_unit_concept_id "
        "box_size valid_start_date valid_end_date invalid_reason",
        [  # capsules of calcitriol in mg
            {"drug_concept_id": i, "ingredient_concept_id": 0, "amount_value": value}
            | {"amount_unit_concept_id": 8576}
            | {"valid_start_date": "1970-01-01", "valid_end_date": "2099-12-31"}
            for i, value in enumerate(("0.00025", "0.0005"), 1)
        ],
    ),
}
for name, (columns, rows) in TABLES.items():
    with open(f"data/{name}.csv", "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, columns.split(), delimiter="\t", lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
PYTHON
"$folder/venv/bin/omop-lite" --dialect duckdb --db-name omop.duckdb --schema-name cdm \
    --data-dir data > log 2>&1 || { cat log; exit 1; }
if grep -iE 'round|precision|decimal' log; then exit 1; fi # no warning
"$folder/venv/bin/python" - <<'PYTHON'
import sqlite3
import warnings
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import duckdb

warnings.simplefilter("error")
database = duckdb.connect("omop.duckdb")
MEASURED = "SELECT value_as_number, range_high FROM cdm.measurement ORDER BY measurement_id"
STRENGTH = "SELECT amount_value FROM cdm.drug_strength ORDER BY drug_concept_id"
ABOVE = "SELECT count(*) FROM {} WHERE value_as_number > range_high"


def texts(query, source=database):
    return [tuple(str(value) for value in row) for row in source.execute(query).fetchall()]


def text(kind):
    package = Path(find_spec("omop_lite").origin).parent
    return (package / f"scripts/{kind}/omop5_4/ddl.sql").read_text(encoding="utf-8")


number = text("duckdb").upper().count(" NUMERIC ")
print("Columns of the type NUMERIC:", number)
assert number == 25
types = database.execute(
    "SELECT DISTINCT data_type FROM information_schema.columns"
    " WHERE table_schema = 'cdm' AND data_type LIKE 'DECIMAL%'"
)
assert types.fetchall() == [("DECIMAL(18,3)",)]

strengths = texts(STRENGTH)
print("Calcitriol of 0.00025 and 0.0005 mg:", [one for (one,) in strengths])
assert strengths == [("0.000",), ("0.001",)]
measured = texts(MEASURED)
print("Troponin of 0.0158, 0.0126 and 0.0004 with the limit 0.0156:", measured)
assert measured == [("0.016", "0.016"), ("0.013", "0.016"), ("0.000", "0.016")]

read = "read_csv('data/MEASUREMENT.csv', delim = '\t')"
by_file, by_table = (
    database.execute(ABOVE.format(source)).fetchone()[0] for source in (read, "cdm.measurement")
)
print("Patients above the limit: in the file", by_file, "- in the table", by_table)
assert (by_file, by_table) == (1, 0)

row = "INSERT INTO cdm.measurement BY NAME SELECT 9 AS measurement_id, 9 AS person_id, "
row += "0 AS measurement_concept_id, DATE '2026-01-05' AS measurement_date, "
row += "0 AS measurement_type_concept_id, ? AS value_as_number"
for value in (0.0004, Decimal("0.0004"), "0.0004"):
    database.execute(row, [value])
    (kept,) = database.execute(
        "DELETE FROM cdm.measurement WHERE measurement_id = 9 RETURNING value_as_number"
    ).fetchone()
    print(f"INSERT of {value!r}: {kept}")
    assert str(kept) == "0.000"

database.execute("COPY cdm.measurement TO 'measurement.parquet'")
assert texts("SELECT value_as_number FROM 'measurement.parquet' ORDER BY measurement_id") == [
    ("0.016",),
    ("0.013",),
    ("0.000",),
]

other = sqlite3.connect(":memory:")  # the definitions for PostgreSQL, with the same type
other.execute("ATTACH ':memory:' AS cdm")
other.executescript(text("pg").replace("@cdmDatabaseSchema", "cdm"))
for i, value in enumerate(("0.00025", "0.0005"), 1):
    other.execute(
        "INSERT INTO cdm.drug_strength (drug_concept_id, ingredient_concept_id, amount_value,"
        " valid_start_date, valid_end_date) VALUES (?, 0, ?, '1970-01-01', '2099-12-31')",
        (i, value),
    )
kept = [one for (one,) in other.execute(STRENGTH)]
print("SQLite, the same type:", kept)
assert kept == [0.00025, 0.0005]
PYTHON
