from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.encryption.parameters import PARAMETER_SETS
from privacy.encryption.quantisation import (
    Scales,
    UnfitNumbers,
    joined_levels,
    mean_from_levels,
    quantise,
    saturated_values,
)
from privacy.layout import Vector
from privacy.protocol.grouping import WEIGHT_CLASSES

DEFAULT = PARAMETER_SETS["default"](16)
COMPACT = PARAMETER_SETS["compact-8"](16)

segments = st.lists(st.integers(1, 6000), min_size=1, max_size=12)
classes = st.sampled_from(WEIGHT_CLASSES)


def scales_of(lengths: list[int], seed: int) -> Scales:
    values = np.exp2(np.random.default_rng(seed).integers(-12, 4, len(lengths)))
    return Scales(values, tuple(lengths))


def steps_of(scales: Scales) -> Vector:
    return np.repeat(scales.values, scales.lengths)


def within(scales: Scales, seed: int) -> Vector:
    return steps_of(scales) * np.random.default_rng(seed).uniform(-1, 1, scales.dim)


@given(lengths=segments, seed=st.integers(0, 2**32), weight_class=classes)
def test_nearest_rounding_is_off_by_at_most_half_a_level(
    lengths: list[int], seed: int, weight_class: int
) -> None:
    scales = scales_of(lengths, seed)
    update = within(scales, seed)
    levels = quantise(update, weight_class=weight_class, scales=scales, parameters=DEFAULT)
    exact = update * weight_class / 8 * DEFAULT.levels / steps_of(scales)
    assert np.abs(levels - exact).max() <= 0.5 + 1e-9


@given(lengths=segments, seed=st.integers(0, 2**32), weight_class=classes)
def test_two_planes_hold_the_nearest_of_the_square_of_the_levels(
    lengths: list[int], seed: int, weight_class: int
) -> None:
    """And both of them are levels of one upload, so that their sums fit as well."""
    scales = scales_of(lengths, seed)
    update = within(scales, seed)
    levels = quantise(
        update, weight_class=weight_class, scales=scales, parameters=DEFAULT, planes=2
    )
    assert np.abs(levels).max() <= DEFAULT.levels
    exact = update * weight_class / 8 * DEFAULT.levels**2 / steps_of(scales)
    assert np.abs(joined_levels(levels, DEFAULT, 2) - exact).max() <= 0.5 + 1e-3


@given(factors=st.lists(st.floats(-3, 3), min_size=1, max_size=50), planes=st.sampled_from([1, 2]))
def test_a_value_is_cut_off_exactly_if_it_is_counted(factors: list[float], planes: int) -> None:
    scales, update = Scales(np.array([0.25]), (len(factors),)), 0.25 * np.array(factors)
    how: dict[str, Any] = {"scales": scales, "parameters": DEFAULT, "planes": planes}
    whole = joined_levels(quantise(update, weight_class=8, **how), DEFAULT, planes)
    exact = np.rint(update * DEFAULT.levels**planes / 0.25)
    assert saturated_values(update, weight_class=8, **how) == np.count_nonzero(whole != exact)


@given(lengths=segments, seed=st.integers(0, 2**32))
def test_random_rounding_is_off_by_less_than_one_level(lengths: list[int], seed: int) -> None:
    scales = scales_of(lengths, seed)
    update = within(scales, seed)
    levels = quantise(
        update,
        weight_class=8,
        scales=scales,
        parameters=COMPACT,
        rng=np.random.default_rng(seed),
    )
    exact = update * COMPACT.levels / steps_of(scales)
    assert np.abs(levels - exact).max() < 1


def test_random_rounding_is_right_in_expectation() -> None:
    scales = Scales(np.array([1.0]), (100_000,))
    update = np.full(100_000, 0.2 / COMPACT.levels)
    levels = quantise(
        update, weight_class=8, scales=scales, parameters=COMPACT, rng=np.random.default_rng(3)
    )
    assert levels.mean() == pytest.approx(0.2, abs=0.01)


