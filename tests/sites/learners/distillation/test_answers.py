"""Laws of answers as whole numbers: they add up to one, and their average is exact."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.distillation.answers import LEVELS, as_levels, average, shares_of
from sites.statistics.tally import ImpossibleTally


def drawn_shares(seed: int, n: int, n_classes: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(n_classes, 0.3), size=n)


@given(st.integers(0, 99), st.integers(1, 20), st.integers(2, 12))
def test_levels_of_a_text_add_up_to_one_and_lose_less_than_a_level(
    seed: int, n: int, n_classes: int
) -> None:
    shares = drawn_shares(seed, n, n_classes)
    levels = as_levels(shares).reshape(n, n_classes)
    assert (levels.sum(axis=1) == LEVELS).all()
    assert (levels >= 0).all()
    assert (np.abs(levels - LEVELS * shares) < 1 + 1e-6).all()


@given(st.integers(0, 99), st.integers(1, 9))
def test_the_average_of_sites_is_that_of_their_levels(seed: int, sites: int) -> None:
    each = [as_levels(drawn_shares(seed + one, 4, 3)) for one in range(sites)]
    found = average(np.sum(each, axis=0), n_classes=3)
    np.testing.assert_allclose(found, np.mean(each, axis=0) / LEVELS, rtol=1e-12)


def test_two_classes_have_both_their_probabilities() -> None:
    assert shares_of(np.array([0.25])).tolist() == [[0.75, 0.25]]
    many = drawn_shares(1, 2, 3)
    assert shares_of(many) is many


@pytest.mark.parametrize("change", [1, -LEVELS, LEVELS])
def test_answers_of_no_whole_number_of_sites_are_refused(change: int) -> None:
    levels = as_levels(drawn_shares(1, 3, 2))
    levels[0] += change
    with pytest.raises(ImpossibleTally):
        average(levels, n_classes=2)


def test_no_answer_at_all_is_refused() -> None:
    with pytest.raises(ImpossibleTally):
        average(np.zeros(6, np.int64), n_classes=2)
