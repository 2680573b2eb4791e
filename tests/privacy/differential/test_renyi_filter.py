"""The bound for events chosen one by one: above the tight one, below what it should cost."""

import math
from dataclasses import replace

import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from privacy.differential import renyi_filter
from privacy.differential.accounting import Step, epsilon
from privacy.differential.mechanisms import Gaussian, HeldOut, SampledGaussian, Unit
from privacy.differential.renyi_filter import ORDERS, adaptive_epsilon, renyi_divergence

DELTA = 1e-6


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


EVENTS = st.builds(steps, st.floats(0.8, 5), st.floats(0.005, 0.2), st.integers(1, 200))
UNITS = st.sampled_from(["person", "record"])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("noise", "rate"), [(0.7, 0.01), (2.0, 0.2), (20.0, 0.5)])
def test_a_divergence_is_that_of_dp_accounting(noise: float, rate: float, order: int) -> None:
    """Whose epsilon at delta, of one order, is the divergence plus what follows from the order."""
    theirs = RdpAccountant([order]).compose(steps(noise, rate, 1000).to_dp_event())
    ours = 1000 * renyi_divergence(Step(noise, rate, 1), order)
    ours += (math.log(1 / DELTA) - math.log(order)) / (order - 1) + math.log1p(-1 / order)
    assert ours == pytest.approx(theirs.get_epsilon(DELTA), rel=1e-6)


@pytest.mark.parametrize("order", [2, 5, 24])
@pytest.mark.parametrize("noise", [0.8, 4.0])
def test_an_integral_is_its_closed_form_where_there_is_one(noise: float, order: int) -> None:
    drawn, without = ((0.0, 1.0), (0.9, 0.1)), ((0.0,), (1.0,))
    integral = renyi_filter._mixture_divergence(drawn, without, noise, order)
    assert integral == pytest.approx(renyi_divergence(Step(noise, 0.1, 1), order), abs=1e-8)
    moved = renyi_filter._mixture_divergence(((3.0,), (1.0,)), without, noise, order)
    assert moved == pytest.approx(order * 9 / (2 * noise**2), rel=1e-8)


@settings(max_examples=15, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=3), unit=UNITS)
def test_it_is_above_the_bound_for_what_was_fixed_beforehand(
    events: list[SampledGaussian], unit: Unit
) -> None:
    """Also where each record of a person, or the person of a record, is counted."""
    found = adaptive_epsilon(events, DELTA, unit=unit)
    assert epsilon(events, DELTA, unit=unit) < found
    assert found < math.inf


@settings(max_examples=15, deadline=None)
@given(first=EVENTS, second=EVENTS)
def test_every_further_event_costs_and_order_does_not_matter(
    first: SampledGaussian, second: SampledGaussian
) -> None:
    both = adaptive_epsilon([first, second], DELTA)
    assert both == pytest.approx(adaptive_epsilon([second, first], DELTA))
    assert both > max(adaptive_epsilon([one], DELTA) for one in (first, second))
    longer = replace(first, steps=first.steps + 1)
    assert adaptive_epsilon([longer], DELTA) > adaptive_epsilon([first], DELTA)


@pytest.mark.parametrize("at_most", [2, 5, 200])
def test_records_of_a_person_cost_more_than_one_and_less_than_all_at_once(at_most: int) -> None:
    event = steps(3.0, 0.02, 100, unit="record", at_most=at_most)
    one = adaptive_epsilon([replace(event, max_records_per_person=1)], DELTA)
    unsampled = adaptive_epsilon([replace(event, sampling_rate=1.0)], DELTA)
    assert one < adaptive_epsilon([event], DELTA) <= unsampled


def test_what_is_not_bounded_is_infinite_and_what_is_held_out_free() -> None:
    assert adaptive_epsilon([steps(9.0, 0.01, 1, unit="record")], DELTA) == math.inf
    assert adaptive_epsilon([HeldOut(what="evaluation")], DELTA) == 0.0


def test_whoever_chooses_by_what_was_released_stays_below_delta() -> None:
    """The adversary sees a first release, and takes the second where it pays most.

    After each first outcome either nothing follows, or a second Gaussian mechanism with any noise
    that the bound lets in. The hockey-stick divergence of the whole is integrated over the first
    outcome.
    """
    allowed, delta, noise = 3.0, 1e-3, 2.0

    def gaussian(multiplier: float) -> Gaussian:
        return Gaussian(noise_multiplier=float(multiplier), count=1, sensitivity=1.0, unit="person")

    least = next(
        one
        for one in np.linspace(0.5, 9, 400)
        if adaptive_epsilon([gaussian(noise), gaussian(one)], delta) <= allowed
    )
    seen = np.linspace(-30, 30, 60_001)
    loss = (seen - 0.5) / noise**2  # of the outcome of the first, where the person is in
    missed = np.maximum(0.0, -np.expm1(allowed - loss))  # if nothing follows
    for second in np.linspace(least, 9, 50):
        mean, spread = 0.5 / second**2, 1 / second
        left = allowed - loss
        above = norm.sf((left - mean) / spread)
        below = np.exp(left) * norm.sf((left + mean) / spread)
        missed = np.maximum(missed, above - below)
    chance = norm.pdf(seen, loc=1.0, scale=noise) * (seen[1] - seen[0])
    assert 0 < float(missed @ chance) <= delta
