import pytest

from privacy.differential.accounting import BadTarget, epsilon
from privacy.differential.mechanisms import Gaussian, HeldOut, Mechanism, SampledGaussian
from privacy.differential.second_opinion import ERROR, LARGEST, opacus_epsilon

HELD_OUT = HeldOut(what="evaluation")


def steps(noise: float, rate: float, times: int) -> SampledGaussian:
    return SampledGaussian(
        noise_multiplier=noise, sampling_rate=rate, steps=times, clip_norm=1.0, unit="person"
    )


def figures(noise: float, count: int) -> Gaussian:
    return Gaussian(noise_multiplier=noise, count=count, sensitivity=1.0, unit="person")


@pytest.mark.parametrize("delta", [1e-5, 1e-8])
@pytest.mark.parametrize(
    "events",
    [
        (steps(1.0, 0.05, 500),),
        (steps(1.0, 0.05, 60), steps(2.0, 0.01, 300), steps(4.0, 0.2, 90)),
        (steps(8.0, 1.0, 50),),
        (figures(6.0, 2), HELD_OUT),
        (steps(1.0, 0.05, 60), figures(9.0, 1)),
        (steps(100.0, 0.001, 10),),
        (steps(0.1, 0.05, 10),),
    ],
    ids=["steps", "runs", "all sampled", "figures", "both", "hardly any", "much"],
)
def test_opacus_bounds_what_is_counted_from_above_and_closely(
    events: tuple[Mechanism, ...], delta: float
) -> None:
    ours, theirs = epsilon(events, delta), opacus_epsilon(events, delta)
    assert theirs is not None
    assert theirs - ERROR - theirs / 1_000 < ours < theirs + 0.001, "both are upper bounds"


def test_what_costs_nothing_needs_no_opinion() -> None:
    assert opacus_epsilon((), 1e-5) == 0.0
    assert opacus_epsilon((HELD_OUT,), 1e-5) == 0.0


def test_opacus_has_no_figure_for_another_unit_nor_for_no_protection_at_all() -> None:
    by_record = SampledGaussian(
        noise_multiplier=1.0,
        sampling_rate=0.1,
        steps=10,
        clip_norm=1.0,
        unit="record",
        max_records_per_person=3,
    )
    assert opacus_epsilon((by_record,), 1e-5, unit="person") is None
    assert opacus_epsilon((by_record,), 1e-5, unit="record") is not None
    bare = steps(0.5, 1.0, 200)
    assert epsilon((bare,), 1e-5) > LARGEST
    assert opacus_epsilon((bare,), 1e-5) is None


def test_a_delta_out_of_range_is_refused() -> None:
    with pytest.raises(BadTarget):
        opacus_epsilon((), 0.0)
