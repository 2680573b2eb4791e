import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consortium.protocol.run_state import (
    SCALE_PER_RMS,
    BadRunState,
    BucketSum,
    RunState,
    Step,
    UpdateStep,
)
from consortium.protocol.scale_rules import sum_of_squares
from privacy.encryption.parameters import PARAMETER_SETS
from privacy.encryption.quantisation import quantise, saturated_values
from privacy.errors import ConsortiumError
from privacy.layout import Field, Layout
from privacy.protocol.grouping import WEIGHT_CLASSES
from strategies import model_state
from strategies.rules.registry import RULES, RuleOptions
from strategies.server_optimizer import OPTIMIZERS, OptimizerOptions

ROOT = Path(__file__).parents[3]
LAYOUT = Layout(fields=(Field("weight", (2, 3)), Field("bias", (2,))))
STATISTICS = np.array([7, -1, 2**40, 0, 3], np.int64)
PARAMETERS = PARAMETER_SETS["default"](16)
BOUNDS = (1e-6, 1e3)


def step_of(
    rule: str = "mean", optimizer: str = "adam", *, clip_norm: float | None = None
) -> UpdateStep:
    spec, options = RULES[rule], RuleOptions(num_byzantine=1, clip_norm=1.7)
    return UpdateStep(
        layout=LAYOUT,
        parameters=PARAMETERS,
        rule_at=lambda state: spec.build(options, state.memory),
        needs_memory=spec.needs_memory,
        optimizer=OPTIMIZERS[optimizer](OptimizerOptions(learning_rate=0.3)),
        clip_norm=clip_norm,
        first_scale=1.0,
        scale_bounds=BOUNDS,
    )


def moved(step: Step, rounds: int = 2, *, n_buckets: int = 1) -> RunState:
    state = step.start(STATISTICS)
    rng = np.random.default_rng(rounds)
    for _ in range(rounds):
        sums = [bucket(step, state, rng.normal(size=LAYOUT.dim)) for _ in range(n_buckets)]
        state = step.advance(state, rng.bytes(32), sums)
    return state


def bucket(step: Step, state: RunState, update: NDArray[Any], *classes: int) -> BucketSum:
    """Return the sum of one bucket whose sites all sent this update."""
    shares = classes or (8,)
    levels = [
        quantise(update, weight_class=one, scales=step.scales(state), parameters=PARAMETERS)
        for one in shares
    ]
    return BucketSum(levels=np.asarray(np.sum(levels, axis=0), np.int32), classes=tuple(shares))


def decoded(data: bytes) -> RunState:
    return RunState.decode(data, layout=LAYOUT, statistics_size=STATISTICS.size)


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("rule", ["mean", "centered-clipping"])
def test_decoding_is_the_inverse_of_encoding(rounds: int, rule: str) -> None:
    state = moved(step_of(rule), rounds, n_buckets=3)
    again = decoded(state.encode())
    assert again.encode() == state.encode()
    assert again.chain == state.chain
    assert again.statistics.tolist() == STATISTICS.tolist()
    assert again.scales.tolist() == state.scales.tolist()
    assert model_state.encode(again.model) == model_state.encode(state.model)


def test_score_bins_are_kept_and_only_read_where_they_were_agreed() -> None:
    step = replace(step_of(), first_bins=b"bins")
    state = moved(step)
    data = state.encode()
    again = RunState.decode(data, layout=LAYOUT, statistics_size=STATISTICS.size, bins_size=4)
    assert (again.score_bins, again.encode()) == (b"bins", data)
    step.require_start(step.start(STATISTICS))
    with pytest.raises(BadRunState, match="zero"):
        step.require_start(step_of().start(STATISTICS))
    for size in (0, 3, 5):
        with pytest.raises((BadRunState, model_state.BadState)):
            RunState.decode(data, layout=LAYOUT, statistics_size=STATISTICS.size, bins_size=size)


