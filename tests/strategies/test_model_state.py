import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.compression.plan import PruningPlan
from privacy.layout import Vector
from strategies.model_state import (
    HEADER,
    MAGIC,
    BadState,
    OptimizerStep,
    State,
    TallyStep,
    advance,
    advance_with,
    decode,
    encode,
    initial_state,
)
from strategies.rules.mean import mean
from strategies.rules.registry import RULES
from strategies.server_optimizer import OPTIMIZERS, MomentsMismatch, OptimizerOptions, StepOverflow

ROOT = Path(__file__).parents[2]

SGD = OPTIMIZERS["sgd"](OptimizerOptions())
ADAM = OPTIMIZERS["adam"](OptimizerOptions())
VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def states(draw: st.DrawFn) -> State:
    dim = draw(st.integers(1, 5))
    vectors = st.lists(VALUES, min_size=dim, max_size=dim).map(lambda v: np.array(v) + 0.0)
    return State(
        server_round=draw(st.integers(0, 2**63 - 1)),
        vector=draw(vectors),
        moments=tuple(draw(st.lists(vectors, max_size=3))),
        memory=draw(st.none() | vectors),
    )


def test_a_run_starts_at_zero() -> None:
    state = initial_state(3, SGD)
    assert state.server_round == 0
    assert state.vector.tolist() == [0.0] * 3
    assert state.memory is None


def test_fedavg_moves_by_the_weighted_mean() -> None:
    state = advance(
        initial_state(2, SGD), np.array([[1.0, 2.0], [5.0, 6.0]]), np.array([3.0, 1.0]), mean, SGD
    )
    assert state.server_round == 1
    assert state.vector.tolist() == [2.0, 3.0]


def test_the_last_aggregate_is_kept_only_where_it_is_needed() -> None:
    aggregate = np.array([0.1, -2.0])
    assert advance_with(initial_state(2, SGD), aggregate, SGD).memory is None
    kept = advance_with(initial_state(2, SGD, needs_memory=True), aggregate, SGD).memory
    assert kept is not None
    assert np.array_equal(kept, aggregate.astype(np.float32))


def test_advance_is_pure() -> None:
    state = initial_state(4, ADAM, needs_memory=True)
    before = encode(state)
    first = advance_with(state, np.arange(4.0), ADAM)
    assert encode(state) == before
    assert encode(advance_with(state, np.arange(4.0), ADAM)) == encode(first)


