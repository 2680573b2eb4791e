import math

import numpy as np
import pytest

from sites.evaluation.input_checks import (
    NonFinitePredictions,
    NotProbabilities,
    ShapesDiffer,
    UndeclaredLabel,
    bounded_labels,
    class_codes,
    class_distributions,
    finite_predictions,
    probabilities,
)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_predictions_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(NonFinitePredictions):
        finite_predictions(np.array([0.5, value]), (2,))
    with pytest.raises(NonFinitePredictions):
        probabilities(np.array([value]), 1)
    with pytest.raises(NonFinitePredictions):
        class_distributions(np.array([[value, 1.0]]), 1, 2)


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), ()])
def test_there_must_be_one_prediction_per_record(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapesDiffer, match=r"predictions need the shape \(2,\)"):
        finite_predictions(np.zeros(shape), (2,))


@pytest.mark.parametrize("value", [-1e-9, 1 + 1e-9])
def test_scores_outside_0_and_1_are_refused(value: float) -> None:
    with pytest.raises(NotProbabilities):
        probabilities(np.array([0.5, value]), 2)


def test_the_ends_of_the_range_are_probabilities() -> None:
    assert probabilities(np.array([0.0, 1.0], np.float32), 2).dtype == np.float64


@pytest.mark.parametrize("row", [[0.5, 0.6], [0.5, 0.4], [1.1, -0.1], [0.0, 0.0]])
def test_rows_that_are_not_a_distribution_are_refused(row: list[float]) -> None:
    with pytest.raises(NotProbabilities):
        class_distributions(np.array([[0.5, 0.5], row]), 2, 2)


def test_rows_off_by_float32_rounding_are_normalised() -> None:
    rows = np.full((1, 3), 1 / 3, np.float32)

    assert class_distributions(rows, 1, 3).sum() == pytest.approx(1, abs=1e-15)


def test_zero_records_are_accepted() -> None:
    assert probabilities(np.zeros(0), 0).shape == (0,)
    assert class_distributions(np.zeros((0, 3)), 0, 3).shape == (0, 3)
    assert class_codes(np.zeros(0, np.int64), 3).shape == (0,)
    assert bounded_labels(np.zeros(0), low=1, high=2).shape == (0,)


@pytest.mark.parametrize(
    "labels", [[-1], [2], [0.0], [math.nan], ["yes"], [None]], ids=lambda labels: repr(labels[0])
)
def test_labels_that_are_not_class_codes_are_refused(labels: list[object]) -> None:
    with pytest.raises(UndeclaredLabel, match="from 0 to 1"):
        class_codes(np.array(labels), 2)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_])
def test_codes_of_any_integer_type_are_accepted(kind: type) -> None:
    assert class_codes(np.array([0, 1], kind), 2).dtype == np.int64


@pytest.mark.parametrize("label", [math.nan, math.inf, 0.9, 3.1])
def test_numbers_missing_or_out_of_bounds_are_refused_as_labels(label: float) -> None:
    with pytest.raises(UndeclaredLabel, match=r"between 1 and 3"):
        bounded_labels(np.array([1.0, label]), low=1, high=3)


def test_labels_are_scaled_by_their_bounds() -> None:
    assert bounded_labels(np.array([1, 2, 3]), low=1, high=3).tolist() == [0.0, 0.5, 1.0]


def test_there_must_be_one_label_per_record() -> None:
    with pytest.raises(ShapesDiffer):
        class_codes(np.zeros((2, 1), int), 2)
    with pytest.raises(ShapesDiffer):
        bounded_labels(np.zeros((2, 1)), low=0, high=1)