@given(data=st.data())
def test_bytes_are_those_of_a_state_or_refused(data: st.DataObject) -> None:
    """Any changed byte gives another state, which encodes to just these bytes, or a refusal."""
    good = moved(step_of()).encode()
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        other = decoded(bytes(bad))
    except (BadRunState, model_state.BadState):
        return
    assert other.encode() == bytes(bad)


def header(*numbers: int) -> bytes:
    return b"consortium.run-state/1\n" + struct.pack("<QQQ", *numbers)


GOOD = moved(step_of()).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:40],
        GOOD[:100],
        GOOD[:-1],
        GOOD + b"\0",
        GOOD.replace(b"run-state/1", b"run-state/2"),
        header(2**40, 5, 2) + bytes(500),
        header(0, 2**40, 2) + bytes(500),
        header(0, 5, 2**40) + bytes(500),
        header(0, 4, 2) + bytes(500),
        header(0, 5, 3) + bytes(500),
        header(0, 5, 2) + bytes(40) + struct.pack("<ff", 1.0, 0.0) + bytes(500),
        header(0, 5, 2) + bytes(40) + struct.pack("<ff", 1.0, -1.0) + bytes(500),
        header(0, 5, 2) + bytes(40) + struct.pack("<ff", np.nan, 1.0) + bytes(500),
        header(0, 5, 2) + bytes(40) + struct.pack("<ff", np.inf, 1.0) + bytes(500),
        replace(moved(step_of()), chain=(bytes(32),)).encode(),
        replace(moved(step_of()), chain=(bytes(32),) * 3).encode(),
    ],
    ids=lambda data: f"{len(data)} bytes {data[23:47].hex()}",
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises((BadRunState, model_state.BadState)):
        decoded(data)


def test_a_run_starts_from_zero() -> None:
    step = step_of("centered-clipping")
    state = step.start(STATISTICS)
    assert not state.model.vector.any()
    assert state.chain == ()
    assert state.scales.tolist() == [1.0, 1.0]
    step.require_start(state)
    step.require_start(step.start(STATISTICS * 2))


@pytest.mark.parametrize(
    "planted",
    [
        lambda state: replace(state, model=replace(state.model, vector=np.full(8, 1e-30))),
        lambda state: replace(state, model=replace(state.model, moments=(np.ones(8),) * 2)),
        lambda state: replace(state, model=replace(state.model, moments=())),
        lambda state: replace(state, model=replace(state.model, server_round=1)),
        lambda state: replace(state, scales=state.scales * 2),
        lambda state: replace(state, chain=(bytes(32),)),
    ],
)
def test_no_other_start_is_taken(planted: Callable[[RunState], RunState]) -> None:
    step = step_of()
    with pytest.raises(BadRunState, match="zero"):
        step.require_start(planted(step.start(STATISTICS)))


