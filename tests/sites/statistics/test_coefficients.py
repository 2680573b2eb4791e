"""The coefficients say what the model computes, on both scales."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.plans import ModelPlan
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.coefficients import log_odds
from sites.statistics.tables import TableStatistics
from sites.tasks.tabular.data import encode_columns
from sites.tasks.tabular.task import TabularTask

SCHEMA = Schema(
    name="borrowers",
    person="borrower",
    features=(
        Number(name="age", low=18, high=110, unit="years"),
        Number(name="income", low=0, high=250_000, unit="EUR", scale="log", missing=True),
        Category(name="housing", values=("own", "rent", "free")),
    ),
    label=ClassLabel(column="default", classes=("no", "yes")),
)


@given(seed=st.integers(0, 10**6))
def test_the_sum_on_either_scale_is_what_the_model_computes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = {
        "age": rng.uniform(18, 110, 30),
        "income": rng.lognormal(10, 1, 30).clip(0, 250_000),
        "housing": rng.integers(0, 3, 30),
    }
    statistics = TableStatistics(SCHEMA)
    constants = statistics.constants(statistics.tally(columns, rng.integers(0, 2, 30), persons=30))
    weights = rng.normal(size=(1, len(SCHEMA.encoded_names))).astype(np.float32)
    bias = rng.normal(size=1).astype(np.float32)
    found = log_odds(SCHEMA, constants, {"output.weight": weights, "output.bias": bias})
    inputs = encode_columns(columns, SCHEMA, constants).astype(np.float64)
    computed = inputs @ weights[0].astype(np.float64) + float(bias[0])

    by_name = {one.name: one for one in found.coefficients}
    standardised = np.array([one.standardised for one in found.coefficients])
    np.testing.assert_allclose(inputs @ standardised + found.intercept, computed, rtol=1e-9)
    chosen = [f"housing={SCHEMA.features[2].values[code]}" for code in columns["housing"]]  # type: ignore[union-attr]
    own = (
        found.own_intercept
        + by_name["age"].own * columns["age"]
        + by_name["income"].own * np.log1p(columns["income"])
        + np.array([by_name[name].own for name in chosen])
    )
    np.testing.assert_allclose(own, computed, atol=1e-4)  # inputs are float32
    assert (by_name["age"].unit, by_name["income"].logarithmic) == ("years", True)


@pytest.mark.parametrize(("model", "shown"), [("logistic", True), ("mlp", False)])
def test_only_a_logistic_model_of_two_classes_has_them(
    model: Literal["logistic", "mlp"], shown: bool
) -> None:
    task = TabularTask(name="credit", schema=SCHEMA, model=ModelPlan(name=model), seed=3)
    nothing = np.zeros(task.statistics.layout.size, np.int64)
    found = task.log_odds(np.zeros(task.layout.dim), nothing)
    assert (found is not None) == shown
    if found is not None:
        assert len(found.coefficients) == len(SCHEMA.encoded_names)
