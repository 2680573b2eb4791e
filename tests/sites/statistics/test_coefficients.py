"""The coefficients say what the model computes, on both scales."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from sites.plans import ModelPlan
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema
from sites.statistics.coefficients import linear_sums
from sites.statistics.tables import TableStatistics, unscale_values
from sites.tasks.tabular.data import encode_columns
from sites.tasks.tabular.task import TabularTask

TWO = ClassLabel(column="default", classes=("no", "yes"))
THREE = ClassLabel(column="default", classes=("no", "late", "never"))
PRICE = NumberLabel(column="price", low=0, high=1e6, unit="EUR")
SKEWED = NumberLabel(column="price", low=0, high=1e6, scale="log")
HOUSING = ("own", "rent", "free")


def schema(label: ClassLabel | NumberLabel) -> Schema:
    return Schema(
        name="borrowers",
        person="borrower",
        features=(
            Number(name="age", low=18, high=110, unit="years"),
            Number(name="income", low=0, high=250_000, unit="EUR", scale="log", missing=True),
            Category(name="housing", values=HOUSING),
        ),
        label=label,
    )


@pytest.mark.parametrize("label", [TWO, THREE, PRICE, SKEWED])
@given(seed=st.integers(0, 10**6))
def test_the_sums_on_either_scale_are_what_the_model_computes(
    label: ClassLabel | NumberLabel, seed: int
) -> None:
    rng, of = np.random.default_rng(seed), schema(label)
    columns = {
        "age": rng.uniform(18, 110, 30),
        "income": rng.lognormal(10, 1, 30).clip(0, 250_000),
        "housing": rng.integers(0, 3, 30),
    }
    labels = (
        rng.lognormal(11, 1, 30).clip(0, 1e6)
        if isinstance(label, NumberLabel)
        else rng.integers(0, 2, 30)
    )
    statistics = TableStatistics(of)
    constants = statistics.constants(statistics.tally(columns, labels, persons=30))
    outputs = 3 if label is THREE else 1
    weights = rng.normal(0, 0.3, (outputs, len(of.encoded_names))).astype(np.float32)
    bias = rng.normal(0, 0.3, outputs).astype(np.float32)
    sums = linear_sums(of, constants, {"output.weight": weights, "output.bias": bias})
    inputs = encode_columns(columns, of, constants).astype(np.float64)
    computed = inputs @ weights.astype(np.float64).T + bias.astype(np.float64)

    if label is THREE:
        shares = log_softmax(computed, axis=1)
        expected = (shares[:, 1:] - shares[:, :1]).T
        assert [one.classes for one in sums] == [("late", "no"), ("never", "no")]
    elif isinstance(label, NumberLabel):
        standard = computed[:, 0] * constants.label.deviation + constants.label.mean
        kept = (standard > 0) & (standard < 1)  # elsewhere a prediction is the nearest bound
        predicted = unscale_values(label, standard)
        linear = np.log1p(predicted) if label is SKEWED else predicted
        expected = np.where(kept, linear, np.nan)[None]
        assert (sums[0].logarithmic, sums[0].unit) == (label is SKEWED, label.unit)
    else:
        expected = computed.T
        assert sums[0].classes == ("yes", "no")
    assert len(sums) == len(expected)
    for found, wanted in zip(sums, expected, strict=True):
        known = ~np.isnan(wanted)
        by_name = {one.name: one for one in found.coefficients}
        standardised = np.array([one.standardised for one in found.coefficients])
        of_inputs = inputs @ standardised + found.intercept
        np.testing.assert_allclose(of_inputs[known], wanted[known], rtol=1e-7, atol=1e-9)
        own = (
            found.own_intercept
            + by_name["age"].own * columns["age"]
            + by_name["income"].own * np.log1p(columns["income"])
            + np.array([by_name[f"housing={HOUSING[code]}"].own for code in columns["housing"]])
        )
        np.testing.assert_allclose(own[known], wanted[known], rtol=1e-4, atol=1e-4)  # float32
        assert (by_name["age"].unit, by_name["income"].logarithmic) == ("years", True)


@pytest.mark.parametrize(
    ("label", "model", "shown"),
    [(TWO, "logistic", 1), (THREE, "logistic", 2), (PRICE, "linear", 1), (TWO, "mlp", 0)],
)
def test_a_linear_model_has_a_sum_for_each_class_but_the_first_and_no_other_model_has_any(
    label: ClassLabel | NumberLabel, model: Literal["logistic", "linear", "mlp"], shown: int
) -> None:
    task = TabularTask(name="credit", schema=schema(label), model=ModelPlan(name=model), seed=3)
    nothing = np.zeros(task.statistics.layout.size, np.int64)
    found = task.linear_sums(np.zeros(task.layout.dim), nothing)
    assert len(found) == shown
    assert all(len(one.coefficients) == len(task.schema.encoded_names) for one in found)
