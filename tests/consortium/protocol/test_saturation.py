"""What is counted in an encrypted round: the evaluation, and behind it the saturated values."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consortium.config import RunConfig
from consortium.protocol.parameters import count_placement
from consortium.protocol.saturation import RoundCounts, round_counts, round_counts_placement
from privacy.layout import Tally
from scenarios.library.registry import scenario_named
from sites.statistics.tally import ImpossibleTally

HEART = scenario_named("heart-diagnosis")
NEW = HEART.config_with({"aggregation": "encrypted"})
OLD = HEART.config_with({"aggregation": "encrypted", "scale-rule": "doubling"})

COUNTS = arrays.arrays(np.int64, st.integers(1, 20), elements=st.integers(-(2**41), 2**41))


@given(parts=st.lists(st.tuples(COUNTS, st.integers(0, 2**31)), min_size=1, max_size=5))
def test_the_sum_of_the_sites_counts_holds_both_sums(parts: list[tuple[Tally, int]]) -> None:
    size = min(one.size for one, _ in parts)
    counts = RoundCounts(evaluation=size, saturation=1)
    summed = np.sum([counts.join(one[:size], cut) for one, cut in parts], axis=0)
    evaluation = np.sum([one[:size] for one, _ in parts], axis=0)
    assert summed.shape == (counts.size,)
    assert counts.evaluation_of(summed).tolist() == evaluation.tolist()
    assert summed[-1] == sum(cut for _, cut in parts)


def test_a_run_of_version_0_1_0_has_no_such_count() -> None:
    """Its uploads have the size that they had."""
    counts = round_counts(OLD, HEART.charter, 9)
    assert counts == RoundCounts(evaluation=9, saturation=0)
    assert counts.join(np.arange(9), 5).tolist() == list(range(9))
    placed = round_counts_placement(OLD, HEART.charter, 9)
    assert placed == count_placement(OLD, HEART.charter, 9)
    assert RunConfig().scale_rule == "doubling"  # what a config of 0.1.0 does not say


def test_a_run_that_begins_now_has_one() -> None:
    assert round_counts(NEW, HEART.charter, 9) == RoundCounts(evaluation=9, saturation=1)
    placed = round_counts_placement(NEW, HEART.charter, 9)
    assert placed == replace(count_placement(NEW, HEART.charter, 9), tally_size=10)


@given(evaluation=COUNTS, count=st.integers(0, 2**31))
def test_the_number_alone_shows_nothing_of_an_evaluation(evaluation: Tally, count: int) -> None:
    counts = RoundCounts(evaluation=evaluation.size, saturation=1)
    shown = counts.without_evaluation(counts.join(evaluation, count))
    assert shown is not None
    assert shown.tolist() == [0] * evaluation.size + [count]
    old = RoundCounts(evaluation=evaluation.size, saturation=0)
    assert old.without_evaluation(evaluation) is None


@pytest.mark.parametrize("count", [-1, 31, 2**41])
def test_more_values_than_there_are_cannot_be_saturated(count: int) -> None:
    counts = RoundCounts(evaluation=3, saturation=1)
    with pytest.raises(ImpossibleTally, match="0 to 30"):
        counts.check_saturation(np.array([1, 2, 3, count]), values=30)


@given(count=st.integers(0, 30), evaluation=st.integers(-(2**41), 2**41))
def test_as_many_as_there_are_can_be(count: int, evaluation: int) -> None:
    counts = RoundCounts(evaluation=1, saturation=1)
    counts.check_saturation(np.array([evaluation, count]), values=30)
