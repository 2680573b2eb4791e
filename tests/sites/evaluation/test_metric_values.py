import math

import numpy as np
import pytest
from scipy.stats import binomtest

from sites.evaluation.metric_values import (
    LARGEST_LOG_LOSS,
    Figures,
    Undefined,
    check_means,
    defined_metrics,
    log_losses,
    ratio,
    undefined_reasons,
    wilson_interval,
)
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout, fixed_point


def test_every_metric_is_defined_or_has_a_reason() -> None:
    found: Figures = {"recall": Metric(0.5), "auc": Undefined("needs both classes")}

    assert defined_metrics(found) == {"recall": Metric(0.5)}
    assert undefined_reasons(found) == {"auc": "needs both classes"}


def test_a_share_of_nothing_is_undefined() -> None:
    assert ratio(1, 4, "nothing") == Metric(0.25, 0.0)
    assert ratio(0, 0, "nothing") == Undefined("nothing")


def test_the_log_loss_is_finite_even_for_probability_0() -> None:
    losses = log_losses(np.array([0.0, 1e-7, 0.5, 1.0]))

    assert losses.tolist() == [LARGEST_LOG_LOSS, LARGEST_LOG_LOSS, math.log(2), 0.0]


def test_a_sum_larger_than_the_records_allow_is_refused() -> None:
    layout = TallyLayout({"brier": 2})
    tally = fixed_point(np.array([1.0, 1.0]))

    check_means(layout, tally, examples=2, largest={"brier": 1.0})
    with pytest.raises(ImpossibleTally, match="1 records cannot have so large a sum of brier"):
        check_means(layout, tally, examples=1, largest={"brier": 1.0})


@pytest.mark.parametrize(("right", "n"), [(0, 5), (5, 5), (37, 50), (990, 1000)])
def test_the_interval_of_a_share_is_wilsons(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-7)
