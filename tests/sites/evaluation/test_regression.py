import numpy as np
import pytest
from hypothesis import given
from sklearn import metrics as sklearn

from sites.evaluation.regression import RegressionEvaluation
from sites.schema.tables import NumberLabel
from sites.statistics.tally import UNIT, ImpossibleTally, Metric
from tests.sites.scored_records import Records, numbers

LOW, HIGH = -100.0, 300.0
EVALUATION = RegressionEvaluation(NumberLabel(column="price", low=LOW, high=HIGH, unit="EUR"))
LAST_PLACES = 1e-9  # of numbers up to 400


def metrics_of(records: Records) -> dict[str, Metric]:
    return EVALUATION.metrics(EVALUATION.tally(records.predictions, records.labels))


@given(numbers(low=LOW, high=HIGH, min_size=1))
def test_metrics_agree_with_scikit_learn_within_their_bounds(records: Records) -> None:
    labels, predicted = records.labels, np.clip(records.predictions, LOW, HIGH)

    found = metrics_of(records)

    exact = {
        "mae": sklearn.mean_absolute_error(labels, predicted),
        "rmse": sklearn.root_mean_squared_error(labels, predicted),
        "median_absolute_error": sklearn.median_absolute_error(labels, predicted),
        "bias": (predicted - labels).mean(),
        "share_at_bound": ((predicted == LOW) | (predicted == HIGH)).mean(),
    }
    for name, value in exact.items():
        assert abs(found[name].value - value) <= found[name].error_bound + LAST_PLACES, name
    if "r2" in found:
        bound = found["r2"].error_bound + LAST_PLACES * (1 + abs(found["r2"].value))
        assert abs(found["r2"].value - sklearn.r2_score(labels, predicted)) <= bound


@given(numbers(low=LOW, high=HIGH, min_size=1))
def test_r2_is_undefined_only_for_labels_within_rounding_of_each_other(records: Records) -> None:
    scaled = records.labels / (HIGH - LOW)

    if "r2" not in metrics_of(records):
        assert scaled.var() <= 3 * UNIT
    if scaled.std() == 0:
        assert "r2" not in metrics_of(records)


def test_metrics_of_many_records_are_right_to_nine_places() -> None:
    rng = np.random.default_rng(0)
    labels = rng.uniform(LOW, HIGH, 10_000)
    predicted = np.clip(labels + rng.normal(0, 20, 10_000), LOW, HIGH)

    found = metrics_of(Records(predicted, labels))

    assert found["r2"].value == pytest.approx(sklearn.r2_score(labels, predicted), abs=1e-9)
    assert found["rmse"].value == pytest.approx(
        sklearn.root_mean_squared_error(labels, predicted), abs=1e-6
    )
    assert found["median_absolute_error"].error_bound == 400 / 1024


def test_a_perfect_model_has_error_0_within_the_stated_bound() -> None:
    labels = np.array([0.0, 10.0, 20.0])

    found = metrics_of(Records(labels, labels))

    assert found["mae"].value == found["rmse"].value == found["bias"].value == 0.0
    assert found["r2"].value == 1.0


def test_predictions_out_of_bounds_count_as_the_bound_and_are_reported() -> None:
    found = metrics_of(Records(np.array([1e300, -1e300, 5.0, 6.0]), np.full(4, 5.0)))

    assert found["share_at_bound"] == Metric(0.5, 0.0)
    assert found["mae"].value == pytest.approx((295 + 105 + 0 + 1) / 4)


def test_labels_that_are_all_equal_leave_r2_undefined() -> None:
    tally = EVALUATION.tally(np.array([1.0, 2.0]), np.array([3.0, 3.0]))

    assert EVALUATION.undefined_reasons(tally) == {
        "r2": "the labels are equal, or too close to tell them apart"
    }


def test_curves_are_in_the_unit_of_the_label() -> None:
    tally = EVALUATION.tally(np.array([55.0, 250.0]), np.array([50.0, 300.0]))

    curves = EVALUATION.curves(tally)

    assert curves["calibration"]["predicted"] == pytest.approx([55.0, 250.0], abs=1e-6)
    assert curves["calibration"]["observed"] == pytest.approx([50.0, 300.0], abs=1e-6)
    edges, counts = (np.array(curves["errors"][name]) for name in ("edges", "counts"))
    expected = np.histogram([5.0, -50.0], bins=edges)[0]
    np.testing.assert_array_equal(counts, expected)
    assert (edges[0], edges[-1]) == (-400.0, 400.0)


def test_a_regression_has_no_classes() -> None:
    assert EVALUATION.class_counts(EVALUATION.tally(np.zeros(1), np.zeros(1))) == ()


@pytest.mark.parametrize("name", ["errors", "at_bound", "count_by_bin", "square", "label"])
def test_counts_that_contradict_each_other_are_refused(name: str) -> None:
    tally = EVALUATION.tally(np.array([55.0, 250.0]), np.array([50.0, 300.0]))
    EVALUATION.layout.part(name, tally)[0] += 2**20

    with pytest.raises(ImpossibleTally):
        EVALUATION.metrics(tally)
