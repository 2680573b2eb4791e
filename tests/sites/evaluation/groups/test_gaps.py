import numpy as np
import pytest

from sites.evaluation.groups.gaps import group_gaps
from tests.sites.evaluation.groups.test_subgroups import BASE, GROUPED, drawn


def test_a_gap_is_the_groups_metric_less_that_of_all_others() -> None:
    scores, labels, columns = drawn(2_000, 5)
    tally = GROUPED.tally_by_group(scores, labels, columns)
    group = GROUPED.groups[1]
    rows = columns["sex"] == group.code
    mine, others = (BASE.metrics(BASE.tally(scores[r], labels[r])) for r in (rows, ~rows))
    for one in group_gaps(GROUPED, tally, group):
        assert one.gap == mine[one.metric].value - others[one.metric].value
        if one.interval:
            assert one.interval[0] <= one.gap <= one.interval[1]


def test_newcombes_interval_of_two_shares() -> None:
    """The example of the paper: 56 of 70 against 48 of 80 (Newcombe 1998, table II, method 10)."""
    labels = np.ones(150, int)
    scores = np.array([1.0] * 56 + [0.0] * 14 + [1.0] * 48 + [0.0] * 32)
    sex = np.array([0] * 70 + [1] * 80)
    columns = {"sex": sex, "ward": np.zeros(150, int)}
    tally = GROUPED.tally_by_group(scores, labels, columns)
    (recall,) = [
        one for one in group_gaps(GROUPED, tally, GROUPED.groups[0]) if one.metric == "recall"
    ]
    assert recall.gap == pytest.approx(0.2)
    assert recall.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_interval_of_an_auc_covers_no_gap_nineteen_times_in_twenty() -> None:
    """Of two groups whose scores have the same distribution."""
    covered, gini = 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 400)
        scores = 1 / (1 + np.exp(-rng.normal(labels, 1)))
        columns = {"sex": rng.integers(0, 2, 400), "ward": np.zeros(400, int)}
        tally = GROUPED.tally_by_group(scores, labels, columns)
        found = {one.metric: one for one in group_gaps(GROUPED, tally, GROUPED.groups[0])}
        for name in ("roc_auc", "gini"):
            low, high = found[name].interval or (1.0, 1.0)
            covered += name == "roc_auc" and low <= 0 <= high
            gini += name == "gini" and low <= 0 <= high
    assert 180 <= covered <= 199
    assert gini == covered
