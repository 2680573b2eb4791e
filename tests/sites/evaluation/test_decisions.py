"""Counts at a threshold, and what they are worth, are those of the scores themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.decisions import (
    Alerts,
    Confusion,
    most_alerts,
    threshold_that_finds,
    threshold_that_flags,
)
from sites.evaluation.metric_values import Undefined
from sites.schema.tables import ClassLabel, Costs
from sites.statistics.tally import Metric
from tests.sites.scored_records import Records, binary

EVALUATION = BinaryEvaluation(ClassLabel(column="default", classes=("paid", "default")))


@given(records=binary(both=True), edge=st.integers(1, 63))
def test_net_benefit_is_that_of_the_scores_themselves(records: Records, edge: int) -> None:
    """By the formula of Vickers and Elkin (2006), from the counts of scikit-learn."""
    threshold = edge / 64
    called = records.predictions >= threshold
    (_, fp), (_, tp) = confusion_matrix(records.labels, called, labels=[0, 1])
    n, odds = len(records.labels), threshold / (1 - threshold)
    found = EVALUATION.confusion(
        EVALUATION.tally(records.predictions, records.labels), threshold=threshold
    )
    assert found.threshold == threshold
    assert found.net_benefit == pytest.approx(tp / n - fp / n * odds)
    share = records.labels.mean()
    assert found.net_benefit_of_all == pytest.approx(share - (1 - share) * odds)


@given(records=binary(both=True), share=st.floats(0.01, 1))
def test_a_threshold_for_a_purpose_is_the_best_edge_that_serves_it(
    records: Records, share: float
) -> None:
    found = EVALUATION.confusions(EVALUATION.tally(records.predictions, records.labels))
    finds = threshold_that_finds(found, share)
    assert finds.true_positives >= share * finds.positives
    flags = threshold_that_flags(found, share)
    assert flags.flagged <= share * flags.records or flags == found[-1]
    for one in found:
        if one.threshold > finds.threshold:
            assert one.true_positives < share * one.positives
        if one.threshold < flags.threshold:
            assert one.flagged > share * one.records


def test_a_worked_example() -> None:
    """100 records, 10 ill; at 20 %, 8 are found among 20 flagged: 0.08 - 0.12 / 4 = 0.05."""
    labels = np.array([1] * 10 + [0] * 90)
    scores = np.where(np.isin(np.arange(100), [*range(8), *range(10, 22)]), 0.5, 0.1)
    found = EVALUATION.confusion(EVALUATION.tally(scores, labels), threshold=0.2)
    assert found.threshold == pytest.approx(0.2, abs=1e-3)
    assert (found.flagged, found.positives, found.records) == (20, 10, 100)
    assert found.net_benefit == pytest.approx(0.05, abs=1e-3)
    assert found.net_benefit_of_all == pytest.approx(0.1 - 0.9 / 4, abs=2e-3)


COSTS = st.builds(
    Costs, missed=st.sampled_from([0, 1, 5, 180]), alert=st.sampled_from([0, 1, 5, 500])
)
SHARES = st.sampled_from([0.001, 0.01, 0.07, 0.29, 0.5, 1.0]) | st.floats(0, 1)


def brute_alerts(records: Records, share: float) -> Confusion:
    """Flag from the highest score down, ties together, while no more than a share is flagged."""
    scores, labels = records.predictions, records.labels
    flagged = np.zeros(len(scores), bool)
    for score in np.unique(scores)[::-1]:
        more = scores >= score
        if more.sum() / len(scores) > share:
            break
        flagged = more
    return Confusion(
        threshold=0.0,
        true_positives=int((flagged & (labels == 1)).sum()),
        false_positives=int((flagged & (labels == 0)).sum()),
        true_negatives=int((~flagged & (labels == 0)).sum()),
        false_negatives=int((~flagged & (labels == 1)).sum()),
    )


def alerts_of(records: Records, share: float) -> Alerts:
    found = EVALUATION.confusions(EVALUATION.tally(records.predictions, records.labels))
    return Alerts.among(found, share)


def metric_of(found: Metric | Undefined) -> Metric:
    assert isinstance(found, Metric)
    return found


@given(records=binary(both=True), share=SHARES, costs=COSTS)
def test_figures_at_a_share_of_alerts_are_within_their_bounds_of_the_scores_themselves(
    records: Records, share: float, costs: Costs
) -> None:
    """With ties, which are flagged together or not at all, and scores on the edges of bins."""
    found, exact = alerts_of(records, share), brute_alerts(records, share)
    figures = [
        (found.recall(), exact.true_positives / exact.positives),
        (found.cost(costs), exact.cost(costs)),
    ]
    if found.at.flagged:
        figures.append((found.precision(), exact.true_positives / exact.flagged))
    for figure, expected in figures:
        metric = metric_of(figure)
        assert abs(metric.value - expected) <= metric.error_bound + 1e-9
    assert found.at.flagged <= exact.flagged <= most_alerts(exact.records, share)


@given(scores=st.lists(st.integers(0, 63), min_size=1, max_size=80), share=SHARES)
def test_scores_on_edges_of_bins_have_no_error(scores: list[int], share: float) -> None:
    """Each score has a bin of its own, so that only ties are flagged together."""
    records = Records(np.array(scores) / 64, np.arange(len(scores)) % 2 ^ 1)
    found, exact = alerts_of(records, share), brute_alerts(records, share)
    assert found.at.true_positives == exact.true_positives
    assert found.at.flagged == exact.flagged


@given(records=binary(both=True), shares=st.tuples(SHARES, SHARES))
def test_more_alerts_never_find_less(records: Records, shares: tuple[float, float]) -> None:
    fewer, more = (metric_of(alerts_of(records, one).recall()).value for one in sorted(shares))
    assert fewer <= more


def test_tied_scores_are_flagged_together_or_not_at_all() -> None:
    """Ten of 100 records share the highest score: at 9 % none is flagged, at 10 % all ten."""
    scores = np.r_[np.full(10, 0.75), np.linspace(0, 0.5, 90)]
    records = Records(scores, np.r_[1, np.zeros(98, np.int64), 1])
    assert alerts_of(records, 0.09).at.flagged == 0
    assert alerts_of(records, 0.1).at.flagged == 10
    assert alerts_of(records, 0.1).recall() == Metric(0.5)
    assert alerts_of(records, 0.1).precision() == Metric(0.1)


@given(records=st.integers(0, 10**6), share=SHARES)
def test_the_most_alerts_are_the_largest_number_that_is_no_more_than_the_share(
    records: int, share: float
) -> None:
    most = most_alerts(records, share)
    assert most == 0 or most / records <= share
    assert most == records or (most + 1) / records > share


@pytest.mark.parametrize(("share", "most"), [(0.29, 29), (0.07, 7), (0.58, 58), (0.01, 1)])
def test_a_share_of_a_hundred_is_whole_though_its_product_is_not(share: float, most: int) -> None:
    """0.29 * 100 is 28.999999999999996."""
    assert most_alerts(100, share) == most


def test_a_worked_cost() -> None:
    """Of 1,000 records with 10 ill, 8 are found by 20 alerts: 2 are missed."""
    found = Confusion(
        threshold=0.5, true_positives=8, false_positives=12, true_negatives=978, false_negatives=2
    )
    assert found.cost(Costs(missed=180, alert=5, unit="EUR")) == 2 * 180 + 20 * 5
    twice = Confusion(
        threshold=0.5, true_positives=16, false_positives=24, true_negatives=1956, false_negatives=4
    )
    assert twice.cost(Costs(missed=180, alert=5)) == 460


def test_costs_are_told_only_where_they_were_declared() -> None:
    label = ClassLabel(
        column="fraud", classes=("no", "yes"), costs=Costs(missed=180, alert=5, unit="EUR")
    )
    evaluation = BinaryEvaluation(label)
    scores, labels = np.linspace(0, 0.99, 200), (np.arange(200) >= 198).astype(int)
    told = evaluation.metrics(evaluation.tally(scores, labels))
    assert told["cost_at_1_percent"] == Metric(1_000 * 2 * 5 / 200)
    assert told["cost_at_0_1_percent"] == Metric(1_000 * 2 * 180 / 200)
    quiet = EVALUATION.metrics(EVALUATION.tally(scores, labels))
    assert not {name for name in quiet if name.startswith("cost")}


@pytest.mark.parametrize(("second", "precision"), [(0, 0.5), (1, 1.0)])
def test_the_precision_is_bounded_by_what_the_bin_below_may_hold(
    second: int, precision: float
) -> None:
    """Of 20 records two may be flagged: the highest, and one of the crowd within a bin."""
    scores = np.r_[0.9, 0.5 + 2**-11, np.full(9, 0.5 + 2**-12), np.zeros(9)]
    records = Records(scores, np.r_[1, second, np.zeros(8, np.int64), 1, np.zeros(9, np.int64)])
    found, exact = alerts_of(records, 0.1), brute_alerts(records, 0.1)
    assert (found.at.flagged, exact.flagged) == (1, 2)
    assert exact.true_positives / exact.flagged == precision
    assert found.precision() == Metric(1.0, 0.5)
    assert found.recall() == Metric(1 / (2 + second), 1 / (2 + second))
