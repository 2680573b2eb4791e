from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.library.registry import SCENARIOS
from sites.comparison.comparison import Comparison
from sites.comparison.findings import Finding
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema
from sites.statistics.by_class import ClassedStatistics
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import ImpossibleTally
from tests.benchmarks.instrument import checks_of_data as checks

AGE = Number(name="age", low=0, high=120, unit="years", missing=True)
CITY = Category(name="city", values=("rome", "oslo", "bern"), missing=True)
ILL = ClassLabel(column="ill", classes=("no", "yes"))
CLINIC = Schema(name="clinic", person="patient", features=(AGE, CITY), label=ILL)


def records(seed: int, n: int, schema: Schema = CLINIC) -> tuple[dict[str, np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    ill = rng.integers(0, 2, n)
    ages = np.where(rng.random(n) < 0.1, np.nan, np.clip(rng.normal(45 + 25 * ill, 9), 0, 120))
    labels = ill if isinstance(schema.label, ClassLabel) else 100.0 + 10 * rng.random(n)
    return {"age": ages, "city": rng.choice([-1, 0, 1, 2], n, p=[0.1, 0.6, 0.2, 0.1])}, labels


def findings(
    mistaken: tuple[dict[str, np.ndarray], np.ndarray], schema: Schema = CLINIC
) -> tuple[Finding, ...]:
    others = ClassedStatistics(schema).tally(*records(1, 800, schema), persons=1)
    return Comparison(schema).findings(*mistaken, others)


def test_right_records_raise_nothing() -> None:
    assert findings(records(2, 200)) == ()


def test_each_mistake_is_told_by_its_column() -> None:
    columns, labels = records(3, 200)
    columns = {"age": columns["age"] / 10, "city": np.where(columns["city"] < 0, -1, 2)}
    found = findings((columns, 1 - labels))
    assert (found[0].kind, found[0].column) == ("units", "age")
    assert findings((records(4, 200)[0], 1 - records(4, 200)[1]))[-1].kind == "labels"


def test_counts_without_classes_say_all_but_the_labels() -> None:
    columns, labels = records(5, 200)
    others = TableStatistics(CLINIC).tally(*records(1, 800), persons=1)
    mistaken = ({**columns, "age": columns["age"] / 10}, 1 - labels)
    assert [one.kind for one in Comparison(CLINIC).findings(*mistaken, others)] == ["units"]


def test_a_number_that_is_predicted_is_compared_like_any_other() -> None:
    schema = CLINIC.model_copy(update={"label": NumberLabel(column="cost", low=0, high=1_000)})
    columns, costs = records(6, 200, schema)
    assert [one.column for one in findings((columns, costs / 10), schema)] == ["cost"]


def test_impossible_counts_are_refused() -> None:
    others = ClassedStatistics(CLINIC).tally(*records(1, 800), persons=1)
    others[0] += 1
    with pytest.raises(ImpossibleTally):
        Comparison(CLINIC).findings(*records(2, 200), others)


@settings(max_examples=20)
@given(st.integers(0, 3), st.integers(0, 40), st.integers(0, 3))
def test_any_records_are_compared_with_any_counts(own: int, others: int, seed: int) -> None:
    """Empty sites, single records and columns without a value among them."""
    tally = ClassedStatistics(CLINIC).tally(*records(seed, others), persons=min(others, 1))
    Comparison(CLINIC).findings(*records(seed + 9, own), tally)


@pytest.mark.parametrize("name", checks.TARGETS)
def test_mistakes_in_units_and_turned_labels_are_found_in_shipped_data(name: str) -> None:
    found, tried = checks.units_found(SCENARIOS[name], 7)
    assert found >= checks.TARGETS[name] * tried
    turned, sites = checks.labels_found(SCENARIOS[name], 7)
    assert turned == sites


@pytest.mark.parametrize("name", checks.SCENARIOS_OF_TABLES)
def test_shipped_data_without_a_mistake_raise_no_alarm(name: str) -> None:
    """Two splits of each here; twenty in the benchmark, of which one may raise one."""
    assert checks.false_alarms(replace(SCENARIOS[name], faults={}), (3, 7)) == 0


def test_both_careless_hospitals_are_named_by_themselves() -> None:
    found = checks.careless_sites(7)
    assert found["hungary"] == ["labels"]
    assert found["va-long-beach"] == ["units"]
