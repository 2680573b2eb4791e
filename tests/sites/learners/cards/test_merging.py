"""Bins of a card come from counts alone, and each of them meets the floor."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privacy.layout import Tally
from sites.learners.cards.merging import (
    FEWEST_OF_CLASS,
    MOST_BINS,
    Merged,
    merge_category,
    merge_number,
)
from sites.learners.cards.plan import Direction

COUNTS = st.integers(2, 40).flatmap(
    lambda size: arrays(
        np.int64,
        (2, size),
        elements=st.one_of(st.just(0), st.integers(0, 5), st.integers(0, 200), st.just(100_000)),
    )
)


def shares(merged: Merged, *, values_only: bool = True) -> list[float]:
    own = merged.places[-1] == merged.n_bins - 1 > merged.places[:-1].max()
    counts = merged.counts[:, : merged.n_bins - 1] if own and values_only else merged.counts
    return [float(one) for one in counts[1] / np.maximum(counts.sum(axis=0), 1)]


def require_floor(merged: Merged, counts: Tally) -> None:
    assert merged.n_bins <= MOST_BINS
    if merged.n_bins > 1:
        assert merged.counts.min() >= FEWEST_OF_CLASS
        assert (merged.counts.sum(axis=0) * MOST_BINS >= counts.sum()).all()


@given(COUNTS)
def test_every_bin_meets_the_floor_or_there_is_one(counts: Tally) -> None:
    for merged in (merge_number(counts), merge_category(counts), merge_number(counts, "up")):
        require_floor(merged, counts)
        assert set(merged.places.tolist()) <= {*range(merged.n_bins)}


@given(COUNTS)
def test_no_record_is_lost_or_counted_twice(counts: Tally) -> None:
    for merged in (merge_number(counts), merge_category(counts)):
        held = np.zeros((2, merged.n_bins), np.int64)
        for place, fine in zip(merged.places.tolist(), counts.T, strict=True):
            held[:, place] += fine
        left_out = held - merged.counts
        assert (left_out[:, merged.places[-1]] <= counts[:, -1]).all()
        left_out[:, merged.places[-1]] = 0
        assert not left_out.any()


@given(COUNTS)
def test_a_bin_of_a_number_is_a_range(counts: Tally) -> None:
    places = merge_number(counts).places[:-1]
    assert (np.diff(places) >= 0).all()
    assert (np.diff(places) <= 1).all()


@given(COUNTS, st.sampled_from(["up", "down"]))
def test_with_a_direction_shares_only_rise_or_only_fall(
    counts: Tally, direction: Direction
) -> None:
    steps = np.diff(shares(merge_number(counts, direction)))
    assert (steps >= 0).all() if direction == "up" else (steps <= 0).all()


@given(COUNTS)
def test_values_of_a_category_that_share_a_bin_have_neighbouring_shares(counts: Tally) -> None:
    merged = merge_category(counts)
    seen = [
        (second / (first + second), place)
        for first, second, place in zip(*counts[:, :-1], merged.places[:-1], strict=True)
        if first + second
    ]
    places = [place for _, place in sorted(seen)]
    assert merged.n_bins == 1 or places == sorted(places)


@given(COUNTS, st.permutations(range(2)))
def test_the_order_of_counting_changes_nothing(counts: Tally, order: list[int]) -> None:
    parts = [counts // 3, counts - counts // 3]
    again = parts[order[0]] + parts[order[1]]
    assert merge_number(again).places.tolist() == merge_number(counts).places.tolist()


def test_small_bins_join_the_neighbour_that_they_resemble() -> None:
    counts = np.array([[900, 9, 500, 0], [100, 9, 500, 0]])
    assert merge_number(counts).places[:-1].tolist() == [0, 1, 1]


def test_neighbours_that_do_not_differ_stay_together() -> None:
    counts = np.array([[500, 505, 100, 0], [500, 495, 900, 0]])
    merged = merge_number(counts)
    assert merged.places.tolist()[:-1] == [0, 0, 1]
    assert merged.counts.tolist() == [[1005, 100], [995, 900]]


def test_what_nobody_has_is_in_the_nearer_bin() -> None:
    counts = np.array([[500, 0, 0, 0, 0, 100, 0], [500, 0, 0, 0, 0, 900, 0]])
    assert merge_number(counts).places[:-1].tolist() == [0, 0, 0, 1, 1, 1]


def test_missing_values_have_a_bin_of_their_own_if_there_are_enough() -> None:
    enough = np.array([[500, 100, 80], [500, 900, 40]])
    assert merge_number(enough).places.tolist() == [0, 1, 2]
    few = np.array([[500, 100, 9], [500, 400, 40]])
    merged = merge_number(few)
    assert merged.places.tolist() == [0, 1, 0], (
        "they stand where the share is nearest to that of all"
    )
    assert merged.counts.tolist() == [[500, 100], [500, 400]]


def test_a_feature_that_hardly_anybody_has_has_one_bin() -> None:
    merged = merge_number(np.array([[3, 2, 900], [1, 0, 900]]))
    assert merged.places.tolist() == [0, 0, 0]
    assert merged.counts.tolist() == [[905], [901]]


@pytest.mark.parametrize("merge", [merge_number, merge_category])
def test_without_records_there_is_one_bin(merge: Callable[[Tally], Merged]) -> None:
    merged = merge(np.zeros((2, 5), np.int64))
    assert merged.places.tolist() == [0] * 5
