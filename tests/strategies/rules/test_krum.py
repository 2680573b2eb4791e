from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.distance_bounds import bound_distances
from strategies.rules.krum import (
    TIE,
    _divide,
    _mean_near_median,
    _nearest_apart,
    _rows_of_least_scores,
    _scores,
    _select_rows,
    bulyan,
    krum,
    multi_krum,
)

few = settings(max_examples=40)


def scores_of(updates: Matrix, num_byzantine: int) -> list[float]:
    """Return the literal scores of Blanchard et al., from nothing but the definition."""
    n_sites = len(updates)
    scores = []
    for i in range(n_sites):
        others = sorted(
            float(((updates[i] - updates[j]) ** 2).sum()) for j in range(n_sites) if j != i
        )
        scores.append(sum(others[: max(1, n_sites - num_byzantine - 2)]))
    return scores


def literal_bulyan(updates: Matrix, num_byzantine: int) -> Vector:
    remaining = list(range(len(updates)))
    selected: list[int] = []
    while len(selected) < len(updates) - 2 * num_byzantine:
        best = int(np.argmin(scores_of(updates[remaining], num_byzantine)))
        selected.append(remaining.pop(best))
    chosen, count = updates[selected], len(selected) - 2 * num_byzantine
    result = []
    for values in chosen.T:
        near = sorted(values, key=lambda value: abs(value - np.median(values)))
        result.append(np.mean(near[:count]))
    return np.array(result)


def updates_of(seed: int, n_sites: int, dim: int = 9) -> Matrix:
    return np.random.default_rng(seed).standard_t(2, (n_sites, dim))


@few
@given(seed=st.integers(0, 999), num_byzantine=st.integers(0, 3), more=st.integers(0, 4))
def test_the_oracle_of_krum_is_the_formula(seed: int, num_byzantine: int, more: int) -> None:
    updates = updates_of(seed, 2 * num_byzantine + 3 + more)
    scores = np.array(scores_of(updates, num_byzantine))
    winners = updates[scores <= scores.min() * (1 + 1e-12)]
    result = krum(updates, np.ones(len(updates)), num_byzantine=num_byzantine)
    assert result.tolist() in winners.tolist()


@few
@given(seed=st.integers(0, 999), num_byzantine=st.integers(1, 3), more=st.integers(0, 4))
def test_the_oracle_of_multi_krum_is_the_formula(seed: int, num_byzantine: int, more: int) -> None:
    updates = updates_of(seed, 2 * num_byzantine + 3 + more)
    best = np.argsort(scores_of(updates, num_byzantine))[: len(updates) - num_byzantine - 2]
    result = multi_krum(updates, np.ones(len(updates)), num_byzantine=num_byzantine)
    np.testing.assert_allclose(result, updates[best].mean(axis=0), rtol=1e-12, atol=1e-13)


@few
@given(seed=st.integers(0, 999), num_byzantine=st.integers(3, 4), more=st.integers(0, 3))
def test_the_oracle_of_bulyan_is_the_formula(seed: int, num_byzantine: int, more: int) -> None:
    """From f = 3 each remaining row is scored by two neighbours or more, and nothing ties."""
    updates = updates_of(seed, 4 * num_byzantine + 3 + more)
    result = bulyan(updates, np.ones(len(updates)), num_byzantine=num_byzantine)
    np.testing.assert_allclose(
        result, literal_bulyan(updates, num_byzantine), rtol=1e-12, atol=1e-13
    )


@few
@given(
    values=st.lists(st.sampled_from([-1.0, 0.0, 0.1, 0.3, 1.0, 2.0]), min_size=3, max_size=15),
    left_out=st.integers(0, 12),
)
def test_the_mean_near_the_median_is_the_formula_on_ties_and_equal_values(
    values: list[float], left_out: int
) -> None:
    """In extended precision; of two equally near values the lower counts."""
    count = max(1, len(values) - left_out)
    exact = sorted(np.array(values, np.longdouble))
    near = sorted(exact, key=lambda value: abs(value - np.median(exact)))
    found = _mean_near_median([np.array([value]) for value in sorted(values)], count)
    assert found[0] == pytest.approx(float(np.mean(near[:count])), abs=1e-15)


def test_the_values_nearest_to_the_median_are_taken_and_not_the_narrowest_window() -> None:
    rows = [np.array([value]) for value in (-1.0, -1.0, 0.0, 1.0, 1.0)]
    assert _mean_near_median(rows, 2) == [-0.5]


@few
@given(seed=st.integers(0, 999), n_sites=st.integers(3, 8))
def test_bulyan_without_liars_is_the_mean(seed: int, n_sites: int) -> None:
    updates = updates_of(seed, n_sites)
    result = bulyan(updates, np.ones(n_sites), num_byzantine=0)
    np.testing.assert_allclose(result, updates.mean(axis=0), rtol=1e-12, atol=1e-13)


def test_bulyan_with_seven_sites_survives_one_liar() -> None:
    """With 6, Flower returns None; with 7, the values furthest from the median go."""
    updates = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [1e9]])
    result = bulyan(updates, np.ones(7), num_byzantine=1)
    assert 0 <= result[0] <= 5


def test_krum_returns_an_update_to_the_last_bit() -> None:
    updates = (np.random.default_rng(1).normal(size=(9, 100_000)) * 1e-3).astype(np.float32)
    result = krum(updates, np.ones(9), num_byzantine=2)
    assert any(np.array_equal(result, row) for row in updates)


