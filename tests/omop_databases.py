"""Databases of the OMOP CDM 5.4 in SQLite and DuckDB, and a hospital's patients in one.

The tables are those of the OHDSI's definition (`OMOPCDM_duckdb_5.4_ddl.sql`), with the columns that
must have a value and those that a map reads.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

Row = dict[str, Any]
Tables = Mapping[str, Sequence[Row]]
DDL = {
    "person": "person_id integer NOT NULL, gender_concept_id integer NOT NULL, "
    "year_of_birth integer NOT NULL, month_of_birth integer, day_of_birth integer, "
    "race_concept_id integer NOT NULL, ethnicity_concept_id integer NOT NULL",
    "visit_occurrence": "visit_occurrence_id integer NOT NULL, person_id integer NOT NULL, "
    "visit_concept_id integer NOT NULL, visit_start_date date NOT NULL",
    "condition_occurrence": "condition_occurrence_id integer NOT NULL, person_id integer NOT NULL, "
    "condition_concept_id integer NOT NULL, condition_start_date date NOT NULL",
    "drug_exposure": "drug_exposure_id integer NOT NULL, person_id integer NOT NULL, "
    "drug_concept_id integer NOT NULL, drug_exposure_start_date date NOT NULL",
    "procedure_occurrence": "procedure_occurrence_id integer NOT NULL, person_id integer NOT NULL, "
    "procedure_concept_id integer NOT NULL, procedure_date date NOT NULL",
    "measurement": "measurement_id integer NOT NULL, person_id integer NOT NULL, "
    "measurement_concept_id integer NOT NULL, measurement_date date NOT NULL, "
    "operator_concept_id integer, value_as_number NUMERIC, value_as_concept_id integer, "
    "unit_concept_id integer",
    "observation": "observation_id integer NOT NULL, person_id integer NOT NULL, "
    "observation_concept_id integer NOT NULL, observation_date date NOT NULL",
    "death": "person_id integer NOT NULL, death_date date NOT NULL",
    "concept_ancestor": "ancestor_concept_id integer NOT NULL, "
    "descendant_concept_id integer NOT NULL, min_levels_of_separation integer NOT NULL, "
    "max_levels_of_separation integer NOT NULL",
}
AT_ONCE = 200  # rows: DuckDB takes a millisecond for a statement, however few it has
UNKNOWN = {"gender_concept_id": 0, "race_concept_id": 0, "ethnicity_concept_id": 0}


def write_database(path: Path, tables: Tables, *, ddl: Mapping[str, str] = DDL) -> None:
    """Write tables into a database of DuckDB (`.duckdb`) or SQLite; those not named are empty."""
    connection: Any = sqlite3.connect(path) if path.suffix != ".duckdb" else duckdb.connect(path)
    for table, columns in ddl.items():
        connection.execute(f"CREATE TABLE {table} ({columns})")
        rows = tables.get(table, ())
        connection.execute("BEGIN")
        for some in (rows[at : at + AT_ONCE] for at in range(0, len(rows), AT_ONCE)):
            names = [*rows[0]]
            marks = ", ".join(["(" + ", ".join("?" * len(names)) + ")"] * len(some))
            connection.execute(
                f"INSERT INTO {table} ({', '.join(names)}) VALUES {marks}",  # noqa: S608 -- names of this file
                [row[name] for row in some for name in names],
            )
        connection.commit()
    connection.close()


def below(ancestor: int, *descendants: int) -> list[Row]:
    """Return rows of `concept_ancestor`: concepts below another one, and each below itself."""
    pairs = [(ancestor, one) for one in descendants]
    pairs += [(one, one) for one in (ancestor, *descendants)]
    return [
        {
            "ancestor_concept_id": above,
            "descendant_concept_id": one,
            "min_levels_of_separation": int(above != one),
            "max_levels_of_separation": int(above != one),
        }
        for above, one in pairs
    ]


INPATIENT, MALE, FEMALE = 9201, 8507, 8532
MG_DL, MMOL_L = 8840, 8753
ISCHAEMIC, CORONARY = 4185932, 317576
ADMISSION, EXAMINED = "1988-06-15", "1988-06-16"
MG_OF_MMOL = 38.67
NUMBERS = {  # the concept and the unit of what is measured
    "resting_pressure": (3004249, 8876),
    "cholesterol": (3027114, MG_DL),
    "peak_heart_rate": (3027018, 8541),
    "st_depression": (2000000001, 8588),
    "vessels": (2000000002, 0),
}
CODED = {  # a hospital's own concepts begin at 2,000,000,000
    "chest_pain": ("asymptomatic", "non-anginal pain", "atypical angina", "typical angina"),
    "fasting_sugar_high": ("no", "yes"),
    "resting_ecg": ("normal", "st-t abnormality", "left ventricular hypertrophy"),
    "exercise_angina": ("no", "yes"),
    "st_slope": ("upsloping", "flat", "downsloping"),
    "thallium": ("normal", "fixed defect", "reversible defect"),
}
CODES = {name: 2000000100 + 10 * at for at, name in enumerate(CODED)}


def heart_omop_map() -> str:
    """Return the map of `write_heart_database`, in TOML."""
    parts = [
        """person = "patient"

