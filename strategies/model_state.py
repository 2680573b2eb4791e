"""The model state, and its step: pure functions, used at whichever end may see the plaintext."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.compression.plan import PruningPlan
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector
from strategies.rules.inputs import Rows, Rule
from strategies.server_optimizer import Moments, ServerOptimizer, round_to_float32

Move: TypeAlias = Callable[[Vector, Tally, Tally], Vector]

MAGIC = b"consortium.state/1"
HEADER = struct.Struct(f"<{len(MAGIC)}sQQBB")  # magic, server round, dim, moments, memory
MAX_MOMENTS = 8
MAX_ROUNDS = 2**63
NEGATIVE_ZERO = np.uint32(0x8000_0000)


class BadState(ConsortiumError, ValueError, code="bad-state"):
    """The parts of a state do not belong together, or bytes do not encode one."""


@dataclass(frozen=True, eq=False)
class State:
    """The state of a run after a round. Compare states by `encode` or `digest`.

    Guarantee: every number is a float32 number, held as float64, so nothing is lost on the wire.

    Args:
        server_round: Number of rounds done.
        vector: The model, as the difference from its start, shape (dim,).
        moments: Moments of the server optimizer, each of shape (dim,).
        memory: The last aggregate, shape (dim,), if the rule needs it; else None.

    Raises:
        BadState: A shape differs, or the round is negative or 2^63 or more.
    """

    server_round: int
    vector: Vector
    moments: Moments = field(default=())
    memory: Vector | None = field(default=None)

    def __post_init__(self) -> None:
        shapes = {part.shape for part in _parts(self)}
        counted = 0 <= self.server_round < MAX_ROUNDS
        if not counted or len(shapes) != 1 or self.vector.ndim != 1:
            raise BadState(
                f"a state needs a round of 0 or more and parts of one shape (dim,), "
                f"got round {self.server_round} and shapes {sorted(shapes)}"
            )


def initial_state(dim: int, optimizer: ServerOptimizer, *, needs_memory: bool = False) -> State:
    """Return the state before the first round.

    The vector is zero, so nobody can plant a model in it.
    """
    return State(
        server_round=0,
        vector=np.zeros(dim),
        moments=optimizer.init(dim),
        memory=np.zeros(dim) if needs_memory else None,
    )


def advance(
    state: State, updates: Rows, weights: Vector, rule: Rule, optimizer: ServerOptimizer
) -> State:
    """Return the state after one more round, from the updates of its sites.

    Guarantee: pure; with a rule that is `same_on_every_cpu`, the same bits on every machine.

    Args:
        state: State after the last round.
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,).
        rule: Aggregation rule: turns the updates into one.
        optimizer: The optimizer with which the state was started.

    Raises:
        ConsortiumError: The errors of the rule and of `advance_with`.
    """
    return advance_with(state, rule(updates, weights), optimizer)


def advance_with(state: State, aggregate: Vector, optimizer: ServerOptimizer) -> State:
    """Return the state after one more round, from the aggregate of its updates, shape (dim,).

    Raises:
        BadState: The aggregate does not have the model's shape.
        MomentsMismatch: The state was started with another optimizer.
        StepOverflow: The step leaves the range of float32.
    """
    if aggregate.shape != state.vector.shape:
        raise BadState(
            f"an aggregate of shape {state.vector.shape} is needed, got {aggregate.shape}"
        )
    moments, vector = optimizer.step(state.moments, state.vector, aggregate)
    return State(
        server_round=state.server_round + 1,
        vector=vector,
        moments=moments,
        memory=None if state.memory is None else round_to_float32(aggregate),
    )


def stood_still(state: State) -> State:
    """Return the state after one more round in which nothing moved it."""
    return replace(state, server_round=state.server_round + 1)


def pruned(before: State, after: State, pruning: PruningPlan) -> State:
    """Return the state after a round, with what is pruned at the start again: zero.

    A server optimizer with momentum would go on to move it.
    """
    if not pruning.prunes:
        return after
    vector = pruning.pruned(before.vector, after.vector, after.server_round)
    return replace(after, vector=vector)


class ModelStep(Protocol):
    """How a run starts, and how what a round added up to moves its state."""

    def start(self, dim: int) -> State:
        """Return the state before the first round, whose vector is zero."""

    def after(self, state: State, statistics: Tally, aggregate: NDArray[Any]) -> State:
        """Return the state after one more round.

        Args:
            state: After the last round.
            statistics: The pooled statistics.
            aggregate: Of what the sites sent.

        Raises:
            ConsortiumError: There is no such step.
        """


@dataclass(frozen=True, kw_only=True)
class OptimizerStep:
    """A server optimizer moves the model by the aggregate of updates.

    Args:
        optimizer: Which one.
        needs_memory: Whether the rule wants the last aggregate in the state.
        pruning: Which numbers of the model are trained.
    """

    optimizer: ServerOptimizer
    needs_memory: bool = False
    pruning: PruningPlan = field(default_factory=PruningPlan)

    def start(self, dim: int) -> State:
        """Return the state before the first round, with the optimizer's moments."""
        return initial_state(dim, self.optimizer, needs_memory=self.needs_memory)

    def after(self, state: State, statistics: Tally, aggregate: NDArray[Any]) -> State:
        """Return the state after one more round, as `advance_with` and `pruned` do."""
        return pruned(state, advance_with(state, aggregate, self.optimizer), self.pruning)