@given(
    classes=st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_one_bucket_moves_by_the_weighted_mean_up_to_half_a_level(
    classes: list[int], seed: int
) -> None:
    step = step_of(optimizer="sgd")
    state = step.start(STATISTICS)
    updates = np.random.default_rng(seed).uniform(-1, 1, (len(classes), LAYOUT.dim))
    levels = [
        quantise(update, weight_class=one, scales=step.scales(state), parameters=PARAMETERS)
        for update, one in zip(updates, classes, strict=True)
    ]
    total = BucketSum(levels=np.asarray(np.sum(levels, axis=0), np.int32), classes=tuple(classes))
    after = step.advance(state, bytes(32), [total])
    mean = np.average(updates, axis=0, weights=classes)
    bound = 0.5 / PARAMETERS.levels * 8 * len(classes) / sum(classes)
    np.testing.assert_allclose(after.model.vector, 0.3 * mean, rtol=1e-6, atol=0.3 * bound + 1e-9)
    assert after.chain == (bytes(32),)
    assert after.statistics is state.statistics
    assert after.model.server_round == 1


@pytest.mark.parametrize("rule", ["mean", "coordinate-median", "trimmed-mean"])
def test_the_order_of_buckets_does_not_matter(rule: str) -> None:
    step = step_of(rule)
    state = step.start(STATISTICS)
    rng = np.random.default_rng(3)
    sums = [bucket(step, state, rng.uniform(-1, 1, LAYOUT.dim)) for _ in range(5)]
    forward = step.advance(state, bytes(32), sums)
    backward = step.advance(state, bytes(32), sums[::-1])
    np.testing.assert_allclose(backward.model.vector, forward.model.vector, rtol=1e-6)
    assert backward.scales.tolist() == forward.scales.tolist()


@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-30, 4), rounds=st.integers(1, 12))
@settings(max_examples=40)
def test_scales_double_or_halve_at_most_and_stay_in_bounds(
    seed: int, exponent: int, rounds: int
) -> None:
    step = step_of()
    state = step.start(STATISTICS)
    rng = np.random.default_rng(seed)
    low, high = (float(np.float32(bound)) for bound in BOUNDS)
    for _ in range(rounds):
        update = rng.normal(size=LAYOUT.dim) * 2.0**exponent
        after = step.advance(state, bytes(32), [bucket(step, state, update)])
        assert (after.scales <= 2 * state.scales).all()
        assert (after.scales >= state.scales / 2).all()
        assert ((low <= after.scales) & (after.scales <= high)).all()
        assert (after.scales == after.scales.astype(np.float32)).all()
        state = after


def test_scales_come_to_rest_at_a_multiple_of_the_size_of_the_updates() -> None:
    """Each array of the layout has its own."""
    step = step_of()
    state = step.start(STATISTICS)
    update = np.array([1e-3] * 6 + [1e-1] * 2)
    for _ in range(12):
        state = step.advance(state, bytes(32), [bucket(step, state, update)])
    np.testing.assert_allclose(
        state.scales, [SCALE_PER_RMS * 1e-3, SCALE_PER_RMS * 1e-1], rtol=0.01
    )


def test_updates_of_zero_let_the_scale_sink_to_its_bound_and_no_further() -> None:
    step = step_of(clip_norm=1.0)
    state = step.start(STATISTICS)
    for _ in range(40):
        state = step.advance(state, bytes(32), [bucket(step, state, np.zeros(LAYOUT.dim))])
    np.testing.assert_allclose(state.scales, BOUNDS[0], rtol=1e-6)


@pytest.mark.parametrize("lie", [0.0, 1.0])
def test_one_lying_bucket_of_three_does_not_move_the_scale_out_of_the_honest_range(
    lie: float,
) -> None:
    """A huge value must not silence everyone, nor a tiny one saturate them."""
    step = step_of("coordinate-median")
    state = step.start(STATISTICS)
    honest = [np.full(LAYOUT.dim, 0.011), np.full(LAYOUT.dim, 0.012)]
    for _ in range(10):
        sums = [bucket(step, state, update) for update in (*honest, np.full(LAYOUT.dim, lie))]
        state = step.advance(state, bytes(32), sums)
    wanted = state.scales / SCALE_PER_RMS
    assert ((wanted > 0.0109) & (wanted < 0.0121)).all()


def following(rule: str = "mean", *, members: int = 16) -> UpdateStep:
    """A step of a new run whose first scale is that of `first-scale` 1."""
    parameters = PARAMETER_SETS["default"](members)
    first = float(np.sqrt(parameters.levels))
    step = replace(step_of(rule, "sgd"), parameters=parameters, first_scale=first)
    return replace(step, follows=True, layout=WIDE)


WIDE = Layout(fields=(Field("weight", (60, 50)), Field("bias", (1,)), Field("sparse", (400,))))