def test_an_optimizers_step_is_to_advance() -> None:
    step, aggregate = OptimizerStep(optimizer=ADAM, needs_memory=True), np.array([1.0, -2.0])
    begun, none = step.start(2), np.zeros(0, np.int64)
    assert encode(begun) == encode(initial_state(2, ADAM, needs_memory=True))
    assert encode(step.after(begun, none, aggregate)) == encode(
        advance_with(begun, aggregate, ADAM)
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_what_is_pruned_is_zero_from_then_on(optimizer: str) -> None:
    """Whatever the optimizer remembers of it; where nothing is pruned the step is the same."""
    chosen = OPTIMIZERS[optimizer](OptimizerOptions())
    dense = OptimizerStep(optimizer=chosen)
    sparse = OptimizerStep(optimizer=chosen, pruning=PruningPlan(share=0.5, after=2))
    aggregate = np.array([4.0, 1.0, -3.0, 2.0])
    states, others = [sparse.start(4)], [dense.start(4)]
    for _ in range(4):
        states.append(sparse.after(states[-1], np.zeros(0, np.int64), aggregate))
        others.append(dense.after(others[-1], np.zeros(0, np.int64), aggregate))
    assert encode(states[1]) == encode(others[1])
    kept = np.flatnonzero(states[2].vector)
    assert kept.size == 2
    for one, other in zip(states[2:], others[2:], strict=True):
        assert np.flatnonzero(one.vector).tolist() == kept.tolist()
        np.testing.assert_array_equal(one.moments, other.moments)


def test_a_learners_step_is_what_it_makes_of_state_statistics_and_sum() -> None:
    step = TallyStep(lambda vector, statistics, pooled: vector + statistics[0] / 3 + pooled)
    state = step.start(2)
    assert (state.server_round, state.vector.tolist(), state.moments) == (0, [0.0, 0.0], ())
    for number in (1, 2):
        state = step.after(state, np.array([1]), np.array([5, -7]))
        assert state.server_round == number
    single = np.float32(1 / 3 + 5)
    assert state.vector[0] == np.float32(float(single) + 1 / 3 + 5)
    assert encode(decode(encode(state), 2)) == encode(state)


@pytest.mark.parametrize("made", [np.zeros(3), np.zeros((2, 1)), np.zeros(0)])
def test_a_learners_step_keeps_the_shape_of_the_state(made: Vector) -> None:
    step = TallyStep(lambda _vector, _statistics, _pooled: made)
    with pytest.raises(BadState, match="shape"):
        step.after(step.start(2), np.zeros(1, np.int64), np.zeros(2, np.int64))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_a_learners_step_stays_within_float32(value: float) -> None:
    step = TallyStep(lambda vector, _statistics, _pooled: vector + value)
    with pytest.raises(StepOverflow):
        step.after(step.start(2), np.zeros(1, np.int64), np.zeros(2, np.int64))


def test_an_aggregate_of_another_size_is_refused() -> None:
    """NumPy would broadcast shape (1,) silently, and every coordinate would move alike."""
    with pytest.raises(BadState, match=r"\(3,\).*\(1,\)"):
        advance_with(initial_state(3, SGD), np.ones(1), SGD)


def test_a_state_cannot_change_its_optimizer() -> None:
    with pytest.raises(MomentsMismatch):
        advance_with(initial_state(3, ADAM), np.ones(3), SGD)


@pytest.mark.parametrize(
    "parts",
    [
        {"server_round": -1},
        {"server_round": 2**63},
        {"vector": np.zeros((2, 1))},
        {"moments": (np.zeros(3),)},
        {"memory": np.zeros(1)},
    ],
)
def test_parts_that_do_not_belong_together_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(BadState, match="one shape"):
        State(**{"server_round": 0, "vector": np.zeros(2), **parts})


@given(state=states())
def test_decoding_is_the_inverse_of_encoding(state: State) -> None:
    data = encode(state)
    again = decode(data, state.vector.size)
    assert encode(again) == data
    assert again.server_round == state.server_round
    assert np.array_equal(again.vector, state.vector)
    assert len(again.moments) == len(state.moments)
    assert (again.memory is None) == (state.memory is None)


@given(state=states(), data=st.data())
def test_bytes_are_those_of_a_state_or_refused(state: State, data: st.DataObject) -> None:
    """Any flipped bit gives another state, which encodes to just these bytes, or `BadState`."""
    good = encode(state)
    place = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[place] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(bytes(bad), state.vector.size)
    except BadState:
        return
    assert encode(other) == bytes(bad)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode(initial_state(2, ADAM))[:-1],
        encode(initial_state(2, ADAM)) + b"\0",
        encode(initial_state(3, ADAM)),
        HEADER.pack(b"consortium.state/2", 0, 2, 0, 0) + bytes(8),
        HEADER.pack(MAGIC, 0, 2, 9, 0) + bytes(80),
        HEADER.pack(MAGIC, 0, 2, 0, 2) + bytes(24),
        HEADER.pack(MAGIC, 2**63, 2, 0, 0) + bytes(8),
        HEADER.pack(MAGIC, 0, 2, 0, 0) + np.array([1, np.nan], "<f4").tobytes(),
        HEADER.pack(MAGIC, 0, 2, 0, 0) + np.array([1, -np.inf], "<f4").tobytes(),
        HEADER.pack(MAGIC, 0, 2, 0, 0) + np.array([1, -0.0], "<f4").tobytes(),
    ],
    ids=[
        "empty",
        "short",
        "long",
        "other-dim",
        "other-version",
        "too-many-moments",
        "memory-neither-here-nor-not",
        "round-too-large",
        "nan",
        "infinity",
        "negative-zero",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(BadState):
        decode(data, 2)


def test_a_dim_that_would_not_fit_in_memory_is_refused_before_allocation() -> None:
    with pytest.raises(BadState, match="got 36"):
        decode(HEADER.pack(MAGIC, 0, 2**50, 8, 1), 2**50)


def test_the_encoding_is_little_endian_and_does_not_change() -> None:
    """A published vector: whoever changes these bytes must change the version."""
    state = State(server_round=1, vector=np.array([1.0, -2.0]))
    assert encode(state).hex() == (
        b"consortium.state/1".hex() + "0100000000000000" + "0200000000000000" + "0000"
        "0000803f000000c0"
    )


RUN = """
from hashlib import sha256
import numpy as np
from strategies.model_state import advance, encode, initial_state
from strategies.server_optimizer import OPTIMIZERS, OptimizerOptions
from strategies.rules.registry import RULES, RuleOptions

rng = np.random.default_rng(1)
updates = (rng.standard_t(2, (3, 9, 20_011)) * 1e-2).astype(np.float32)
updates[:, :, :50] *= rng.choice([0.0, -0.0], (3, 9, 50))  # CPUs differ in the sign of a zero
weights = {True: np.array([1.0, 2, 4, 8, 1, 2, 4, 8, 1]), False: np.ones(9)}
for name, spec in RULES.items():
    options = RuleOptions(num_byzantine=int(name != "mean"), clip_norm=1.7, momentum=0.3)
    for optimizer_name, build in OPTIMIZERS.items():
        optimizer = build(OptimizerOptions(learning_rate=0.3))
        state = initial_state(20_011, optimizer, needs_memory=spec.needs_memory)
        for round_updates in updates if spec.same_on_every_cpu else ():
            rule = spec.build(options, state.memory)
            state = advance(state, round_updates, weights[spec.weighted], rule, optimizer)
            print(name, optimizer_name, sha256(encode(state)).hexdigest())
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
        {"OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_CORETYPE": "Haswell"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
        {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3", "OPENBLAS_CORETYPE": "Prescott"},
        {"OPENBLAS_NUM_THREADS": "2"},
    ],
    ids=lambda other: "+".join(other.values()),
)
def test_another_cpu_computes_the_same_bits(here: list[str], other: dict[str, str]) -> None:
    """Sealed states are compared byte for byte between sites."""
    rules = [spec for spec in RULES.values() if spec.same_on_every_cpu]
    assert len(here) == len(rules) * len(OPTIMIZERS) * 3
    assert digests(**other) == here
