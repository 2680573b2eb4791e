import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from privacy.contribution import LARGEST_ENTRY
from privacy.differential.discrete_gaussian import BadDeviation
from privacy.differential.noisy_counts import noisy_tally, require_deviation


def chances(squared: float, center: int) -> np.ndarray:
    """Return the discrete Gaussian around a whole number, from its definition."""
    weights = np.exp(-((np.arange(-400, 401) - center).astype(float) ** 2) / (2 * squared))
    return np.asarray(weights / weights.sum())


def discrete_delta(squared: float, moved: int, epsilon: float) -> float:
    """Return the smallest delta of discrete noise on a count that one unit moves so far."""
    excess = chances(squared, moved) - math.exp(epsilon) * chances(squared, 0)
    return float(excess.clip(0).sum())


def gaussian_delta(deviation: float, moved: int, epsilon: float) -> float:
    """Return that of a Gaussian (Balle and Wang 2018, theorem 8)."""
    half, far = moved / (2 * deviation), epsilon * deviation / moved
    return float(norm.cdf(half - far) - math.exp(epsilon) * norm.cdf(-half - far))


@pytest.mark.parametrize(
    ("deviation", "moved"), [*itertools.product([0.3, 0.7, 1.0, 2.5, 8.0], [1, 2, 5])]
)
def test_the_noise_is_covered_by_its_gaussian_at_every_epsilon(
    deviation: float, moved: int
) -> None:
    for epsilon in np.linspace(0, 6, 61):
        covered = gaussian_delta(deviation, moved, epsilon)
        assert discrete_delta(deviation**2 + 4, moved, epsilon) <= covered + 1e-13


def test_without_the_theorems_four_it_would_not_be() -> None:
    """The test above has the power to tell."""
    assert discrete_delta(0.25, 1, 0.0) > gaussian_delta(0.5, 1, 0.0) + 0.1


def test_each_entry_has_noise_in_proportion_to_its_scale_and_none_without() -> None:
    tally, scales = np.full(3000, 7, np.int64), np.repeat([0.0, 2.0, 2.0**20], 1000)
    noise = noisy_tally(tally, scales, deviation=30.0) - tally
    assert not noise[:1000].any()
    assert noise[1000:2000].std() == pytest.approx(60, rel=0.12)
    assert noise[2000:].std() == pytest.approx(30 * 2**20, rel=0.12)
    assert tally.tolist() == [7] * 3000


def test_no_entry_leaves_its_bits_whatever_the_noise() -> None:
    largest, scales = LARGEST_ENTRY - 1, np.ones(50)
    for end in (largest, -largest):
        noisy = noisy_tally(np.full(50, end), scales, deviation=2.0**39)
        assert np.abs(noisy).max() == largest


@pytest.mark.parametrize(("scale", "deviation"), [(1.0, 0.0), (1.0, 2.0**40), (2.0**20, 2.0**20)])
def test_noise_that_is_none_or_drowns_all_is_refused(scale: float, deviation: float) -> None:
    with pytest.raises(BadDeviation, match="choose more epsilon"):
        require_deviation(np.array([0.0, scale]), deviation=deviation)