def test_the_same_seed_rounds_alike() -> None:
    scales = Scales(np.array([1.0]), (999,))
    update = within(scales, 4)
    first, second = (
        quantise(
            update, weight_class=4, scales=scales, parameters=COMPACT, rng=np.random.default_rng(5)
        )
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


@given(excess=st.floats(1.0, 1e300))
def test_beyond_the_scale_it_saturates(excess: float) -> None:
    scales = Scales(np.array([0.5, 2.0]), (2, 2))
    update = np.array([excess, -excess, 4 * excess, -4 * excess])
    levels = quantise(update, weight_class=8, scales=scales, parameters=DEFAULT)
    assert levels.tolist() == [DEFAULT.levels, -DEFAULT.levels] * 2


@given(
    lengths=segments,
    seed=st.integers(0, 2**32),
    sites=st.lists(classes, min_size=1, max_size=16),
)
def test_the_mean_is_within_its_stated_bound_of_float64(
    lengths: list[int], seed: int, sites: list[int]
) -> None:
    scales = scales_of(lengths, seed)
    updates = [within(scales, seed + index) for index in range(len(sites))]
    sums = sum(
        quantise(update, weight_class=weight, scales=scales, parameters=DEFAULT)
        for update, weight in zip(updates, sites, strict=True)
    )
    mean = mean_from_levels(
        np.asarray(sums), total_class=sum(sites), scales=scales, parameters=DEFAULT
    )
    exact = np.average(updates, axis=0, weights=sites)
    half_level = 0.5 * steps_of(scales) / DEFAULT.levels
    bound = half_level * 8 * len(sites) / sum(sites)
    assert (np.abs(mean - exact) <= bound * (1 + 1e-6)).all()


def test_sixteen_equal_sites_lose_at_most_2e_5_of_a_normal_update() -> None:
    rng = np.random.default_rng(6)
    updates = rng.normal(size=(16, 20_000))
    scales = Scales(np.array([np.abs(updates).max()]), (20_000,))
    sums = sum(
        quantise(update, weight_class=8, scales=scales, parameters=DEFAULT) for update in updates
    )
    mean = mean_from_levels(np.asarray(sums), total_class=128, scales=scales, parameters=DEFAULT)
    exact = updates.mean(axis=0)
    assert np.linalg.norm(mean - exact) <= 2e-5 * np.linalg.norm(exact)


def test_many_segments_are_rounded_as_each_alone() -> None:
    scales = scales_of([1, 8191, 8192, 8193, 3, 1], 7)
    update = within(scales, 8)
    together = quantise(update, weight_class=2, scales=scales, parameters=DEFAULT)
    ends = np.cumsum(scales.lengths)[:-1]
    alone = [
        quantise(
            part,
            weight_class=2,
            scales=Scales(scales.values[index : index + 1], (len(part),)),
            parameters=DEFAULT,
        )
        for index, part in enumerate(np.split(update, ends))
    ]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize(
    ("values", "lengths"),
    [
        ([1.0], (3, 3)),
        ([1.0, 1.0], (3, 0)),
        ([1.0, 0.0], (3, 3)),
        ([1.0, np.inf], (3, 3)),
        ([1.0, np.nan], (3, 3)),
        ([], ()),
    ],
)
def test_scales_that_do_not_fit_are_refused(values: list[float], lengths: tuple[int, ...]) -> None:
    with pytest.raises(UnfitNumbers, match="finite scales above 0"):
        Scales(np.array(values), lengths)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(bad: float) -> None:
    scales = Scales(np.array([1.0]), (3,))
    with pytest.raises(UnfitNumbers, match="not finite"):
        quantise(np.array([0.0, bad, 0.0]), weight_class=8, scales=scales, parameters=DEFAULT)


@pytest.mark.parametrize(("dim", "weight_class"), [(4, 8), (3, 3), (3, 16), (3, 0)])
def test_a_wrong_shape_or_class_is_refused(dim: int, weight_class: int) -> None:
    scales = Scales(np.array([1.0]), (3,))
    with pytest.raises(UnfitNumbers, match="weight class"):
        quantise(np.zeros(dim), weight_class=weight_class, scales=scales, parameters=DEFAULT)


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_only_the_values_that_are_sent_take_levels(name: str) -> None:
    """They are rounded as ever, and their sum has zeros at the places of the others."""
    parameters = PARAMETER_SETS[name](4)
    values, places = np.array([1.0, 2.0]), np.array([0, 3, 4])
    whole, some = Scales(values, (3, 3)), Scales(values, (3, 3), places)
    update = np.array([0.5, 0.0, 0.0, -1.5, 0.25, 0.0])
    every, sent = (
        quantise(
            update,
            weight_class=8,
            scales=scales,
            parameters=parameters,
            rng=np.random.default_rng(5),
        )
        for scales in (whole, some)
    )
    np.testing.assert_array_equal(sent, every[places])
    np.testing.assert_array_equal(some.spread(sent.astype(np.int64)), every)
    np.testing.assert_array_equal(whole.spread(every.astype(np.int64)), every)
    with pytest.raises(UnfitNumbers, match="3 values are sent"):
        some.spread(every.astype(np.int64))


def test_few_bits_need_a_generator() -> None:
    scales = Scales(np.array([1.0]), (3,))
    with pytest.raises(UnfitNumbers, match="pass rng"):
        quantise(np.zeros(3), weight_class=8, scales=scales, parameters=COMPACT)


@pytest.mark.parametrize(("dim", "total"), [(4, 8), (3, 0)])
def test_a_mean_of_nothing_is_refused(dim: int, total: int) -> None:
    scales = Scales(np.array([1.0]), (3,))
    with pytest.raises(UnfitNumbers, match="positive total"):
        mean_from_levels(
            np.zeros(dim, np.int32), total_class=total, scales=scales, parameters=DEFAULT
        )