def test_krum_does_not_cancel_far_from_zero() -> None:
    """On full float32 weights |a|^2 + |b|^2 - 2ab is noise: only the outlier must lose."""
    rng = np.random.default_rng(2)
    updates = (1e4 + rng.normal(size=(7, 1000))).astype(np.float32)
    updates[0] += 3
    assert not np.array_equal(krum(updates, np.ones(7), num_byzantine=1), updates[0])


TIES = {  # four rows, none nearer to its neighbours than another
    "square": [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]],
    "pairs": [[0.0, 0.0], [0.0, 0.0], [5.0, 5.0], [5.0, 5.0], [9.0, 0.0]],
    "mirror": [[-2.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 9.0]],
    "same": [[1.0, 1.0]] * 5,
}


@pytest.mark.parametrize("rule", [krum, multi_krum])
@pytest.mark.parametrize("name", TIES)
@given(data=st.data())
@few
def test_ties_go_to_the_same_row_in_every_order(
    rule: Callable[..., Vector], name: str, data: st.DataObject
) -> None:
    updates = np.array(TIES[name])
    order = np.array(data.draw(st.permutations(range(5))))
    expected, result = (
        rule(rows, np.ones(5), num_byzantine=1) for rows in (updates, updates[order])
    )
    np.testing.assert_allclose(result, expected, rtol=1e-14)


def test_equal_scores_are_told_apart_by_the_first_place_in_which_rows_differ() -> None:
    """Mutual neighbours always tie; here they agree on all but the last of 40,000 values."""
    updates = np.zeros((3, 40_000))
    updates[0, -1], updates[1, -1], updates[2, 0] = 2.0, 1.0, 100.0
    assert krum(updates, np.ones(3), num_byzantine=0)[-1] == 1.0


def near_ties(seed: int, n_sites: int, kind: str) -> NDArray[np.float32]:
    """Return float32 updates whose scores are far apart, nearly equal, or equal."""
    rng = np.random.default_rng(seed)
    updates = rng.normal(size=(n_sites, 200))
    if kind == "close":  # all at one distance from each other, but for a millionth
        updates = np.eye(n_sites, 200) * (1 + 1e-6 * rng.random((n_sites, 1)))
    elif kind == "twins":
        updates = updates[rng.integers(0, max(2, n_sites // 2), n_sites)]
    elif kind == "grid":
        updates = np.round(updates[:, :2])
    elif kind == "shifted":
        updates += 1e5
    return updates.astype(np.float32)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_byzantine=st.integers(0, 3),
    more=st.integers(0, 20),
    kind=st.sampled_from(["apart", "close", "twins", "grid", "shifted"]),
    data=st.data(),
)
def test_what_bounds_decide_is_what_exact_distances_decide(
    seed: int, num_byzantine: int, more: int, kind: str, data: st.DataObject
) -> None:
    updates = near_ties(seed, 2 * num_byzantine + 3 + more, kind)
    count = data.draw(st.integers(1, len(updates)))
    found = _rows_of_least_scores(updates, num_byzantine, count)
    assert sorted(found) == sorted(_select_rows(updates, num_byzantine, count, renewed=False))


@few
@given(scores=st.lists(st.floats(0, 10), min_size=1, max_size=12), data=st.data())
def test_bounds_leave_open_what_they_do_not_decide(
    scores: list[float], data: st.DataObject
) -> None:
    """Rows are sure or out only if every choice of scores within the bounds says so."""
    exact = np.array(scores)
    widths = st.lists(st.floats(0, 2), min_size=len(scores), max_size=len(scores))
    low = np.maximum(exact - data.draw(widths), 0)
    high = exact + data.draw(widths)
    count = data.draw(st.integers(1, len(scores)))
    sure, left_open = _divide(low, high, count)
    for _ in range(5):
        drawn = low + (high - low) * np.array(
            data.draw(st.lists(st.floats(0, 1), min_size=len(scores), max_size=len(scores)))
        )
        order = np.argsort(drawn, kind="stable")
        last = drawn[order[count - 1]]
        assert set(sure) <= set(np.flatnonzero(drawn <= last))
        assert set(np.flatnonzero(drawn < last)) <= {*sure, *left_open}
    assert not {*sure} & {*left_open}
    assert len(sure) <= count <= len(sure) + len(left_open)


def test_bounds_that_are_exact_leave_nothing_open_but_ties() -> None:
    scores = np.array([3.0, 1.0, 2.0, 2.0 * (1 + TIE), 5.0])
    assert _divide(scores, scores, 1) == ([1], [])
    assert _divide(scores, scores, 2) == ([1], [2, 3])
    assert _divide(scores, scores, 3) == ([1, 2, 3], [])
    assert _divide(scores, scores, 5) == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("count", [1, 8])
def test_honest_updates_are_told_apart_by_bounds_alone(count: int) -> None:
    updates = np.random.default_rng(5).normal(size=(12, 300)).astype(np.float32)
    bounds = bound_distances(updates)
    assert bounds is not None
    low, high = (_scores(one, 2) for one in bounds)
    sure, left_open = _divide(low, high, count)
    assert (len(sure), left_open) == (count, [])


def test_rows_that_bounds_leave_open_are_measured_and_a_tie_is_not_decided() -> None:
    updates = np.zeros((5, 300), np.float32)
    updates[:, 0] = [0.0, 1.0, 2.0, 3.0 + 1e-6, 9.0]
    assert _nearest_apart(updates, 0, [1, 2], 1) == [2]
    updates[3, 0] = 3.0
    assert _nearest_apart(updates, 0, [1, 2], 1) is None
