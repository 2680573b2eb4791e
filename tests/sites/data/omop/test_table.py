"""One row a person: what a map says of OMOP tables is what stands in the table."""

import itertools
import math
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.library.heart_diagnosis import SCENARIO
from sites.data.omop.refusals import BadCdmRows
from sites.data.omop.table import read_omop
from sites.data.source import OmopDatabase, TableFile
from sites.data.tables import EmptyTable, read_table
from sites.schema.tables import Schema
from sites.tasks.tabular.loading import read_valid_table
from tests.omop_databases import (
    DDL,
    UNKNOWN,
    Row,
    below,
    heart_omop_map,
    write_database,
    write_heart_database,
)
from tests.sites.data.omop.cdm import ENDINGS, INDEX, database, measurement, person, table_of


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_that_is_written_as_omop_is_that_table_again(tmp_path: Path, ending: str) -> None:
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == "cleveland"].head(40)
    write_heart_database(ours, tmp_path / f"ward{ending}")
    (tmp_path / "heart.toml").write_text(heart_omop_map())
    assert isinstance(SCENARIO.table, Schema)
    ours.sort_values("patient").to_csv(tmp_path / "t.csv", index=False)
    url = database(tmp_path / f"ward{ending}")
    made = read_valid_table(OmopDatabase(url=url, map=tmp_path / "heart.toml"), SCENARIO.table)
    written = read_valid_table(TableFile(path=tmp_path / "t.csv"), SCENARIO.table)
    pd.testing.assert_frame_equal(
        made.reset_index(drop=True),
        written.reset_index(drop=True),
        check_dtype=False,
        rtol=1e-3,  # of mmol/L, of which three decimals are kept
    )


LAW_MAP = """person = "patient"
[index]
table = "condition_occurrence"
concepts = [10]
take = "{index}"
between = [2020-01-03, 2020-01-20]
[columns.dead]
table = "death"
within_days = [0, 5]
""" + "".join(
    f"""[columns.{take}]
table = "measurement"
concepts = [20]
{"" if take in ("exists", "count") else 'value = "number"' + chr(10) + "unit = 1" + chr(10)}\
{"" if take in ("exists", "count") else "units = {{ 2 = 10 }}" + chr(10)}take = "{take}"
within_days = [-4, 2]
"""
    for take in ("exists", "count", "first", "latest", "min", "max", "mean")
)
DAYS = st.integers(0, 24).map(lambda day: date(2020, 1, 1) + timedelta(day))
PEOPLE = st.integers(1, 4)
EVENTS = st.lists(st.tuples(PEOPLE, st.sampled_from((10, 11, 12)), DAYS), max_size=8)
MEASURED = st.lists(
    st.tuples(
        PEOPLE,
        st.sampled_from((20, 21, 22)),
        DAYS,
        st.sampled_from((1, 2)),
        st.none() | st.integers(-40, 40).map(lambda value: value / 4),
    ),
    max_size=25,
)
DEATHS = st.lists(st.tuples(PEOPLE, DAYS), max_size=4, unique_by=lambda one: one[0])
BELOW = [*below(10, 11), *below(20, 21)]  # 12 and 22 stand below nothing


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(events=EVENTS, measured=MEASURED, deaths=DEATHS, index=st.sampled_from(("first", "latest")))
def test_cells_are_what_pandas_makes_of_the_rows_in_either_database(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Any],
    measured: list[Any],
    deaths: list[Any],
    index: str,
) -> None:
    folder = tmp_path_factory.mktemp("law")
    tables = {
        "person": [person(name) for name in (3, 1, 2, 4)],
        "condition_occurrence": [
            {
                "condition_occurrence_id": at,
                "person_id": name,
                "condition_concept_id": concept,
                "condition_start_date": day.isoformat(),
            }
            for at, (name, concept, day) in enumerate(events)
        ],
        "measurement": [
            measurement(
                at,
                name,
                measurement_concept_id=concept,
                measurement_date=day.isoformat(),
                unit_concept_id=unit,
                value_as_number=value,
            )
            for at, (name, concept, day, unit, value) in enumerate(measured)
        ],
        "death": [{"person_id": name, "death_date": day.isoformat()} for name, day in deaths],
        "concept_ancestor": BELOW,
    }
    expected = oracle(events, measured, deaths, index)
    declared = LAW_MAP.format(index=index)
    for ending in ENDINGS:
        if expected.empty:
            with pytest.raises(EmptyTable):
                table_of(folder, tables, declared, ending)
        else:
            made = table_of(folder, tables, declared, ending).reset_index(drop=True)
            pd.testing.assert_frame_equal(made, expected, check_dtype=False)