def updates_of(rng: np.random.Generator, size: float, n_sites: int) -> NDArray[Any]:
    """Return updates that share a direction and differ, with a bias that nearly cancels out."""
    updates = size * (rng.normal(size=WIDE.dim) + rng.normal(size=(n_sites, WIDE.dim)))
    updates[:, 3_000] = size * np.resize([4.0, -4.0], n_sites)
    updates[:, 3_001:] *= rng.random(400) < 0.01
    return np.asarray(updates)


def summed(
    step: UpdateStep, state: RunState, updates: NDArray[Any], shares: list[int]
) -> BucketSum:
    form: dict[str, Any] = {
        "scales": step.scales(state),
        "parameters": step.parameters,
        "planes": step.planes(state),
    }
    pairs = list(zip(updates, shares, strict=True))
    assert not sum(saturated_values(one, weight_class=share, **form) for one, share in pairs)
    levels = [quantise(one, weight_class=share, **form) for one, share in pairs]
    return BucketSum(
        levels=np.asarray(np.sum(levels, axis=0), np.int32),
        classes=tuple(shares),
    )


@given(
    exponent=st.floats(-4, 1.5),
    growth=st.floats(0.6, 2.5),
    shares=st.lists(st.sampled_from(WEIGHT_CLASSES), min_size=2, max_size=16),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25)
def test_nothing_is_cut_off_and_each_step_is_that_of_the_exact_mean(
    exponent: float, growth: float, shares: list[int], seed: int
) -> None:
    """Two to sixteen sites of any weights, sizes of 1e-4 to 30 that change by up to 2.5 a round."""
    step, rng, size = following(members=len(shares)), np.random.default_rng(seed), 10**exponent
    state = step.start(STATISTICS)
    for _ in range(4):
        updates = updates_of(rng, size, len(shares))
        after = step.advance(state, bytes(32), [summed(step, state, updates, shares)])
        exact = 0.3 * np.average(updates, axis=0, weights=shares)
        off = after.model.vector - state.model.vector - exact
        # A state is stored in float32: that rounding is there in the clear, too.
        stored = np.spacing(np.abs(after.model.vector).astype(np.float32)).astype(np.float64)
        off = np.maximum(np.abs(off) - stored, 0)
        assert np.linalg.norm(off) <= 3e-5 * np.linalg.norm(exact)
        state, size = after, size * growth


@pytest.mark.parametrize("share", WEIGHT_CLASSES)
@pytest.mark.parametrize("n_sites", [2, 3, 16])
def test_sites_of_one_class_are_rounded_as_finely_as_sites_of_full_weight(
    share: int, n_sites: int
) -> None:
    """A scale is for what is sent: a light site's values are small, and so are its levels."""
    scales = []
    for one in (share, WEIGHT_CLASSES[-1]):
        step, rng = following(members=n_sites), np.random.default_rng(7)
        state = step.start(STATISTICS)
        updates = updates_of(rng, 0.01, n_sites)
        state = step.advance(state, bytes(32), [summed(step, state, updates, [one] * n_sites)])
        scales.append(state.scales)
    np.testing.assert_allclose(scales[0], scales[1] * share / WEIGHT_CLASSES[-1], rtol=1e-4)


@pytest.mark.parametrize("lie", [0.0, 500.0])
def test_one_lying_bucket_of_three_does_not_move_a_following_scale(lie: float) -> None:
    """A huge value must not silence everyone, nor a tiny one cut them off."""
    step, rng = following("coordinate-median"), np.random.default_rng(7)
    state, lies = step.start(STATISTICS), np.full((4, WIDE.dim), lie)
    honest = step.start(STATISTICS)
    for number in range(3):
        parts = [updates_of(rng, 0.01, 4) for _ in range(3)]
        shares = [8] * 4
        told = lies if number == 0 else lies.clip(0, state.scales.min())
        sums = [summed(step, state, one, shares) for one in (*parts[:2], told)]
        state = step.advance(state, bytes(32), sums)
        truth = [summed(step, honest, one, shares) for one in parts]
        honest = step.advance(honest, bytes(32), truth)
        assert (state.scales < 4 * honest.scales).all()
        assert (state.scales > honest.scales / 4).all()


