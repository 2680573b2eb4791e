"""Coefficients in words: what each number is of, the largest first, and what is true of the run."""

from dataclasses import replace
from typing import Any

import pytest

from consortium.config import RunConfig
from consortium.model.coefficients import coefficient_table, coefficients_note
from consortium.wording.formatting import DASH
from sites.statistics.coefficients import Coefficient, LinearSum

INPUTS = (
    Coefficient(name="age", standardised=0.25, own=0.0625, unit="years"),
    Coefficient(name="housing=rent", standardised=-0.5, own=-0.5),
    Coefficient(name="income", standardised=0.125, own=2.0, logarithmic=True, unit="EUR"),
)


def summed(**told: Any) -> LinearSum:
    return LinearSum(of="label", intercept=1.0, own_intercept=-2.0, coefficients=INPUTS, **told)


def test_the_largest_comes_first_whatever_its_sign_and_the_intercept_last() -> None:
    table = coefficient_table(summed(classes=("yes", "no")))
    assert table.rows == (
        ("housing=rent", "-0.5", "-0.5", "0.6065"),
        ("age (years)", "0.25", "0.0625", "1.064"),
        ("ln(1 + income) (EUR)", "0.125", "2", "7.389"),
        ("intercept", "1", "-2", ""),
    )


def test_a_factor_that_no_number_holds_is_a_dash() -> None:
    steep = Coefficient(name="share", standardised=1.0, own=1e4)
    (row, _) = coefficient_table(replace(summed(classes=("a", "b")), coefficients=(steep,))).rows
    assert row == ("share", "1", "1e+04", DASH)


@pytest.mark.parametrize(
    ("told", "caption", "last"),
    [
        ({"classes": ("yes", "no")}, "The log-odds of label = yes against no are", "Odds ratio"),
        ({"unit": "EUR"}, "The predicted label in EUR is the intercept and", "For one unit"),
        ({"logarithmic": True}, "ln(1 + label) is the intercept", "Factor of 1 + label"),
    ],
)
def test_each_sum_says_what_it_is_of(told: dict[str, Any], caption: str, last: str) -> None:
    """An exponential is shown where it means something: not of a number on its own scale."""
    table = coefficient_table(summed(**told))
    assert table.caption.startswith(caption)
    assert table.headings[-1].startswith(last)
    assert {len(row) for row in table.rows} == {len(table.headings)}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"weight-decay": 0.1}, "Weight decay shrinks them"),
        ({"class-balance": "weights"}, "Classes were balanced in training"),
        ({"dp.unit": "person", "dp.epsilon": 1.0}, "it is in every coefficient"),
        ({"dp.unit": "record", "dp.epsilon": 1.0}, "it is in every coefficient"),
    ],
)
def test_what_a_run_did_to_them_is_said_and_nothing_else(config: dict[str, Any], said: str) -> None:
    assert said in coefficients_note(RunConfig.parse(config), counted=True)
    plain = coefficients_note(RunConfig.parse({"num-server-rounds": 6}), counted=True)
    assert said not in plain
    assert "gradient descent for 6 rounds" in plain
    assert "have no intervals" in plain


def test_by_what_numbers_are_standardised_is_said() -> None:
    assert "are the pooled ones" in coefficients_note(RunConfig(), counted=True)
    assert "their declared bounds" in coefficients_note(RunConfig(), counted=False)
