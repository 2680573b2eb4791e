from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.evaluation.calibration import BINS, Reliability, reliability_bins, sums_by_bin
from sites.statistics.tally import UNIT, ImpossibleTally, real_sums

predictions = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


def reliability(scores: np.ndarray, events: np.ndarray) -> Reliability:
    held = reliability_bins(scores)
    return Reliability(
        np.bincount(held, minlength=BINS).astype(float),
        real_sums(sums_by_bin(scores, scores)),
        np.bincount(held, events, BINS).astype(float),
    )


@given(predictions, st.integers(0, 2**32 - 1))
def test_the_calibration_error_equals_its_definition(scores: np.ndarray, seed: int) -> None:
    events = np.random.default_rng(seed).integers(0, 2, len(scores))
    held = np.minimum(np.floor(scores * BINS), BINS - 1)

    by_definition = sum(
        (held == b).mean() * abs(scores[held == b].mean() - events[held == b].mean())
        for b in np.unique(held)
    )

    found = reliability(scores, events).calibration_error()
    assert found.error_bound == UNIT / 2
    assert abs(found.value - by_definition) <= found.error_bound + 1e-12


def test_a_forecast_that_comes_true_as_often_as_predicted_has_no_calibration_error() -> None:
    found = reliability(np.full(4, 0.25), np.array([0, 1, 0, 0])).calibration_error()

    assert found.value == 0.0


def test_sums_of_more_than_1_per_record_are_refused() -> None:
    found = reliability(np.array([1.0, 1.0, 0.2]), np.array([1, 1, 1]))

    found.check(3)
    with pytest.raises(ImpossibleTally, match="do not hold 2 records"):
        found.check(2)
    for name in ("predicted", "observed"):
        with pytest.raises(ImpossibleTally, match="more than 1 per record"):
            replace(found, **{name: getattr(found, name) + 0.9}).check(3)


@given(predictions)
def test_the_curve_has_one_point_for_each_bin_that_holds_records(scores: np.ndarray) -> None:
    curve = reliability(scores, np.ones(len(scores))).curve()

    assert sum(curve["count"]) == len(scores)
    assert len(curve["predicted"]) == len(np.unique(reliability_bins(scores)))
    assert curve["observed"] == [1.0] * len(curve["count"])


def test_points_of_the_curve_are_means_in_the_given_range() -> None:
    found = reliability(np.array([0.51, 0.53, 0.9]), np.array([0, 1, 1]))

    curve = found.curve(low=10, high=20)

    assert curve["count"] == [2, 1]
    assert curve["predicted"] == pytest.approx([15.2, 19.0])
    assert curve["observed"] == pytest.approx([15.0, 20.0])
