import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from sites.comparison.numbers import compare_dates, compare_units
from sites.schema.tables import Number
from sites.statistics.histograms import bins_of
from sites.statistics.tables import BINS, scale_values

SUGAR = Number(name="sugar", low=0, high=1_000, unit="mg/dl")
INCOME = Number(name="income", low=0, high=1e8, unit="EUR", scale="log")
DELAYS = Number(name="delays", low=0, high=100, scale="log")


def counted(number: Number, values: np.ndarray) -> Tally:
    return np.bincount(bins_of(scale_values(number, values), BINS), minlength=BINS)


def sugar(seed: int, n: int = 400) -> np.ndarray:
    return np.clip(np.random.default_rng(seed).normal(110, 25, n), 40, 900)


def test_millimoles_for_milligrams_are_told_with_their_factor() -> None:
    found = compare_units(SUGAR, sugar(1) / 18.016, counted(SUGAR, sugar(2)))
    assert found is not None
    assert found.alarming
    assert found.sentence == (
        "sugar looks 1/18 of the others' (as between mmol/l and mg/dl of glucose)"
    )


@given(st.sampled_from([10.0, 0.1, 100.0, 18.0, 2.54, 88.4]), st.integers(0, 9))
def test_a_factor_is_found_where_sites_are_alike(factor: float, seed: int) -> None:
    incomes = np.exp(np.random.default_rng(seed).normal(10, 0.5, 300))
    others = counted(INCOME, np.exp(np.random.default_rng(seed + 10).normal(10, 0.5, 900)))
    found = compare_units(INCOME, incomes * factor, others)
    assert found is not None
    assert found.kind == "units"
    told = float(found.what.removeprefix("factor "))
    assert 0.7 < told / factor < 1.4


@given(st.integers(0, 99))
def test_sites_alike_raise_no_alarm(seed: int) -> None:
    assert compare_units(SUGAR, sugar(seed, 60), counted(SUGAR, sugar(seed + 100))) is None


def test_a_richer_clientele_is_no_mistake() -> None:
    rng = np.random.default_rng(3)
    incomes = np.exp(rng.normal(10.6, 0.5, 300))  # 1.8 times the others'
    assert compare_units(INCOME, incomes, counted(INCOME, np.exp(rng.normal(10, 0.5, 900)))) is None


def test_where_most_are_zero_the_rest_tell() -> None:
    rng = np.random.default_rng(4)
    few = np.where(rng.random(2_000) < 0.05, rng.integers(1, 4, 2_000), 0).astype(float)
    others = counted(DELAYS, np.where(rng.random(9_000) < 0.05, rng.integers(1, 4, 9_000), 0))
    assert compare_units(DELAYS, few, others) is None
    found = compare_units(DELAYS, few * 10, others)
    assert found is not None
    assert found.what == "factor 1e+01"


@pytest.mark.parametrize("held", [0, 7])
def test_too_few_values_say_nothing(held: int) -> None:
    values = np.concatenate([np.full(held, 900.0), np.full(50, np.nan)])
    others = counted(SUGAR, sugar(5))
    assert compare_units(SUGAR, values, others) is None
    assert compare_dates(SUGAR, values, others) is None


def test_values_that_nobody_else_has_are_compared_with_nothing() -> None:
    assert compare_units(SUGAR, sugar(6), np.zeros(BINS, np.int64)) is None


def test_a_column_without_zero_has_no_rest_to_ask() -> None:
    above = Number(name="age", low=18, high=110)
    ages = np.random.default_rng(7).integers(20, 40, 100).astype(float)
    assert compare_units(above, ages, counted(above, np.array([18.0, 110.0] * 50))) is None


@pytest.mark.parametrize(("form", "scale"), [("YYYYMMDD", 1), ("YYYYMM", 100)])
def test_dates_read_as_numbers_are_told(form: str, scale: int) -> None:
    dates = np.array([20240101, 20231231, 19991224] * 5, float) // scale
    found = compare_dates(INCOME, dates, counted(INCOME, np.full(200, 30_000.0)))
    assert found is not None
    assert form in found.sentence
    assert compare_dates(INCOME, dates, counted(INCOME, dates)) is None  # others have them, too


def test_amounts_are_no_dates() -> None:
    amounts = np.array([20241399, 20240132, 123, 17.5] * 5)
    assert compare_dates(INCOME, amounts, counted(INCOME, np.full(200, 30_000.0))) is None
