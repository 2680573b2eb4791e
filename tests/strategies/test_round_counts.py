"""Which entry of the counts of a round is what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.layout import Tally
from strategies.round_counts import RoundCounts

ENTRIES = st.integers(-(2**41), 2**41)
PAIRS = 6


def entries(size: int | st.SearchStrategy[int]) -> st.SearchStrategy[Tally]:
    return arrays.arrays(np.int64, size, elements=ENTRIES)


SITE = st.tuples(entries(4), st.integers(0, 2**31), entries(PAIRS))


@given(parts=st.lists(SITE, min_size=1, max_size=5))
def test_the_sum_of_the_sites_counts_holds_the_sum_of_each_part(
    parts: list[tuple[Tally, int, Tally]],
) -> None:
    counts = RoundCounts(evaluation=4, saturation=1, pairs=PAIRS)
    joined = [counts.join(one, saturated=cut, pairs=pairs) for one, cut, pairs in parts]
    summed = np.sum(joined, axis=0)
    assert summed.shape == (counts.size,)
    found = (counts.evaluation_of(summed), counts.saturated_of(summed), counts.pairs_of(summed))
    expected = [np.sum(part, axis=0) for part in zip(*parts, strict=True)]
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(np.asarray(one), other)


@pytest.mark.parametrize("saturation", [0, 1])
@pytest.mark.parametrize("pairs", [0, PAIRS])
def test_what_nobody_counts_takes_no_entry_and_is_not_known(saturation: int, pairs: int) -> None:
    counts = RoundCounts(evaluation=9, saturation=saturation, pairs=pairs)
    within = np.full(pairs, 3)
    joined = counts.join(np.arange(9), saturated=5, pairs=within)
    assert joined.size == 9 + saturation + pairs
    assert counts.saturated_of(joined) == (5 if saturation else None)
    found = counts.pairs_of(joined)
    assert (None if found is None else found.tolist()) == (within.tolist() or None)


@given(evaluation=entries(st.integers(1, 20)), count=st.integers(0, 2**31), pairs=entries(PAIRS))
def test_saturated_values_alone_show_nothing_of_an_evaluation(
    evaluation: Tally, count: int, pairs: Tally
) -> None:
    counts = RoundCounts(evaluation=evaluation.size, saturation=1, pairs=PAIRS)
    shown = counts.without_evaluation(counts.join(evaluation, saturated=count, pairs=pairs))
    assert shown is not None
    assert shown.tolist() == [0] * evaluation.size + [count] + [0] * PAIRS
    old = RoundCounts(evaluation=evaluation.size, pairs=PAIRS)
    assert old.without_evaluation(old.join(evaluation, pairs=pairs)) is None
