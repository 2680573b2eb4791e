"""Derivatives are those of the losses, in whole units, within their bounds."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.library import clinical_notes
from sites.learners.trees.objective import (
    GRADIENT_UNIT,
    LARGEST_DERIVATIVE,
    Objective,
    objective_of,
)
from sites.plans import BadPlan
from sites.schema.tables import NumberLabel
from sites.statistics.normalisation import Constants, Standard
from tests.grown_trees import DAYS, ILL, schema_of

CLASSES, NUMBER = (objective_of(schema_of(label)) for label in (ILL, DAYS))
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)


def of(values: Any) -> np.ndarray[Any, Any]:
    return np.array(values, np.float32)


@given(margin=FLOATS, label=st.sampled_from([0, 1]), days=st.floats(0, 60))
def test_derivatives_are_whole_and_within_bounds_whatever_the_margin(
    margin: float, label: int, days: float
) -> None:
    for objective, given_label in ((CLASSES, label), (NUMBER, days)):
        targets = objective.targets(np.array([given_label]))
        gradients, seconds = objective.derivatives(of([margin]), targets)
        assert abs(gradients[0]) <= LARGEST_DERIVATIVE
        assert 0 <= seconds[0] <= LARGEST_DERIVATIVE
        assert (gradients[0], seconds[0]) == (round(gradients[0]), round(seconds[0]))
        assert 0 <= objective.losses(of([margin]), targets)[0] <= 1


@given(margin=st.floats(-8, 8), label=st.sampled_from([0, 1]))
def test_derivatives_are_those_of_the_log_loss(margin: float, label: int) -> None:
    def loss(at: float) -> float:
        return float(np.log1p(np.exp(at)) - label * at)

    gradients, seconds = CLASSES.derivatives(of([margin]), np.array([float(label)]))
    step = 1e-4
    slope = (loss(margin + step) - loss(margin - step)) / (2 * step)
    curve = (loss(margin + step) - 2 * loss(margin) + loss(margin - step)) / step**2
    assert gradients[0] * GRADIENT_UNIT == pytest.approx(slope, abs=2e-5)
    assert seconds[0] * CLASSES.second_derivative_unit == pytest.approx(curve, abs=2e-5)
    counted = CLASSES.losses(of([margin]), np.array([float(label)]))[0]
    assert CLASSES.shown_loss(counted) == pytest.approx(2 * loss(margin), abs=1e-5)


def test_derivatives_of_a_number_are_its_error_and_one() -> None:
    targets = NUMBER.targets(np.array([30.0, 60.0]))
    gradients, seconds = NUMBER.derivatives(of([0.75, 7.0]), targets)
    assert (gradients * GRADIENT_UNIT).tolist() == [0.25, 0.0]  # 7 counts as the bound
    assert (seconds * NUMBER.second_derivative_unit).tolist() == [1.0, 1.0]
    assert NUMBER.losses(of([0.75, 7.0]), targets).tolist() == [0.0625, 0.0]
    assert NUMBER.shown_loss(0.0625) == 0.25


def test_a_record_in_no_tree_has_the_pooled_share_or_mean() -> None:
    counts = Constants(numbers={}, class_counts=(299, 99))
    assert CLASSES.predictions(of([CLASSES.base(counts)]))[0] == pytest.approx(0.25)
    nobody = Constants(numbers={}, class_counts=(0, 0))
    assert CLASSES.base(nobody) == 0
    mean = Constants(numbers={}, label=Standard(mean=0.25, deviation=0.1))
    assert NUMBER.predictions(of([NUMBER.base(mean)])).tolist() == [15.0]


@pytest.mark.parametrize("objective", [CLASSES, NUMBER])
def test_predictions_are_what_the_label_allows(objective: Objective) -> None:
    found = objective.predictions(of([-1e30, 0.5, 1e30]))
    assert np.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 60


def test_a_logarithmic_label_is_exported_as_its_logarithm() -> None:
    price = NumberLabel(column="price", low=0, high=1e6, scale="log")
    objective = objective_of(schema_of(price))
    leaf = objective.exported(np.float32(0.5))
    assert np.expm1(float(leaf)) == pytest.approx(objective.predictions(of([0.5]))[0], rel=1e-5)
    assert CLASSES.exported(np.float32(0.5), first=True) == np.float32(0.5)


def test_texts_are_refused() -> None:
    texts = clinical_notes.SCENARIO.table
    with pytest.raises(BadPlan, match="has neither"):
        objective_of(texts)