def oracle(events: list[Any], measured: list[Any], deaths: list[Any], index: str) -> pd.DataFrame:
    """Return the table of `LAW_MAP`, by filters and groups of pandas."""
    starts = pd.DataFrame(events, columns=["patient", "concept", "day"])
    starts = starts[starts["concept"].isin([10, 11])]
    starts = starts[starts["day"].between(date(2020, 1, 3), date(2020, 1, 20))]
    days = starts.groupby("patient")["day"].agg("min" if index == "first" else "max")
    rows = pd.DataFrame(measured, columns=["patient", "concept", "day", "unit", "value"])
    rows = rows[rows["concept"].isin([20, 21])]
    made = []
    for name, start in sorted(days.items()):
        offsets = rows["day"].map(lambda day, start=start: (day - start).days)
        own = rows[(rows["patient"] == name) & offsets.between(-4, 2)]
        numbers = (own["value"].astype(float) * own["unit"].map({1: 1.0, 2: 10.0}))[
            own["value"].notna()
        ]
        ordered = own.assign(value=numbers).dropna(subset="value").sort_values(["day", "value"])
        died = any(one == name and 0 <= (day - start).days <= 5 for one, day in deaths)
        made.append(
            {
                "patient": str(name),
                "dead": "yes" if died else "no",
                "exists": "yes" if len(own) else "no",
                "count": float(len(own)),
                "first": ordered["value"].iloc[0] if len(ordered) else math.nan,
                "latest": ordered["value"].iloc[-1] if len(ordered) else math.nan,
                "min": numbers.min(),
                "max": numbers.max(),
                "mean": numbers.mean(),
            }
        )
    return pd.DataFrame(made)


AGE = '[columns.age]\ntable = "person"\nvalue = "age"\n'


@pytest.mark.parametrize("ending", ENDINGS)
def test_identifiers_beyond_what_a_floating_number_holds_stay_apart(
    tmp_path: Path, ending: str
) -> None:
    """As `NUMERIC(20, 0)`, two of them would become one person."""
    ddl = {**DDL, "person": DDL["person"].replace("person_id integer", "person_id NUMERIC(18,0)")}
    names = [2**56 + 1, 2**56 + 2]
    write_database(tmp_path / f"a{ending}", {"person": [person(one) for one in names]}, ddl=ddl)
    (tmp_path / "map.toml").write_text(INDEX + AGE)
    frame = read_table(
        OmopDatabase(url=database(tmp_path / f"a{ending}"), map=tmp_path / "map.toml")
    )
    assert frame["patient"].tolist() == [str(one) for one in names]


@pytest.mark.parametrize(
    ("rule", "born", "age"),
    [
        ("middle", (1950, None, None), 73),
        ("first", (1950, None, None), 74),
        ("last", (1950, None, None), 73),
        ("middle", (1950, 6, None), 74),
        ("last", (1950, 6, None), 74),
        ("last", (1950, 7, None), 73),
        ("refuse", (1950, 7, 1), 73),
        ("middle", (1950, None, 1), 73),  # a day without a month says nothing
    ],
)
def test_an_age_is_in_completed_years(
    tmp_path: Path, rule: str, born: tuple[int | None, ...], age: int
) -> None:
    parts = dict(zip(("year_of_birth", "month_of_birth", "day_of_birth"), born, strict=True))
    tables = {"person": [{**person(1), **parts}]}
    declared = INDEX.replace("[index]", f'partial_dates = "{rule}"\n[index]') + AGE
    assert table_of(tmp_path, tables, declared)["age"].tolist() == [age]


