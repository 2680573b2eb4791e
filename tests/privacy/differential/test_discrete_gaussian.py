import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

from privacy.differential.discrete_gaussian import BadDeviation, discrete_gaussian

DRAWS = 20_000


def probabilities(sigma_squared: float, reach: int) -> np.ndarray:
    """Return those of -reach to reach, from the definition, the tails with the last ones."""
    support = np.arange(-40 * reach, 40 * reach + 1)
    weights = np.exp(-(support.astype(float) ** 2) / (2 * sigma_squared))
    weights /= weights.sum()
    middle = weights[np.abs(support) <= reach].copy()
    middle[0] += weights[support < -reach].sum()
    middle[-1] += weights[support > reach].sum()
    return middle


@pytest.mark.parametrize(
    "sigma_squared", [Fraction(1, 4), Fraction(1), Fraction(7, 3), Fraction(25), Fraction(10**4)]
)
def test_every_whole_number_comes_as_often_as_the_definition_says(sigma_squared: Fraction) -> None:
    """Chi-square over bins of five expected draws or more; one run in a million fails by chance."""
    deviation = math.sqrt(sigma_squared)
    reach = max(1, round(2.5 * deviation))
    drawn = discrete_gaussian(DRAWS, sigma_squared)
    counted = np.bincount(np.clip(drawn, -reach, reach) + reach, minlength=2 * reach + 1)
    expected = probabilities(float(sigma_squared), reach) * DRAWS
    width = max(1, math.ceil(2 * reach / 40))  # 40 bins at most
    starts = np.arange(0, 2 * reach + 1, width)
    found = chisquare(np.add.reduceat(counted, starts), np.add.reduceat(expected, starts))
    assert found.pvalue > 1e-6


def test_a_sampler_of_a_rounded_gaussian_would_be_found() -> None:
    """The test has the power to tell them apart: rounding is another distribution."""
    rounded = np.rint(np.random.default_rng(3).normal(0, 0.5, DRAWS)).astype(np.int64)
    counted = np.bincount(np.clip(rounded, -1, 1) + 1, minlength=3)
    expected = probabilities(0.25, 1) * DRAWS
    assert chisquare(counted, expected).pvalue < 1e-6


def test_large_deviations_are_drawn_at_once() -> None:
    drawn = discrete_gaussian(4_000, Fraction(2**60)).astype(np.float64)
    assert abs(drawn.mean()) < 5 * 2**30 / math.sqrt(4_000)
    assert drawn.std() == pytest.approx(2**30, rel=0.06)


def test_nothing_is_drawn_twice() -> None:
    assert (
        discrete_gaussian(50, Fraction(10**12)).tolist()
        != discrete_gaussian(50, Fraction(10**12)).tolist()
    )
    assert discrete_gaussian(0, Fraction(1)).shape == (0,)


@pytest.mark.parametrize("wrong", [Fraction(0), Fraction(-1), Fraction(2**80)])
def test_a_deviation_that_is_none_is_refused(wrong: Fraction) -> None:
    with pytest.raises(BadDeviation, match="above 0"):
        discrete_gaussian(1, wrong)