@pytest.mark.parametrize("norm", [0.5, 3.0, 400.0])
def test_a_bucket_mean_is_clipped_to_the_runs_norm(norm: float) -> None:
    step = step_of(optimizer="sgd", clip_norm=2.0)
    state = replace(step.start(STATISTICS), scales=np.full(2, 512.0))
    direction = np.ones(LAYOUT.dim) / np.sqrt(LAYOUT.dim)
    after = step.advance(state, bytes(32), [bucket(step, state, norm * direction)])
    moved_by = float(np.sqrt((after.model.vector**2).sum())) / 0.3
    assert moved_by == pytest.approx(min(norm, 2.0), rel=1e-3)


@given(values=st.lists(st.integers(-(2**23) + 1, 2**23 - 1), min_size=1, max_size=50))
def test_thesum_of_squares_is_exact(values: list[int]) -> None:
    assert sum_of_squares(np.array(values, np.int32)) == sum(value * value for value in values)


def test_an_update_beyond_the_range_of_float32_is_refused() -> None:
    step = replace(step_of(optimizer="sgd"), scale_bounds=(1e-6, 1e38))
    state = replace(
        step.start(STATISTICS),
        scales=np.full(2, 3e38),
        model=replace(step.start(STATISTICS).model, vector=np.full(LAYOUT.dim, 3.2e38)),
    )
    huge = BucketSum(levels=np.full(LAYOUT.dim, PARAMETERS.levels, np.int32), classes=(8,))
    with pytest.raises(ConsortiumError):
        step.advance(state, bytes(32), [huge])


RUN = """
import itertools
from hashlib import sha256
import numpy as np
from consortium.protocol.run_state import BucketSum, UpdateStep
from privacy.layout import Field, Layout
from privacy.encryption.parameters import PARAMETER_SETS
from strategies.server_optimizer import OPTIMIZERS, OptimizerOptions
from strategies.rules.registry import RULES, RuleOptions

layout = Layout(fields=(Field("weight", (97, 101)), Field("bias", (97,))))
parameters = PARAMETER_SETS["default"](16)
for (name, spec), follows in itertools.product(RULES.items(), (False, True)):
    if not spec.same_on_every_cpu:
        continue
    for optimizer, build in OPTIMIZERS.items():
        options = RuleOptions(num_byzantine=int(name != "mean"), clip_norm=0.02)
        step = UpdateStep(
            layout=layout, parameters=parameters,
            rule_at=lambda state: spec.build(options, state.memory),
            needs_memory=spec.needs_memory,
            optimizer=build(OptimizerOptions(learning_rate=0.3)),
            clip_norm=None if name == "mean" else 0.9,
            first_scale=0.7, scale_bounds=(1e-7, 1e3), follows=follows,
        )
        state = step.start(np.arange(5))
        rng = np.random.default_rng(1)
        for number in range(3):
            size = step.planes(state) * layout.dim
            sums = [
                BucketSum(
                    levels=(rng.standard_t(2, size) * 9_000).clip(-8e6, 8e6).astype(np.int32),
                    classes=tuple(2 ** rng.integers(0, 4, 4)),
                )
                for _ in range(5)
            ]
            state = step.advance(state, sha256(state.encode()).digest(), sums)
            print(name, optimizer, sha256(state.encode()).hexdigest())
"""


def digests(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def here() -> list[str]:
    return digests()


@pytest.mark.parametrize(
    "other",
    [
        {"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
    ],
    ids=lambda other: "+".join(other.values()),
)
def test_another_cpu_computes_the_same_bits(here: list[str], other: dict[str, str]) -> None:
    """Sites seal what they computed, and compare the bytes."""
    assert len(here) == 6 * len(OPTIMIZERS) * sum(one.same_on_every_cpu for one in RULES.values())
    assert digests(**other) == here