WRONG: dict[str, tuple[dict[str, list[Row]], str]] = {
    "a unit that the map does not convert": (
        {"measurement": [measurement(5, 1, unit_concept_id=3)]},
        r"potassium: expected the unit 1, not so in 1 place: measurement 5 \(unit_concept_id is 3\)"
        r"; say in the map how it is converted: units = \{ 3 = FACTOR \}",
    ),
    "a limit": (
        {"measurement": [measurement(5, 1, operator_concept_id=4171756)]},
        r"a value, not a limit, .* measurement 5 \(operator_concept_id is 4171756\)",
    ),
    "an operator that is none": (
        {"measurement": [measurement(5, 1, operator_concept_id=7)]},
        "one of =, <, <=",
    ),
    "a person who is none": (
        {"measurement": [measurement(5, 9)]},
        r"a person_id of the table person, .* measurement 5 \(person_id is 9\); add the person",
    ),
    "a row that stands twice": (
        {"measurement": [measurement(5, 1), measurement(5, 1)]},
        r"a key of its own, .* measurement 5 ",
    ),
    "a date that is none": (
        {"measurement": [measurement(5, 1, measurement_date="2024-02-30")]},
        r"a date such as .* measurement 5 \(measurement_date is '2024-02-30'\)",
    ),
    "a date as a number": (
        {"measurement": [measurement(5, 1, measurement_date=1717200000)]},
        r"a date such as .*1717200000",
    ),
    "a number that is text": (
        {"measurement": [measurement(5, 1, value_as_number="high")]},
        r"a finite number, .*value_as_number is 'high'",
    ),
    "a number that is not finite": (
        {"measurement": [measurement(5, 1, value_as_number=math.inf)]},
        r"a finite number, .*value_as_number is inf",
    ),
    "a person who stands twice": ({"person": [person(1), person(1)]}, "person: expected a key of"),
    "a person whose key is text": ({"person": [person("x")]}, r"a whole number .* person x "),
    "a day of birth that is none": (
        {"person": [{**person(7), "month_of_birth": 13}]},
        r"age: expected a date of birth, .* person 7 \(day_of_birth is '1950-13-30'\)",
    ),
    "a gender that the map does not know": (
        {"person": [{**person(7), "gender_concept_id": 44814653}]},
        r"sex: expected a concept that the map declares, .* person 7 \(gender_concept_id is 4481",
    ),
}
WRONG_MAP = f"""{INDEX}{AGE}
[columns.sex]
table = "person"
value = "gender"
means = {{ 8507 = "male", 8532 = "female" }}
[columns.potassium]
table = "measurement"
concepts = [20]
value = "number"
unit = 1
take = "latest"
within_days = "always"
"""


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_used_is_refused_with_its_table_and_key(tmp_path: Path, case: str) -> None:
    tables, told = WRONG[case]
    with pytest.raises(BadCdmRows, match=told):
        table_of(tmp_path, {"person": [person(1)], **tables}, WRONG_MAP)


def test_concept_0_is_missing_unless_the_map_names_it(tmp_path: Path) -> None:
    tables = {"person": [{**person(1), **UNKNOWN}]}
    assert table_of(tmp_path, tables, WRONG_MAP)["sex"].isna().all()
    named = WRONG_MAP.replace('8507 = "male"', '0 = "unknown"')
    assert table_of(tmp_path, tables, named)["sex"].tolist() == ["unknown"]


@pytest.mark.parametrize(("limits", "cell"), [("bound", 4.5), ("leave-out", math.nan)])
def test_limits_are_what_the_map_says(tmp_path: Path, limits: str, cell: float) -> None:
    tables = {
        "person": [person(1)],
        "measurement": [measurement(5, 1, operator_concept_id=4171755)],
    }
    declared = f'{WRONG_MAP}limits = "{limits}"\n'
    found = table_of(tmp_path, tables, declared)["potassium"]
    pd.testing.assert_series_equal(found, pd.Series([cell], [1], name="potassium"))


def test_rows_of_unknown_persons_may_be_left_out(tmp_path: Path) -> None:
    tables = {"person": [person(1)], "measurement": [measurement(5, 9), measurement(6, 1)]}
    declared = WRONG_MAP.replace("[index]", 'unknown_persons = "leave-out"\n[index]')
    assert table_of(tmp_path, tables, declared)["potassium"].tolist() == [4.5]


def test_dates_may_have_a_time_and_exact_numbers_may_be_decimals(tmp_path: Path) -> None:
    """As SQLite holds what other programs wrote, and DuckDB a `NUMERIC`."""
    for ending, day, value in zip(
        ENDINGS, ("2024-06-01 08:30:00", "2024-06-01"), (4.5, Decimal("4.500")), strict=True
    ):
        rows = [measurement(5, 1, measurement_date=day, value_as_number=value)]
        found = table_of(tmp_path, {"person": [person(1)], "measurement": rows}, WRONG_MAP, ending)
        assert found["potassium"].tolist() == [4.5]


def test_the_place_of_a_cell_is_its_event_or_its_person(tmp_path: Path) -> None:
    tables = {"person": [person(1), person(2)], "measurement": [measurement(5, 1)]}
    write_database(tmp_path / "a.db", tables)
    (tmp_path / "map.toml").write_text(WRONG_MAP)
    made = read_omop(OmopDatabase(url=database(tmp_path / "a.db"), map=tmp_path / "map.toml"))
    told = [
        str(made.places[name].place(row))
        for name, row in itertools.product(("potassium", "age"), (0, 1))
    ]
    assert told == ["measurement 5", "person 2", "person 1", "person 2"]


def test_without_a_person_or_an_index_day_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(EmptyTable, match="person has no rows"):
        table_of(tmp_path, {}, WRONG_MAP)
    ill = WRONG_MAP.replace("on = 2024-06-30", 'table = "drug_exposure"')
    with pytest.raises(EmptyTable, match="no person has an index day"):
        table_of(tmp_path, {"person": [person(1)]}, ill)
