import math
from dataclasses import replace

import dp_accounting as dp
import numpy as np
import pytest
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from privacy.differential.accounting import (
    SMALLEST_DELTA,
    BadTarget,
    NoNoiseFits,
    calibrated_noise,
    epsilon,
)
from privacy.differential.mechanisms import Gaussian, HeldOut, SampledGaussian, Unit

DELTA = 1e-6
BOUND = 0.005  # twice what the grid may cost, for laws that compare two sums


def steps(
    noise: float, rate: float, times: int, *, unit: Unit = "person", at_most: int = 0
) -> SampledGaussian:
    return SampledGaussian(
        noise_multiplier=noise,
        sampling_rate=rate,
        steps=times,
        clip_norm=1.0,
        unit=unit,
        max_records_per_person=at_most,
    )


def figures(noise: float, count: int, *, unit: Unit = "person", at_most: int = 0) -> Gaussian:
    return Gaussian(
        noise_multiplier=noise,
        count=count,
        sensitivity=1.0,
        unit=unit,
        max_records_per_person=at_most,
    )


# The MNIST tutorial of TensorFlow Privacy and Opacus (60 and 15 epochs); Abadi et al. 2016
# (arXiv:1607.00133), figure 2; McMahan et al. 2018 (arXiv:1710.06963), table 1; and a strong, a
# weak and an unsampled one.
PUBLISHED = [
    (1.1, 256 / 60_000, 14_062, 1e-5),
    (1.3, 250 / 60_000, 3_600, 1e-5),
    (4.0, 0.01, 10_000, 1e-5),
    (1.0, 5_000 / 763_430, 5_000, 1e-9),
    (0.7, 0.01, 500, 1e-6),
    (20.0, 0.01, 1_000, 1e-5),
    (8.0, 1.0, 50, 1e-6),
]


@pytest.mark.parametrize(("noise", "rate", "times", "delta"), PUBLISHED)
def test_epsilon_is_that_of_dp_accounting(
    noise: float, rate: float, times: int, delta: float
) -> None:
    event = steps(noise, rate, times)
    theirs = PLDAccountant(value_discretization_interval=2e-4).compose(event.to_dp_event())
    ours = epsilon([event], delta)
    assert ours == pytest.approx(theirs.get_epsilon(delta), abs=0.01)
    assert ours > theirs.get_epsilon(delta) - 0.001
    renyi = RdpAccountant(range(2, 256)).compose(event.to_dp_event()).get_epsilon(delta)
    assert ours < renyi


@pytest.mark.parametrize(
    ("noise", "rate", "times", "finer"),
    [(4.0, 2e-4, 10**5, 0.05616), (2.0, 1e-5, 10**6, 0.01712)],
)
def test_very_many_small_steps_cost_what_a_fine_grid_says(
    noise: float, rate: float, times: int, finer: float
) -> None:
    """dp-accounting 0.6.0 at an interval of 1e-6.

    Its default interval gives .0735, more than the Renyi bound, .0617; and .0705.
    """
    assert epsilon([steps(noise, rate, times)], DELTA) == pytest.approx(finer, rel=0.005)


def test_heterogeneous_runs_compose_as_in_dp_accounting() -> None:
    rng = np.random.default_rng(3)
    events = [
        steps(rng.uniform(1, 4), rng.uniform(0.005, 0.05), int(rng.integers(50, 400)))
        for _ in range(5)
    ] + [figures(6.0, 2), figures(9.0, 1)]
    theirs = PLDAccountant(value_discretization_interval=1e-4)
    for event in events:
        theirs.compose(event.to_dp_event())
    assert epsilon(events, DELTA) == pytest.approx(theirs.get_epsilon(DELTA), abs=0.01)


@pytest.mark.parametrize("noise", [0.8, 3.0, 40.0])
def test_the_gaussian_mechanism_has_its_closed_form(noise: float) -> None:
    """Balle and Wang 2018 (arXiv:1805.06530), theorem 8."""
    found = epsilon([figures(noise, 1)], DELTA)
    one = norm.cdf(1 / (2 * noise) - found * noise)
    other = math.exp(found) * norm.cdf(-1 / (2 * noise) - found * noise)
    assert one - other == pytest.approx(DELTA, rel=0.03)


@settings(max_examples=6)
@given(
    noise=st.floats(0.8, 5.0),
    rate=st.floats(0.005, 0.2),
    times=st.integers(1, 200),
    more=st.integers(1, 200),
    factor=st.floats(1.1, 2.0),
)
def test_more_steps_more_of_everybody_and_less_noise_cost_more(
    noise: float, rate: float, times: int, more: int, factor: float
) -> None:
    event = steps(noise, rate, times)
    base = epsilon([event], DELTA)
    for dearer in (
        replace(event, steps=times + more),
        replace(event, sampling_rate=rate * factor),
        replace(event, noise_multiplier=noise / factor),
    ):
        assert epsilon([dearer], DELTA) > base - BOUND * min(1.0, base)


