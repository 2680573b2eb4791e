"""The oracle is NumPy on the pooled records."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.table_one import TableOne
from sites.schema.tables import Number, Schema
from tests.sites.learners.descriptions.described import (
    CLASSES,
    NUMBERS,
    Records,
    drawn,
    statistics_of,
)


def table_of(schema: Schema, records: Records) -> dict[str, object]:
    counts, statistics = GroupCounts(schema), statistics_of(schema, records)
    return dict(TableOne(counts, statistics, counts.tally(records, statistics)).results)


@given(st.integers(0, 300), st.integers(0, 1000))
def test_means_and_deviations_are_those_of_the_pooled_records(n: int, seed: int) -> None:
    records = drawn(CLASSES, n, seed)
    for column in table_of(CLASSES, records)["columns"]:  # type: ignore[attr-defined]
        if column["kind"] == "category":
            continue
        groups = [np.ones(n, bool), records.labels == 0, records.labels == 1]
        for values, rows in zip(column["values"], groups, strict=False):
            if values is None:
                continue
            held = records.columns[column["name"]][rows]
            held = held[~np.isnan(held)]
            assert len(held) >= 10
            assert values["mean"] == pytest.approx(held.mean(), rel=1e-9, abs=1e-3)
            assert values["deviation"] == pytest.approx(held.std(ddof=1), rel=1e-5, abs=0.5)
            for one in values["quantiles"]:
                rank = max(math.ceil(one["q"] * len(held)), 1)
                exact = float(np.sort(held)[rank - 1])
                near = 1e-6 * abs(exact)  # edges are float32 numbers
                assert one["low"] - near <= exact <= one["high"] + near
                assert one["low"] <= one["value"] <= one["high"]


def test_a_rate_that_is_written_as_a_fraction_has_its_spread() -> None:
    """NVFLARE 2.9.0 finds 0 (findings/nvflare-spread-of-rates-is-zero.sh)."""
    rates = np.random.default_rng(7).normal(0.05, 0.008, 800).round(4)
    rate = Number(name="rate", low=0, high=1)
    schema = Schema(name="t", person="p", features=(rate,), label=CLASSES.label)
    records = Records({"rate": rates}, np.arange(800) % 2)
    found: dict[str, Any] = table_of(schema, records)["columns"][0]  # type: ignore[index]
    assert found["values"][0]["mean"] == pytest.approx(rates.mean(), rel=1e-6)
    assert found["values"][0]["deviation"] == pytest.approx(rates.std(ddof=1), rel=1e-4)


def test_categories_are_counted_with_their_missing_values() -> None:
    records = drawn(CLASSES, 400, 5)
    (sex,) = [one for one in table_of(CLASSES, records)["columns"] if one["kind"] == "category"]  # type: ignore[attr-defined]
    assert [level["value"] for level in sex["levels"]] == ["female", "male", "missing"]
    for code, level in zip((0, 1, -1), sex["levels"], strict=True):
        held = records.columns["sex"] == code
        counts = [held.sum(), *((held & (records.labels == one)).sum() for one in (0, 1))]
        assert level["records"] == counts


def test_a_class_of_nine_takes_all_classes_with_it() -> None:
    """It would follow from the figures of all and of the others."""
    records = drawn(CLASSES, 200, 7)
    nine = np.zeros(200, np.int64)
    nine[:9] = 1
    found = table_of(CLASSES, Records(records.columns, nine))
    assert found["groups"] == ["overall"]
    assert found["small_group"] is True
    assert all(len(one["values"]) == 1 for one in found["columns"] if one["kind"] == "number")  # type: ignore[attr-defined]


def with_missing_incomes(classes: tuple[int, int]) -> dict[str, Any]:
    """Return the column of incomes in whole euros, so many of each class missing, of 200."""
    records = drawn(CLASSES, 200, 7)
    income = np.rint(np.where(np.isnan(records.columns["income"]), 1e4, records.columns["income"]))
    for label, missing in enumerate(classes):
        income[np.flatnonzero(records.labels == label)[:missing]] = np.nan
    found = table_of(CLASSES, Records({**records.columns, "income": income}, records.labels))
    return next(one for one in found["columns"] if one["name"] == "income")  # type: ignore[attr-defined]


def test_a_few_missing_values_hide_all_means() -> None:
    """A mean of whole numbers, times how many they are, is whole: it tells the hidden number."""
    column = with_missing_incomes((2, 1))
    assert column["missing"][0] is None
    assert column["values"] == [None, None, None]


def test_a_few_missing_values_of_a_class_hide_the_means_by_class() -> None:
    """The mean of all and those of the classes would tell how many values each has."""
    column = with_missing_incomes((3, 30))
    assert column["missing"] == [33, None, None]
    assert column["values"][0] is not None
    assert column["values"][1:] == [None, None]


@given(st.integers(20, 300), st.integers(0, 1000))
def test_a_quartile_is_told_of_ten_values_or_more_and_not_of_how_many(n: int, seed: int) -> None:
    """Its place within its bin is k - 1/2 of n_values: exactly told, it is their number."""
    records = drawn(NUMBERS, n, seed)
    for column in table_of(NUMBERS, records)["columns"]:  # type: ignore[attr-defined]
        if column["kind"] == "category" or column["values"][0] is None:
            continue
        held = records.columns.get(column["name"], records.labels)
        for one in column["values"][0]["quantiles"]:
            near = 1e-6 * abs(one["high"])  # edges are float32 numbers
            assert ((held >= one["low"] - near) & (held <= one["high"] + near)).sum() >= 10
            tenths = 10 * (one["value"] - one["low"]) / (one["high"] - one["low"])
            assert tenths == pytest.approx(round(tenths), abs=1e-6)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_of_fewer_than_ten_records_nothing_is_shown(n: int) -> None:
    for schema in (CLASSES, NUMBERS):
        found = table_of(schema, drawn(schema, n, 2))
        assert found["records"][0] is None  # type: ignore[index]
        assert found["columns"] == []


def test_a_constant_column_has_no_deviation() -> None:
    records = drawn(NUMBERS, 50, 1)
    same = Records({**records.columns, "age": np.full(50, 40.0)}, records.labels)
    age = table_of(NUMBERS, same)["columns"][0]["values"][0]  # type: ignore[index]
    assert age["mean"] == pytest.approx(40.0, abs=1e-7)
    assert age["deviation"] == pytest.approx(0.0, abs=5e-3)
