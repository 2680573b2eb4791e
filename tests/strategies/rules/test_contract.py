"""The laws that every rule keeps, checked against every rule."""

import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import (
    LARGEST,
    NonFiniteUpdate,
    TooFewSites,
    UpdatesRefused,
    WeightsRefused,
)
from strategies.rules.registry import RULES, RuleOptions, RuleSpec

every_rule = pytest.mark.parametrize("spec", RULES.values(), ids=RULES)
few = settings(max_examples=40)


@dataclass(frozen=True)
class Case:
    """One call of a rule: what a hypothesis example is made of."""

    spec: RuleSpec
    updates: Matrix
    weights: Vector
    options: RuleOptions
    memory: Vector

    def result(self) -> Vector:
        """Return what the rule makes of it."""
        return self.spec.build(self.options, self.memory)(self.updates, self.weights)


def fewest(spec: RuleSpec, num_byzantine: int) -> int:
    needed = spec.sites_needed(num_byzantine)
    assert needed is not None
    return needed


def case_of(spec: RuleSpec, data: st.DataObject) -> Case:
    """Draw a case with distinct updates, or with many ties and duplicates."""
    num_byzantine = data.draw(st.integers(0, 0 if spec.name == "mean" else 2))
    n_sites = fewest(spec, num_byzantine) + data.draw(st.integers(0, 3))
    dim = data.draw(st.sampled_from([1, 2, 7, 40]))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    updates = rng.normal(size=(n_sites, dim))
    if data.draw(st.booleans()):
        updates = np.round(updates)
    return Case(
        spec,
        updates,
        rng.choice([1.0, 2.0, 4.0, 8.0], n_sites) if spec.weighted else np.full(n_sites, 2.0),
        RuleOptions(num_byzantine=num_byzantine, clip_norm=2.0, iterations=2, momentum=0.3),
        rng.normal(size=dim),
    )


@every_rule
@few
@given(data=st.data())
def test_the_order_of_sites_does_not_matter(spec: RuleSpec, data: st.DataObject) -> None:
    case = case_of(spec, data)
    order = np.array(data.draw(st.permutations(range(len(case.weights)))))
    shuffled = replace(case, updates=case.updates[order], weights=case.weights[order])
    np.testing.assert_allclose(shuffled.result(), case.result(), atol=1e-7)


@pytest.mark.parametrize(
    "spec", [spec for name, spec in RULES.items() if name != "clipped-mean"], ids=lambda s: s.name
)
@few
@given(data=st.data(), shift=st.integers(-100, 100))
def test_moving_every_update_moves_the_result(
    spec: RuleSpec, data: st.DataObject, shift: int
) -> None:
    """Translation equivariance; clipping towards zero cannot have it."""
    case = case_of(spec, data)
    moved = replace(case, updates=case.updates + shift, memory=case.memory + shift)
    np.testing.assert_allclose(moved.result(), case.result() + shift, atol=1e-6)


@every_rule
@few
@given(data=st.data(), exponent=st.integers(-30, 30))
def test_the_unit_of_measurement_does_not_matter(
    spec: RuleSpec, data: st.DataObject, exponent: int
) -> None:
    """Scale equivariance, norms measured in the same unit; powers of two scale exactly."""
    case, unit = case_of(spec, data), 2.0**exponent
    scaled = replace(
        case,
        updates=case.updates * unit,
        memory=case.memory * unit,
        options=replace(case.options, clip_norm=case.options.clip_norm * unit),
    )
    np.testing.assert_allclose(scaled.result() / unit, case.result(), atol=1e-12)


@every_rule
@few
@given(data=st.data())
def test_unanimity(spec: RuleSpec, data: st.DataObject) -> None:
    """When all sites send the same, within the norm, that is the result."""
    case = case_of(spec, data)
    same = replace(
        case,
        updates=np.tile(case.updates[0], (len(case.weights), 1)),
        options=replace(case.options, clip_norm=1e3, momentum=0.0),
    )
    np.testing.assert_allclose(same.result(), same.updates[0], rtol=1e-14, atol=1e-15)


@every_rule
@few
@given(data=st.data())
def test_the_result_is_a_vector_and_nothing_given_is_changed(
    spec: RuleSpec, data: st.DataObject
) -> None:
    case = case_of(spec, data)
    for part in (case.updates, case.weights, case.memory):
        part.flags.writeable = False
    result = case.result()
    assert result.shape == (case.updates.shape[1],)
    assert result.dtype == np.float64
    assert np.isfinite(result).all()
    assert result.flags.writeable
    assert not np.shares_memory(result, case.updates)


@every_rule
@pytest.mark.parametrize("num_byzantine", [0, 1, 3])
def test_the_fewest_sites_are_enough_and_one_less_is_refused(
    spec: RuleSpec, num_byzantine: int
) -> None:
    if spec.sites_needed(num_byzantine) is None:
        pytest.skip("no number of sites would do")
    n_sites = fewest(spec, num_byzantine)
    rule = spec.build(RuleOptions(num_byzantine=num_byzantine), np.zeros(3))
    updates = np.random.default_rng(1).normal(size=(n_sites, 3))
    assert rule(updates, np.ones(n_sites)).shape == (3,)
    with pytest.raises(TooFewSites, match=rf"{n_sites} sites?, got {n_sites - 1}\b"):
        rule(updates[1:], np.ones(n_sites - 1))