@dataclass(frozen=True)
class TallyStep:
    """A learner moves its state by the sum of exact tallies.

    Args:
        move: Of the learner: the next vector from the last one, the pooled statistics and the sum.
    """

    move: Move

    def start(self, dim: int) -> State:
        """Return the state before the first round: a vector of zeros, and nothing beside it."""
        return State(server_round=0, vector=np.zeros(dim))

    def after(self, state: State, statistics: Tally, aggregate: NDArray[Any]) -> State:
        """Return the state after one more round, rounded to float32.

        Raises:
            BadState: The learner returned a vector of another shape.
            StepOverflow: It left the range of float32.
            ConsortiumError: As the learner says.
        """
        vector = round_to_float32(self.move(state.vector, statistics, aggregate))
        if vector.shape != state.vector.shape:
            raise BadState(f"the state has shape {state.vector.shape}, its step {vector.shape}")
        return State(server_round=state.server_round + 1, vector=vector)


def encode(state: State) -> bytes:
    """Return the state as bytes: a versioned header, then little-endian float32 values.

    Guarantee: the encoding is canonical: equal states give equal bytes. `decode` is the inverse.
    """
    header = HEADER.pack(
        MAGIC,
        state.server_round,
        state.vector.size,
        len(state.moments),
        state.memory is not None,
    )
    return b"".join([header, *(_payload(part) for part in _parts(state))])


def decode(data: bytes, dim: int) -> State:
    """Parse what `encode` wrote.

    Guarantee: bytes that `encode` does not write for a state of this dim are refused, and before
    anything is allocated for them.

    Args:
        data: Bytes from a peer or a disk, not trusted.
        dim: Numbers in the agreed layout.

    Raises:
        BadState: The version, dim or length is wrong, or a value is one that no state holds.
    """
    if len(data) < HEADER.size:
        raise BadState(f"a state needs at least {HEADER.size} bytes, got {len(data)}")
    magic, server_round, size, num_moments, memory = HEADER.unpack_from(data)
    if magic != MAGIC or size != dim or num_moments > MAX_MOMENTS or memory > 1:
        raise BadState(f"these bytes are not a state of version 1 and dim {dim}")
    count = 1 + num_moments + memory
    if len(data) != HEADER.size + 4 * dim * count:
        raise BadState(
            f"a state of {count} parts and dim {dim} needs {HEADER.size + 4 * dim * count} bytes, "
            f"got {len(data)}"
        )
    parts = [_part(data, HEADER.size + 4 * dim * index, dim) for index in range(count)]
    return State(
        server_round=server_round,
        vector=parts[0],
        moments=tuple(parts[1 : 1 + num_moments]),
        memory=parts[-1] if memory else None,
    )


def _parts(state: State) -> list[Vector]:
    return [state.vector, *state.moments, *([] if state.memory is None else [state.memory])]


def _payload(part: Vector) -> bytes:
    return round_to_float32(part).astype("<f4").tobytes()


def _part(data: bytes, offset: int, dim: int) -> Vector:
    single: NDArray[np.float32] = np.frombuffer(data, "<f4", dim, offset)
    # A negative zero equals zero, but has other bytes: two encodings of one state.
    if not np.isfinite(single).all() or np.any(single.view("<u4") == NEGATIVE_ZERO):
        raise BadState("the values of a state must be finite, and no zero may be negative")
    return single.astype(np.float64)
