import numpy as np
import pytest
from hypothesis import given
from sklearn.metrics import average_precision_score, roc_auc_score

from privacy.layout import Tally
from sites.evaluation.ranking import ks_distance, pr_auc, pr_curve, roc_auc, roc_curve
from sites.statistics.histograms import histograms
from sites.statistics.tally import Metric
from tests.sites.scored_records import Records, binary

LAST_PLACES = 1e-12
N_BINS = (1, 4, 1024)
EDGES = np.arange(1025) / 1024


def counted(records: Records, n_bins: int = 1024) -> tuple[Tally, Tally]:
    found = histograms(records.predictions, records.labels, n_groups=2, n_bins=n_bins)
    return found[0], found[1]


def covers(metric: Metric, exact: float) -> bool:
    return abs(metric.value - exact) <= metric.error_bound + LAST_PLACES


@given(binary(both=True))
def test_the_auc_of_the_scores_is_within_the_bound(records: Records) -> None:
    exact = roc_auc_score(records.labels, records.predictions)

    for n_bins in N_BINS:
        assert covers(roc_auc(*counted(records, n_bins)), exact)


@given(binary(both=True))
def test_the_average_precision_of_the_scores_is_within_the_bound(records: Records) -> None:
    exact = average_precision_score(records.labels, records.predictions)

    for n_bins in N_BINS:
        assert covers(pr_auc(*counted(records, n_bins)), exact)


@given(binary(both=True))
def test_the_kolmogorov_smirnov_distance_of_the_scores_is_within_the_bound(
    records: Records,
) -> None:
    negatives, positives = (records.predictions[records.labels == code] for code in (0, 1))
    below = [
        np.searchsorted(np.sort(scores), records.predictions, side="right") / len(scores)
        for scores in (negatives, positives)
    ]
    exact = float(np.max(np.abs(below[0] - below[1])))

    for n_bins in N_BINS:
        assert covers(ks_distance(*counted(records, n_bins)), exact)


def within_bins(seed: int, *, first: int) -> Records:
    """Eight bins in which all records of one class outscore those of the other."""
    rng = np.random.default_rng(seed)
    bins, labels = rng.integers(0, 8, 400), rng.integers(0, 2, 400)
    places = np.where(labels == first, 0.9, 0.1) + rng.uniform(0, 0.05, 400)
    return Records((bins + places) / 8, labels)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("first", [0, 1])
def test_the_bound_of_the_auc_is_reached(seed: int, first: int) -> None:
    records = within_bins(seed, first=first)
    found = roc_auc(*counted(records, 8))

    off = roc_auc_score(records.labels, records.predictions) - found.value

    assert off == pytest.approx(found.error_bound * (1 if first else -1))


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_of_average_precision_is_nearly_reached(seed: int) -> None:
    """Positives first and tied is best; negatives first, bounded by a logarithm, is worst."""
    worst, best = within_bins(seed, first=0), within_bins(seed, first=1)
    tied = np.floor(best.predictions * 8) / 8 + np.where(best.labels == 1, 0.1, 0.0)
    found = pr_auc(*counted(worst, 8))
    assert found == pr_auc(*counted(Records(tied, best.labels), 8))

    farthest = max(
        average_precision_score(best.labels, tied) - found.value,
        found.value - average_precision_score(worst.labels, worst.predictions),
    )

    assert found.error_bound == pytest.approx(farthest, abs=2e-4)


def test_the_bound_of_ks_is_reached_by_a_bin_that_hides_the_whole_difference() -> None:
    found = ks_distance(np.array([0, 5]), np.array([0, 7]))

    assert found == Metric(0.0, 1.0)


def test_perfectly_separated_bins_have_error_bound_0() -> None:
    negatives, positives = np.array([5, 3, 0, 0]), np.array([0, 0, 0, 9])

    assert roc_auc(negatives, positives) == Metric(1.0, 0.0)
    assert ks_distance(negatives, positives) == Metric(1.0, 0.0)
    assert pr_auc(negatives, positives) == Metric(1.0, 0.0)


def test_a_single_bin_gives_an_auc_of_one_half_with_bound_one_half() -> None:
    assert roc_auc(np.array([5]), np.array([3])) == Metric(0.5, 0.5)


def test_with_many_records_the_error_is_far_below_the_bound() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(100_000) < 0.2).astype(np.int64)
    scores = 1 / (1 + np.exp(2 - labels - rng.normal(size=100_000)))
    records = Records(scores, labels)

    for metric, exact in (
        (roc_auc(*counted(records)), roc_auc_score(labels, scores)),
        (pr_auc(*counted(records)), average_precision_score(labels, scores)),
    ):
        assert metric.error_bound < 2e-3
        assert abs(metric.value - exact) < 2e-4


@given(binary(both=True))
def test_the_area_under_the_roc_points_is_the_auc(records: Records) -> None:
    curve = roc_curve(*counted(records), EDGES)

    area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])

    assert area == pytest.approx(roc_auc(*counted(records)).value)
    assert curve["threshold"] == sorted(curve["threshold"], reverse=True)
    assert [curve[name][0] for name in curve] == [1.0, 0.0, 0.0]
    assert [curve[name][-1] for name in curve][1:] == [1.0, 1.0]


@given(binary(both=True))
def test_points_of_the_curves_count_scores_of_at_least_the_threshold(records: Records) -> None:
    roc, precision_recall = roc_curve(*counted(records), EDGES), pr_curve(*counted(records), EDGES)

    for place, threshold in enumerate(precision_recall["threshold"]):
        called = records.predictions >= threshold
        true, false = (called & (records.labels == code) for code in (1, 0))
        recall = true.sum() / (records.labels == 1).sum()
        assert precision_recall["precision"][place] == true.sum() / called.sum()
        assert precision_recall["recall"][place] == recall == roc["true_positive_rate"][place + 1]
        rate = false.sum() / (records.labels == 0).sum()
        assert roc["false_positive_rate"][place + 1] == rate
