import numpy as np
import pytest

from privacy.differential.accounting import epsilon
from privacy.differential.mechanisms import Gaussian
from privacy.differential.noisy_counts import noisy_tally
from sites.learners.count_noise import CountNoise


def test_all_rounds_together_cost_what_was_asked() -> None:
    noise = CountNoise(
        unit="person", epsilon=2.0, delta=1e-5, noise_multiplier=0.0, most_records=3, rounds=4
    )
    event = Gaussian(noise_multiplier=noise.multiplier, count=4, sensitivity=3.0, unit="person")
    assert 1.98 <= epsilon([event], 1e-5) <= 2.0
    assert noise.deviation == pytest.approx(3 * noise.multiplier)


def test_noise_that_is_given_is_taken_as_it_is() -> None:
    noise = CountNoise(
        unit="record", epsilon=0.0, delta=0.0, noise_multiplier=1.5, most_records=1, rounds=1
    )
    assert noise.deviation == 1.5


@pytest.mark.parametrize("multiplier", [0.1, 20.0])
def test_the_stated_deviation_is_that_of_the_noise_that_is_drawn(multiplier: float) -> None:
    """Also where there is little noise: then the part that discreteness adds is most of it."""
    noise = CountNoise(
        unit="record",
        epsilon=0.0,
        delta=0.0,
        noise_multiplier=multiplier,
        most_records=1,
        rounds=1,
    )
    scale = 1.5
    drawn = noisy_tally(np.zeros(4000, np.int64), np.full(4000, scale), deviation=noise.deviation)
    assert drawn.std() == pytest.approx(noise.entry_deviation(scale), rel=0.05)