[index]                                  # days count from the admission
table = "visit_occurrence"
concepts = [9201]                        # inpatient visit
take = "first"

[columns.age]
table = "person"
value = "age"                            # in completed years

[columns.sex]
table = "person"
value = "gender"
means = { 8507 = "male", 8532 = "female" }

[columns.cholesterol]
table = "measurement"
concepts = [3027114]
value = "number"
unit = 8840                              # mg/dL
units = { 8753 = 38.67 }                 # what mmol/L is multiplied by
take = "latest"
within_days = [-365, 7]
""",
        *(
            f"""[columns.{name}]
table = "measurement"
concepts = [{concept}]
value = "number"
unit = {unit}
take = "latest"
within_days = [0, 7]
"""
            for name, (concept, unit) in NUMBERS.items()
            if name != "cholesterol"
        ),
        *(
            f"""[columns.{name}]
table = "measurement"
concepts = [{CODES[name]}]
value = "concept"
take = "latest"
within_days = [0, 7]

[columns.{name}.means]
{"".join(f'{CODES[name] + 1 + at} = "{value}"' + chr(10) for at, value in enumerate(values))}"""
            for name, values in CODED.items()
        ),
        """[columns.disease]
table = "condition_occurrence"
concepts = [4185932]                     # ischaemic heart disease, and all below it
take = "exists"
within_days = [0, 30]
""",
    ]
    return "\n".join(parts)


def write_heart_database(frame: pd.DataFrame, path: Path) -> None:
    """Write the patients of `heart-diagnosis` as a database of DuckDB or SQLite."""
    write_database(path, heart_tables(frame))


def heart_tables(frame: pd.DataFrame) -> Tables:
    """Return the patients of `heart-diagnosis` as tables.

    Among their rows are what a map has to leave out: values of other days, and later visits.
    """
    rows = [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]
    measured = [one for row in rows for one in _measurements(row)]
    stays = [(row, day) for row in rows for day in (ADMISSION, "1988-09-01")]
    return {
        "person": [
            {
                **UNKNOWN,
                "person_id": int(row["patient"]),
                "gender_concept_id": MALE if row["sex"] == "male" else FEMALE,
                "year_of_birth": 1988 - int(row["age"]),
                "month_of_birth": 3,
                "day_of_birth": None,
            }
            for row in rows
        ],
        "visit_occurrence": [
            {
                "visit_occurrence_id": at,
                "person_id": int(row["patient"]),
                "visit_concept_id": INPATIENT,
                "visit_start_date": day,
            }
            for at, (row, day) in enumerate(stays)
        ],
        "measurement": [{"measurement_id": at, **one} for at, one in enumerate(measured)],
        "condition_occurrence": [
            {
                "condition_occurrence_id": at,
                "person_id": int(row["patient"]),
                "condition_concept_id": CORONARY,
                "condition_start_date": "1988-06-20" if row["disease"] == "yes" else "1989-01-01",
            }
            for at, row in enumerate(rows)
        ],
        "concept_ancestor": below(ISCHAEMIC, CORONARY),
    }


def _measurements(row: Row) -> Iterator[Row]:
    for name, (concept, unit) in NUMBERS.items():
        amount = row[name]
        if pd.isna(amount):
            continue
        yield _measurement(row, concept, "1980-01-01", number=99.0, unit=unit)
        if name == "cholesterol" and int(row["patient"]) % 5 == 0:
            amount, unit = round(amount / MG_OF_MMOL, 3), MMOL_L
        yield _measurement(row, concept, EXAMINED, number=float(amount), unit=unit)
    for name, values in CODED.items():
        if not pd.isna(row[name]):
            code = CODES[name]
            yield _measurement(row, code, EXAMINED, meaning=code + 1 + values.index(row[name]))


def _measurement(
    row: Row,
    concept: int,
    day: str,
    *,
    number: float | None = None,
    unit: int | None = None,
    meaning: int | None = None,
) -> Row:
    return {
        "person_id": int(row["patient"]),
        "measurement_concept_id": concept,
        "measurement_date": day,
        "value_as_number": number,
        "unit_concept_id": unit,
        "value_as_concept_id": meaning,
    }
