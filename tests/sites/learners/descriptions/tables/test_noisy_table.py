import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.differential.noisy_counts import noisy_tally
from privacy.layout import Tally
from sites.learners.count_noise import CountNoise
from sites.learners.curve_groups import ONE_CURVE, CurveGroups
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.csv_file import written_table
from sites.learners.descriptions.tables.noisy_table import NoisyTableOne
from sites.schema.tables import EventTimeLabel, Schema
from sites.statistics.tables import TableStatistics
from tests.sites.learners.descriptions.described import CLASSES, ENDS, NUMBERS, Records, drawn


def noise_of(multiplier: float) -> CountNoise:
    return CountNoise(
        unit="person",
        epsilon=0.0,
        delta=0.0,
        noise_multiplier=multiplier,
        most_records=1,
        rounds=1,
    )


def table_of(schema: Schema, tally: Tally, noise: CountNoise) -> dict[str, Any]:
    statistics = np.zeros(TableStatistics(schema).layout.size, np.int64)
    return dict(NoisyTableOne(GroupCounts(schema, noisy=True), statistics, tally, noise).results)


def counted(schema: Schema, records: Records, noise: CountNoise) -> Tally:
    counts = GroupCounts(schema, noisy=True)
    tally = counts.tally(records, np.zeros(TableStatistics(schema).layout.size, np.int64))
    return noisy_tally(tally, counts.noise_scales, deviation=noise.deviation)


@settings(max_examples=20)
@given(
    st.integers(0, 400),
    st.integers(0, 1000),
    st.sampled_from([CLASSES, NUMBERS]),
    st.sampled_from([0.3, 5.0, 1e4]),
)
def test_nothing_that_is_shown_is_impossible_whatever_the_noise(
    n: int, seed: int, schema: Schema, multiplier: float
) -> None:
    noise = noise_of(multiplier)
    found = table_of(schema, counted(schema, drawn(schema, n, seed), noise), noise)
    json.dumps(found, allow_nan=False)
    assert written_table(found).startswith(b"column,")
    assert min(found["records"]) >= 0
    numbers = {item.name: item for item in GroupCounts(schema).described}
    for column in found["columns"]:
        shown = [*column.get("present", []), *column.get("missing", [])]
        for level in column.get("levels", []):
            shown += level["records"]
        assert min(shown) >= 0
        for values in filter(None, column.get("values", [])):
            low, high = numbers[column["name"]].low, numbers[column["name"]].high  # type: ignore[union-attr]
            assert low <= values["mean"] <= high
            assert values["mean_noise"] > 0
            assert values["deviation"] is None or values["deviation"] > 0
            places = [one["value"] for one in values["quantiles"]]
            assert low <= places[0] <= places[1] <= places[2] <= high


def test_of_many_records_the_noise_hardly_shows() -> None:
    noise, records = noise_of(1.0), drawn(CLASSES, 200_000, 5)
    found = table_of(CLASSES, counted(CLASSES, records, noise), noise)
    age = next(one for one in found["columns"] if one["name"] == "age")["values"][0]
    given_ages = records.columns["age"]
    assert age["mean"] == pytest.approx(given_ages.mean(), abs=6 * age["mean_noise"] + 1e-3)
    assert age["deviation"] == pytest.approx(given_ages.std(), rel=0.02)
    assert age["quantiles"][1]["value"] == pytest.approx(np.median(given_ages), abs=3)
    assert found["records"][0] == pytest.approx(200_000, abs=60)


def test_the_noise_that_is_told_is_the_noise_of_the_counts() -> None:
    noise, empty = noise_of(3.0), drawn(CLASSES, 0, 1)
    tallies = sum(counted(CLASSES, empty, noise) for _ in range(4))
    found = table_of(CLASSES, tallies, noise)  # type: ignore[arg-type]
    assert found["noise"]["sites"] == 4
    overall, one_class, _ = found["noise"]["deviations"]
    assert overall == pytest.approx(np.sqrt(2) * one_class, rel=0.01)
    layout = GroupCounts(CLASSES, noisy=True).layout
    bins = [counted(CLASSES, empty, noise) for _ in range(60)]
    spread = np.std([layout.part("0/age/bins", one) for one in bins]) * np.sqrt(4)
    assert spread == pytest.approx(one_class, rel=0.1)


def test_what_noise_drowns_is_not_shown() -> None:
    noise = noise_of(100.0)
    found = table_of(CLASSES, counted(CLASSES, drawn(CLASSES, 50, 1), noise), noise)
    for column in found["columns"]:
        assert not any(column.get("values", []))


def test_curves_by_group_are_those_of_the_groups_and_each_has_the_noise_of_its_own_counts() -> None:
    groups, noise = CurveGroups.named(ENDS, "sex"), noise_of(1e-3)
    counts, records = GroupCounts(ENDS, noisy=True, curves=groups), drawn(ENDS, 3000, 8)
    statistics = np.zeros(TableStatistics(ENDS).layout.size, np.int64)
    tally = counts.tally(records, statistics)
    found = NoisyTableOne(counts, statistics, tally, noise).results["life_table"]
    assert [one["group"] for one in found["curves"]] == ["", "female", "male", "missing"]
    assert isinstance(ENDS.label, EventTimeLabel)
    exact = [
        *ONE_CURVE.life_tables(records, ENDS.label.grid),
        *groups.life_tables(records, ENDS.label.grid),
    ]
    for one, table in zip(found["curves"], exact, strict=True):
        assert one["at_risk"] == table.at_risk.tolist()
        np.testing.assert_allclose(one["survival"], table.survival)
        assert one["median"] == table.median(ENDS.label.grid)


def test_much_noise_hides_a_small_group_before_it_hides_all() -> None:
    groups, records = CurveGroups.named(ENDS, "sex"), drawn(ENDS, 900, 8)
    counts = GroupCounts(ENDS, noisy=True, curves=groups)
    few = records.part((records.columns["sex"] != 0) | (np.arange(900) < 30))
    statistics = np.zeros(TableStatistics(ENDS).layout.size, np.int64)
    tally = counts.tally(few, statistics)
    table = NoisyTableOne(counts, statistics, tally, noise_of(3.0)).results["life_table"]
    known = {one["group"]: sum(number > 0 for number in one["at_risk"]) for one in table["curves"]}
    assert known["female"] == 0
    assert known["male"] > 0
    assert known[""] > 0
