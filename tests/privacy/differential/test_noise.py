import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from privacy.differential.noise import BadNoise, grid_gaussian, poisson_sample

N = 200_000


@pytest.mark.parametrize("deviation", [0.3, 1.0, 7.5, 2.0**17])
def test_noise_is_a_gaussian_rounded_to_whole_numbers(deviation: float) -> None:
    noise = grid_gaussian(N, deviation=deviation)
    assert (noise == np.rint(noise)).all()
    exact = stats.norm(scale=deviation)
    edges = deviation * np.linspace(-3, 3, 13)
    edges = np.unique(np.floor(edges)) + 0.5
    found = np.histogram(noise, [-np.inf, *edges, np.inf])[0]
    expected = N * np.diff([0.0, *exact.cdf(edges), 1.0])
    assert stats.chisquare(found, expected).pvalue > 1e-9


def test_noise_has_the_stated_variance_and_mean() -> None:
    noise = grid_gaussian(N, deviation=1000.0)
    assert abs(noise.mean()) < 6 * 1000 / N**0.5
    assert noise.std() == pytest.approx(1000, rel=6 / (2 * N) ** 0.5)


def test_noise_reaches_nine_deviations_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([0, 1, 2**64 - 2, 2**64 - 1, 2**63], np.uint64)
    monkeypatch.setattr(os, "urandom", lambda size: words[: size // 8].tobytes())
    noise = grid_gaussian(5, deviation=1e6)
    assert 9.0e6 < noise[0] < 9.3e6
    assert noise[1] == -noise[0]
    assert noise[2] == noise[3] == 0
    assert noise[4] == round(1e6 * stats.norm.isf(0.25))


def test_a_large_draw_is_made_in_parts_that_are_all_drawn() -> None:
    noise = grid_gaussian(2**20 + 3, deviation=1e12)
    assert noise[-3:].all()
    assert len(np.unique(noise)) > 2**20 - 10


@given(st.sampled_from([0.0, -1.0, float("nan"), float("inf"), 2.0**49]))
def test_a_deviation_that_cannot_be_drawn_is_refused(deviation: float) -> None:
    with pytest.raises(BadNoise, match="deviation above 0"):
        grid_gaussian(3, deviation=deviation)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_each_is_drawn_by_its_own_chance(rate: float) -> None:
    rounds = [poisson_sample(10_000, rate=rate) for _ in range(20)]
    for drawn in rounds:
        assert (np.diff(drawn) > 0).all()
        assert abs(len(drawn) - 10_000 * rate) <= 7 * (10_000 * rate * (1 - rate)) ** 0.5
    hits = np.bincount(np.concatenate(rounds), minlength=10_000)
    assert (
        abs(hits[:5_000].sum() - hits[5_000:].sum())
        <= 7 * (200_000 * max(rate * (1 - rate), 0)) ** 0.5
    )


def test_neither_draw_follows_any_seed() -> None:
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for found in (first, second):
        np.random.seed(3)  # noqa: NPY002 -- the generator that must not matter
        found += [grid_gaussian(50, deviation=1e9), poisson_sample(1_000, rate=0.5)]
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])