@settings(max_examples=6)
@given(
    first=st.builds(steps, st.floats(0.8, 5), st.floats(0.005, 0.2), st.integers(1, 200)),
    second=st.builds(steps, st.floats(0.8, 5), st.floats(0.005, 0.2), st.integers(1, 200)),
)
def test_together_costs_at_least_either_and_at_most_the_sum(
    first: SampledGaussian, second: SampledGaussian
) -> None:
    """At delta split in two, the sum bounds the composition."""
    together = epsilon([first, second], DELTA)
    assert together == pytest.approx(epsilon([second, first], DELTA), abs=1e-6)
    assert together > max(epsilon([first], DELTA), epsilon([second], DELTA)) - BOUND
    assert together < epsilon([first], DELTA / 2) + epsilon([second], DELTA / 2) + BOUND


def test_the_same_run_in_parts_costs_the_same() -> None:
    whole = epsilon([steps(2.0, 0.02, 300)], DELTA)
    parts = epsilon([steps(2.0, 0.02, 100)] * 3, DELTA)
    assert parts == whole


def test_nothing_costs_nothing_and_so_does_what_is_held_out() -> None:
    assert epsilon([], DELTA) == 0.0
    assert epsilon([HeldOut(what="evaluation")], DELTA) == 0.0
    event = steps(2.0, 0.02, 30)
    assert epsilon([event, HeldOut(what="evaluation")], DELTA) == epsilon([event], DELTA)


def test_a_person_with_one_record_loses_what_the_record_loses() -> None:
    record = steps(2.0, 0.02, 300, unit="record", at_most=1)
    assert epsilon([record], DELTA) == epsilon([steps(2.0, 0.02, 300)], DELTA)
    assert epsilon([record], DELTA, unit="record") == epsilon([record], DELTA)


def test_a_person_with_more_records_loses_more() -> None:
    """Between what sampling alone would cost, and what group privacy would."""
    losses = [epsilon([steps(3.0, 0.02, 100, unit="record", at_most=m)], DELTA) for m in (1, 4, 8)]
    assert losses == sorted(losses)
    sampled_at_all = epsilon([steps(3.0, 1 - 0.98**4, 100)], DELTA)
    all_at_once = epsilon([steps(3.0 / 4, 1 - 0.98**4, 100)], DELTA)
    assert sampled_at_all < losses[1] < all_at_once


def test_unsampled_records_of_a_person_add_their_sensitivities() -> None:
    records = figures(6.0, 3, unit="record", at_most=4)
    assert epsilon([records], DELTA) == epsilon([figures(1.5, 3)], DELTA)
    assert epsilon([steps(6.0, 1.0, 3, unit="record", at_most=4)], DELTA) == epsilon(
        [records], DELTA
    )


def test_records_of_nobody_knows_how_many_protect_no_person() -> None:
    event = steps(100.0, 0.01, 1, unit="record")
    assert epsilon([event], DELTA) == math.inf
    assert epsilon([event], DELTA, unit="record") < 0.1


def test_to_change_a_record_of_a_person_is_to_replace_what_the_person_adds() -> None:
    assert epsilon([figures(6.0, 1)], DELTA, unit="record") == epsilon([figures(3.0, 1)], DELTA)
    person = steps(2.0, 0.02, 300)
    as_replaced = PLDAccountant(dp.NeighboringRelation.REPLACE_ONE)
    as_replaced.compose(person.to_dp_event())
    found = epsilon([person], DELTA, unit="record")
    assert found == pytest.approx(as_replaced.get_epsilon(DELTA), abs=0.01)
    assert found > epsilon([person], DELTA)


@settings(max_examples=3)
@given(
    rate=st.floats(0.005, 1.0),
    times=st.integers(10, 2_000),
    target=st.sampled_from([0.1, 0.5, 1.0, 3.0, 8.0]),
)
def test_calibrated_noise_reaches_its_target_and_does_not_waste_it(
    rate: float, times: int, target: float
) -> None:
    noise = calibrated_noise(sampling_rate=rate, steps=times, epsilon=target, delta=DELTA)
    assert 0.99 * target <= epsilon([steps(noise, rate, times)], DELTA) <= target


def test_noise_is_calibrated_over_all_rounds_together() -> None:
    """Ten rounds calibrated for epsilon 3 each would cost far more (11.3 at 50 rounds)."""
    once = calibrated_noise(sampling_rate=0.05, steps=20, epsilon=3.0, delta=1e-5)
    whole = calibrated_noise(sampling_rate=0.05, steps=200, epsilon=3.0, delta=1e-5)
    assert whole > once
    assert epsilon([steps(once, 0.05, 20)] * 10, 1e-5) > 5.0


@pytest.mark.parametrize("target", [0.0, -1.0, math.inf, math.nan])
def test_a_target_is_a_positive_number(target: float) -> None:
    with pytest.raises(BadTarget):
        calibrated_noise(sampling_rate=0.1, steps=10, epsilon=target, delta=DELTA)


def test_a_target_that_no_noise_reaches_is_refused() -> None:
    with pytest.raises(NoNoiseFits, match="1e-15"):
        calibrated_noise(sampling_rate=0.5, steps=10, epsilon=1e-15, delta=DELTA)


@pytest.mark.parametrize("delta", [0.0, SMALLEST_DELTA / 2, 1.0, math.nan])
def test_a_delta_out_of_range_is_refused(delta: float) -> None:
    with pytest.raises(BadTarget):
        epsilon([], delta)