@every_rule
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e300])
@pytest.mark.parametrize("column", [0, 4321, 39_999])
def test_a_value_that_is_no_number_is_refused_with_its_row(
    spec: RuleSpec, value: float, column: int
) -> None:
    updates = np.zeros((5, 40_000))
    updates[3, column] = value
    rule = spec.build(RuleOptions(), np.zeros(40_000))
    with pytest.raises(NonFiniteUpdate, match=r"rows \[3\]") as refusal:
        rule(updates, np.ones(5))
    assert refusal.value.counts == {"refused": 1, "first_row": 3}


@every_rule
def test_unequal_weights_are_honoured_or_refused(spec: RuleSpec) -> None:
    updates = np.array([[0.0], [0.0], [0.0], [1.0], [1.0]])
    rule = spec.build(RuleOptions(), np.zeros(1))
    weights = np.array([1.0, 1.0, 1.0, 4.0, 8.0])
    if spec.weighted:
        assert rule(updates, weights)[0] > rule(updates, np.ones(5))[0]
    else:
        with pytest.raises(WeightsRefused, match="no weighted form"):
            rule(updates, weights)


@every_rule
@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf, 1e39])
def test_a_weight_that_is_no_share_is_refused(spec: RuleSpec, weight: float) -> None:
    rule = spec.build(RuleOptions(), np.zeros(1))
    with pytest.raises(WeightsRefused, match="finite and above 0"):
        rule(np.zeros((5, 1)), np.array([1.0, 1.0, 1.0, 1.0, weight]))


@every_rule
def test_as_many_weights_as_sites(spec: RuleSpec) -> None:
    rule = spec.build(RuleOptions(), np.zeros(1))
    for weights in (np.ones(4), np.ones(6), np.ones((5, 1)), np.array(1.0)):
        with pytest.raises(WeightsRefused, match="5 weights"):
            rule(np.zeros((5, 1)), weights)


@every_rule
@pytest.mark.parametrize(
    "updates",
    [
        np.zeros(5),
        np.zeros((5, 0)),
        np.zeros((5, 2, 1)),
        np.zeros((5, 2), np.bool_),
        np.zeros((5, 2), np.complex128),
        np.zeros((5, 2), object),
        np.zeros((5, 2), np.longdouble),
    ],
    ids=["vector", "empty", "cube", "bool", "complex", "object", "extended"],
)
def test_what_is_no_row_of_real_numbers_is_refused(spec: RuleSpec, updates: NDArray[Any]) -> None:
    with pytest.raises(UpdatesRefused):
        spec.build(RuleOptions(), np.zeros(2))(updates, np.ones(5))


@every_rule
@pytest.mark.parametrize("dtype", ["f4", "f2", ">f4", "i8", "i4", "u1"])
def test_any_real_dtype_is_read_as_its_numbers(spec: RuleSpec, dtype: str) -> None:
    rng = np.random.default_rng(3)
    updates = (100 * rng.random((7, 50))).astype(dtype)
    rule = spec.build(RuleOptions(num_byzantine=0, clip_norm=300.0), np.zeros(50))
    result, expected = (rule(rows, np.ones(7)) for rows in (updates, updates.astype(np.float64)))
    if spec.same_on_every_cpu:
        assert np.array_equal(result, expected)
    np.testing.assert_allclose(result, expected, rtol=1e-12)


@every_rule
def test_updates_may_lie_on_disk_or_be_strided(spec: RuleSpec, tmp_path: Path) -> None:
    updates = np.random.default_rng(4).normal(size=(7, 500)).astype(np.float32)
    path = tmp_path / "updates"
    updates.tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=updates.shape)
    rule = spec.build(RuleOptions(), np.zeros(500))
    expected = rule(updates, np.ones(7))
    for other in (mapped, np.asfortranarray(updates), np.repeat(updates, 2, axis=1)[:, ::2]):
        result = rule(other, np.ones(7))
        assert type(result) is np.ndarray
        np.testing.assert_allclose(result, expected, rtol=1e-12)


@every_rule
def test_the_largest_floats_do_not_overflow(spec: RuleSpec) -> None:
    num_byzantine = 0 if spec.name == "mean" else 1
    n_sites = fewest(spec, num_byzantine) + 3
    updates = np.random.default_rng(5).normal(size=(n_sites, 30))
    updates[0] = LARGEST * np.where(updates[0] > 0, 1, -1)
    rule = spec.build(RuleOptions(num_byzantine=num_byzantine, clip_norm=LARGEST), np.zeros(30))
    assert np.isfinite(rule(updates, np.ones(n_sites))).all()


@every_rule
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_working_memory_is_at_most_half_the_input(spec: RuleSpec, dtype: str) -> None:
    updates = np.random.default_rng(6).normal(size=(15, 400_000)).astype(dtype)
    weights, memory = np.ones(15), np.zeros(400_000)
    rule = spec.build(RuleOptions(num_byzantine=int(spec.sites_needed(1) is not None)), memory)
    tracemalloc.start()
    rule(updates, weights)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= updates.nbytes / 2
