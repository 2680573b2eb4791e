import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr, ndtri

from privacy.differential import noise as module
from privacy.differential.noise import (
    BadNoise,
    GridNoise,
    gaussian_parts,
    grid_gaussian,
    poisson_sample,
    poisson_samples,
)

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


@pytest.mark.parametrize(("word", "more", "deviations"), [(0, 0, 13.11), (0, 2**64 - 1, 9.08)])
def test_noise_reaches_thirteen_deviations_without_gaps(
    monkeypatch: pytest.MonkeyPatch, word: int, more: int, deviations: float
) -> None:
    """Where 64 bits tell values apart no longer, 64 more do."""
    drawn = iter([word, more])

    def random_bytes(size: int) -> bytes:
        return np.full(size // 8, next(drawn), np.uint64).tobytes()

    monkeypatch.setattr(module, "_random_bytes", random_bytes)
    assert grid_gaussian(5, deviation=1000.0)[0] == pytest.approx(1000 * deviations, abs=10)


@given(st.integers(2, 2**48))
def test_noise_of_any_size_is_drawn_in_parts_that_have_its_variance(deviation: int) -> None:
    parts = gaussian_parts(float(deviation))
    variance = sum((step * part) ** 2 for step, part in parts)
    assert variance == pytest.approx(deviation**2, rel=1e-12)
    for (step, part), (coarser, _) in pairwise(parts):
        assert coarser * 2 == step * part, "two steps of the coarse grid to a fine deviation"
    assert all(part >= 2 for _, part in parts)
    assert max(part for _, part in parts) <= 2**12


@pytest.mark.parametrize("deviation", [5_000.0, 2.0**13, 2.0**16])
def test_the_sum_of_two_parts_is_a_gaussian_with_uniform_noise_to_the_last_digits(
    deviation: float,
) -> None:
    (_, fine), (step, coarse) = gaussian_parts(deviation)
    reach = int(12 * coarse)
    lattice = np.arange(-reach, reach + 1)
    for z in np.rint(deviation * np.linspace(-4, 4, 41)):
        summed = (cell(lattice, coarse) * cell(z - step * lattice, fine)).sum()
        # The double difference of the integral of the distribution function
        ends = [(z + 0.5 + step / 2, 1), (z + 0.5 - step / 2, -1)]
        ends += [(z - 0.5 + step / 2, -1), (z - 0.5 - step / 2, 1)]
        exact = sum(sign * integral(-abs(z) + x - z, deviation) for x, sign in ends) / step
        assert summed == pytest.approx(exact, rel=1e-6)


def cell(z: np.ndarray, deviation: float) -> np.ndarray:
    """Return the probability that a Gaussian is rounded to a whole number."""
    tail = np.abs(z) - 0.5
    return np.asarray(stats.norm.sf(tail / deviation) - stats.norm.sf((tail + 1) / deviation))


def integral(x: float, deviation: float) -> float:
    """Return the integral of the distribution function of a Gaussian up to `x`."""
    there = x / deviation
    return float(x * stats.norm.cdf(there) + deviation * stats.norm.pdf(there))


def test_the_inverse_of_the_normal_distribution_is_as_exact_as_is_counted() -> None:
    """Half of the bound: what the distribution function itself is off by is in the figure."""
    tail = np.concatenate([np.geomspace(2.0**-128, 0.5, 20_000), np.linspace(0.01, 0.5, 20_000)])
    found = ndtri(tail)
    off = (ndtr(found) - tail) / stats.norm.pdf(found)
    assert (np.abs(off) <= (np.abs(found) + 1) * 2.0**-50).all()


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


@pytest.mark.parametrize("rate", [0.003, 0.25, 0.7])
def test_a_unit_is_drawn_if_its_64_bits_are_below_the_rate(
    monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    """Whether or not the first eight of them decide."""
    words = np.random.default_rng(0).integers(0, 2**64, 4_000, np.uint64)
    near = np.uint64(rate * 2.0**64)
    words[:3] = near - np.uint64(1), near, near + np.uint64(1)
    firsts = (words >> np.uint64(56)).astype(np.uint8)
    undecided = words[firsts == near >> np.uint64(56)] << np.uint64(8)
    given_bytes = iter([firsts.tobytes(), undecided.tobytes()])
    monkeypatch.setattr(module, "_random_bytes", lambda size: next(given_bytes))
    assert poisson_sample(4_000, rate=rate).tolist() == np.flatnonzero(words < near).tolist()


@given(st.integers(0, 20_000), st.integers(0, 5), st.sampled_from([0.0, 0.2, 1.0]))
def test_samples_drawn_together_are_samples_each(n: int, times: int, rate: float) -> None:
    """Each has units of its own, in rising order, about as many as the rate says."""
    samples = list(poisson_samples(n, rate=rate, times=times))
    assert len(samples) == times
    for sample in samples:
        assert (np.diff(sample) > 0).all()
        assert sample.min(initial=0) >= 0
        assert sample.max(initial=0) < max(n, 1)
        assert abs(len(sample) - n * rate) <= 8 * (n * rate * (1 - rate)) ** 0.5 + 8 * (rate == 0.2)


def test_samples_drawn_together_are_independent() -> None:
    first, second = poisson_samples(4_000, rate=0.5, times=2)
    both = len(np.intersect1d(first, second))
    assert abs(both - 1_000) < 7 * (4_000 * 0.25 * 0.75) ** 0.5


@given(st.lists(st.integers(0, 20_000), max_size=5), st.integers(0, 40_000))
def test_noise_drawn_ahead_is_given_out_once(sizes: list[int], expected: int) -> None:
    """And nothing is left over where no more was expected."""
    drawn: list[np.ndarray] = []

    def rising(n: int, *, deviation: float) -> np.ndarray:
        drawn.append(sum(map(len, drawn)) + np.arange(n) + deviation)
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "grid_gaussian", rising)
        noise = GridNoise(deviation=1.0, expected=expected)
        vectors = [np.zeros(size) for size in sizes]
        for vector in vectors:
            noise.add_to(vector)
    found = np.concatenate([np.zeros(0), *vectors])
    assert found.tolist() == (np.arange(len(found)) + 1.0).tolist()
    if len(found) >= expected:
        assert sum(map(len, drawn)) == len(found)


def test_noise_drawn_ahead_has_the_stated_deviation() -> None:
    numbers = np.full((100, 2_000), 7.0)
    noise = GridNoise(deviation=1000.0, expected=numbers.size)
    for vector in numbers:
        noise.add_to(vector)
    assert abs(numbers.mean() - 7) < 6 * 1000 / numbers.size**0.5
    assert numbers.std() == pytest.approx(1000, rel=6 / (2 * numbers.size) ** 0.5)


def test_every_draw_has_a_key_of_its_own_from_the_operating_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = [bytes(32), bytes(range(32))]
    asked: list[int] = []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return keys[len(asked) - 1]

    monkeypatch.setattr(os, "urandom", urandom)
    found = [module._random_bytes(16) for _ in range(2)]
    assert asked == [32, 32]
    # AES-256 of 16 zeros under these keys: the first is NIST's known answer (AESAVS, appendix B)
    assert found[0].hex() == "dc95c078a2408989ad48a21492842087"
    assert found[1] != found[0]


def test_neither_draw_follows_any_seed() -> None:
    first: list[np.ndarray] = []
    second: list[np.ndarray] = []
    for found in (first, second):
        np.random.seed(3)  # noqa: NPY002 -- the generator that must not matter
        found += [grid_gaussian(50, deviation=1e9), poisson_sample(1_000, rate=0.5)]
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[1], second[1])
