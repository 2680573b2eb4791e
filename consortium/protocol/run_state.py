"""What the sites of an encrypted run agree on after each round, and how it moves.

Everything here must give the same bits on every machine: elementwise float64, sums of integers,
nothing from BLAS.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from consortium.protocol.scale_rules import Sizes, following_scales, sum_of_squares
from privacy.compression.plan import PruningPlan
from privacy.contribution import Contribution
from privacy.encryption.parameters import SealParameters
from privacy.encryption.quantisation import Scales, joined_levels, mean_from_levels
from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally, Vector
from privacy.protocol.grouping import WEIGHT_CLASSES
from strategies import model_state
from strategies.rules.inputs import Rule
from strategies.server_optimizer import ServerOptimizer

_TAG = b"consortium.run-state/1\n"
_TAG_WITH_BINS = b"consortium.run-state/2\n"
_HEADER = struct.Struct("<QQQ")  # earlier states, entries of the statistics, segments
_DIGEST = 32
_MAX_CHAIN = 1_000_000
SCALE_PER_RMS = 64.0


class BadRunState(ConsortiumError, ValueError, code="bad-run-state"):
    """Bytes do not encode a state of this run, or it is not what a run starts from."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RunState:
    """S(t): where an encrypted run is after round t.

    Args:
        model: The federated vector and the optimizer's moments.
        statistics: The pooled statistics.
        scales: Largest value of each array of the layout that a level expresses, float32 numbers.
        chain: Digests of all earlier sealed states, from the start.
        score_bins: By which this state's scores are counted; empty if bins are always the same.
    """

    model: model_state.State
    statistics: Tally
    scales: Vector
    chain: tuple[bytes, ...]
    score_bins: bytes = b""

    def encode(self) -> bytes:
        """Return the canonical bytes: equal states give equal bytes."""
        return b"".join(
            (
                _TAG_WITH_BINS if self.score_bins else _TAG,
                _HEADER.pack(len(self.chain), self.statistics.size, self.scales.size),
                *self.chain,
                np.ascontiguousarray(self.statistics, "<i8").tobytes(),
                np.ascontiguousarray(self.scales, "<f4").tobytes(),
                self.score_bins,
                model_state.encode(self.model),
            )
        )

    @classmethod
    def decode(
        cls, data: bytes, *, layout: Layout, statistics_size: int, bins_size: int = 0
    ) -> "RunState":
        """Return the state that `encode` wrote.

        Args:
            data: From a sealed state.
            layout: Of the federated vector.
            statistics_size: Entries of the statistics.
            bins_size: Bytes of the score bins.

        Raises:
            BadRunState: The bytes are not one of this layout, statistics and version.
            BadState: The model in it is not one of this layout.
        """
        start, tag = len(_TAG) + _HEADER.size, _TAG_WITH_BINS if bins_size else _TAG
        if len(data) < start or not data.startswith(tag):
            raise BadRunState("these bytes do not begin like a run state of this run")
        links, entries, segments = _HEADER.unpack_from(data, len(_TAG))
        if links > _MAX_CHAIN or (entries, segments) != (statistics_size, len(layout.fields)):
            raise BadRunState("the run state is of another layout or other statistics")
        after = start + _DIGEST * links
        bins = after + 8 * entries + 4 * segments
        tail = bins + bins_size
        if len(data) < tail:
            raise BadRunState(f"a run state of this form has over {tail} bytes, got {len(data)}")
        scales = np.frombuffer(data, "<f4", segments, after + 8 * entries).astype(np.float64)
        # A scale of zero or infinity would turn every later update into nothing or no number.
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise BadRunState("every scale is finite and above 0")
        model = model_state.decode(data[tail:], layout.dim)
        # One digest for each earlier state: a gap would be room for a rollback.
        if model.server_round != links:
            raise BadRunState(f"the state after round {model.server_round} has {links} before it")
        return cls(
            model=model,
            statistics=np.frombuffer(data, "<i8", entries, after).astype(np.int64),
            scales=scales,
            chain=tuple(data[at : at + _DIGEST] for at in range(start, after, _DIGEST)),
            score_bins=data[bins:tail],
        )


@dataclass(frozen=True, kw_only=True)
class BucketSum:
    """What one bucket of sites adds up to.

    Args:
        levels: Sum of the levels of their updates, shape (planes * dim,); empty where tallies are
            sent.
        classes: The weight class of each of its sites.
        tally: Sum of their tallies, shape (tally_size,); empty where updates are sent.
    """

    levels: NDArray[np.int32] | NDArray[np.int64]
    classes: tuple[int, ...]
    tally: Tally = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def total_class(self) -> int:
        """Sum of the weight classes."""
        return sum(self.classes)


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """How a run moves: the same at all sites, bound by the run's opening.

    Args:
        layout: Of the federated vector.
        first_scale: Scale of every array at the start.
        first_bins: Score bins at the start; empty if bins are always the same.
    """

    layout: Layout
    first_scale: float
    first_bins: bytes = b""

    @property
    @abstractmethod
    def of_model(self) -> model_state.ModelStep:
        """How the model in the state starts and moves."""

    @abstractmethod
    def advance(
        self, before: RunState, before_digest: bytes, sums: Sequence[BucketSum]
    ) -> RunState:
        """Return the state after one more round, with the score bins of the last one.

        Args:
            before: The state the sites received.
            before_digest: Digest of its sealed form.
            sums: One for each bucket that counts, in the order of the buckets.

        Raises:
            ConsortiumError: There is no such step.
        """

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers in each array of the layout: the segments that share a scale."""
        return tuple(item.size for item in self.layout.fields)

    def scales(self, state: RunState) -> Scales:
        """Return the scales that updates from this state are rounded by."""
        return Scales(state.scales, self.lengths)

    def start(self, statistics: Tally) -> RunState:
        """Return S(0): the zero vector, which nobody can plant, and the agreed statistics."""
        # Float32 from the start on: a state is stored so, and the sites must compute with what they
        # stored.
        first = np.full(len(self.layout.fields), self.first_scale, np.float32)
        return RunState(
            model=self.of_model.start(self.layout.dim),
            statistics=statistics,
            scales=first.astype(np.float64),
            chain=(),
            score_bins=self.first_bins,
        )

    def start_from(self, vector: Vector, statistics: Tally) -> RunState:
        """Return the start of a run that only evaluates a model, shape (dim,)."""
        zero = self.start(statistics)
        return replace(zero, model=replace(zero.model, vector=vector))

    def require_start(self, state: RunState, model: str = "") -> None:
        """Check that a state is S(0) with its own statistics.

        Args:
            state: What was shown.
            model: Digest of the model that the run evaluates; empty if it trains from zero.

        Raises:
            BadRunState: It is not: somebody planted a start.
        """
        if model:
            vector = state.model.vector
            expected = self.start_from(vector, state.statistics)
            right = self.layout.digest_of(vector) == model
        else:
            expected, right = self.start(state.statistics), True
        # Bytes are compared, because -0.0 and 0.0 are equal numbers and different states.
        if not right or state.encode() != expected.encode():
            raise BadRunState("the run does not start from zero, or from the model it evaluates")


@dataclass(frozen=True, kw_only=True)
class SumStep(Step):
    """How a run of exact tallies moves: by their sum over all sites, as the learner says.

    Args:
        contribution: What a site sends.
        move: Of the learner.
    """

    contribution: Contribution
    move: model_state.Move

    @property
    def of_model(self) -> model_state.TallyStep:
        """The learner's step."""
        return model_state.TallyStep(self.move)

    def advance(
        self, before: RunState, before_digest: bytes, sums: Sequence[BucketSum]
    ) -> RunState:
        """Return the state after one more round; the scales, which tallies do not need, stay.

        Raises:
            SumOutOfBounds: So many sites cannot have counted this.
            ConsortiumError: As the learner says.
        """
        # A run of tallies has one bucket: `require_exact_sums` allows no more.
        (all_sites,) = sums
        # One site's part cannot be seen, so the bounds are those of so many sites together.
        self.contribution.check(all_sites.tally, sites=len(all_sites.classes))
        return replace(
            before,
            model=self.of_model.after(before.model, before.statistics, all_sites.tally),
            chain=(*before.chain, before_digest),
        )


@dataclass(frozen=True, kw_only=True)
class UpdateStep(Step):
    """How a run of updates moves: by rule and server optimizer.

    Args:
        parameters: Of the ciphertexts.
        rule_at: The rule that turns bucket means into one, from the state before the round;
            the same bits on every CPU.
        needs_memory: Whether the rule wants the last aggregate.
        optimizer: How the aggregate moves the model.
        clip_norm: Largest L2 norm of a bucket mean, or None for no bound.
        scale_bounds: Smallest and largest scale, from the charter.
        follows: Whether scales follow the largest values and the first round has two planes, or
            all is as in version 0.1.0.
        pruning: Which numbers are trained and sent.
    """

    parameters: SealParameters
    rule_at: Callable[[model_state.State], Rule]
    needs_memory: bool
    optimizer: ServerOptimizer
    clip_norm: float | None
    scale_bounds: tuple[float, float]
    follows: bool = False
    pruning: PruningPlan = field(default_factory=PruningPlan)

    @property
    def of_model(self) -> model_state.OptimizerStep:
        """The optimizer's step."""
        return model_state.OptimizerStep(optimizer=self.optimizer, needs_memory=self.needs_memory)

    def scales(self, state: RunState) -> Scales:
        """Return the scales that updates from this state are rounded by, and what is sent."""
        model = state.model
        places = self.pruning.places(model.vector, model.server_round + 1)
        return Scales(state.scales, self.lengths, places)

    def advance(
        self, before: RunState, before_digest: bytes, sums: Sequence[BucketSum]
    ) -> RunState:
        """Return the state after one more round.

        Raises:
            ConsortiumError: As the rule and the optimizer say.
        """
        scales, planes = self.scales(before), self.planes(before)
        sums = [
            replace(one, levels=scales.spread(joined_levels(one.levels, self.parameters, planes)))
            for one in sums
        ]
        means = np.stack(
            [
                mean_from_levels(
                    one.levels,
                    total_class=one.total_class,
                    scales=scales,
                    parameters=self.parameters,
                    planes=planes,
                )
                for one in sums
            ]
        )
        squares = np.array([self._segment_squares(one, scales, planes) for one in sums])
        # Before the rule sees them: a hostile value inside a ciphertext can only be bounded.
        if self.clip_norm is not None:
            means *= _shrink(squares, self.clip_norm)[:, None]
        rule = self.rule_at(before.model)
        # One vote for each bucket: what its sites weigh is in its mean already.
        model = model_state.advance(before.model, means, np.ones(len(sums)), rule, self.optimizer)
        return RunState(
            model=model_state.pruned(before.model, model, self.pruning),
            statistics=before.statistics,
            scales=self._next_scales(before, sums, squares),
            chain=(*before.chain, before_digest),
            score_bins=before.score_bins,
        )

    def planes(self, state: RunState) -> int:
        """Return how many levels a value of an update from this state takes."""
        # At the start nobody knows how large updates are, so there is room for nearly all sizes.
        return 2 if self.follows and state.model.server_round == 0 else 1

    def _segment_squares(self, one: BucketSum, scales: Scales, planes: int) -> list[float]:
        """Return the sum of squares of the bucket's mean in each segment, from exact integers."""
        share = one.total_class / WEIGHT_CLASSES[-1]
        ends = np.cumsum(self.lengths)
        squares = []
        for scale, end, length in zip(scales.values, ends, self.lengths, strict=True):
            step = float(scale) / self.parameters.levels**planes / share
            # Integers have one sum in whatever order a CPU adds; floats have not.
            exact = sum_of_squares(one.levels[end - length : end])
            squares.append(float(exact) * (step * step))
        return squares

    def _next_scales(
        self, before: RunState, sums: Sequence[BucketSum], squares: NDArray[np.float64]
    ) -> Vector:
        """Return the scales of the next round, from the size of the bucket means."""
        if self.follows:
            planes = self.planes(before)
            steps = before.scales / self.parameters.levels**planes
            sizes = Sizes(
                squares=squares,
                peaks=np.array([self._segment_peaks(one, steps) for one in sums]),
                classes=tuple(one.classes for one in sums),
                lengths=self.lengths,
            )
            last = before.scales if planes == 1 else None
            wanted = following_scales(last, sizes)
        else:
            # A scale may at most double or halve, so one odd round cannot silence the next ones.
            # The median over buckets: one liar's huge value must not silence everyone.
            mean_squares = np.median(squares, axis=0) / np.array(self.lengths, np.float64)
            wanted = SCALE_PER_RMS * np.sqrt(mean_squares)
            wanted = np.clip(wanted, before.scales / 2, before.scales * 2)
        # Rounded as it will be stored, so that who computes the scales and who reads them agree.
        return np.clip(wanted, *self.scale_bounds).astype(np.float32).astype(np.float64)

    def _segment_peaks(self, one: BucketSum, steps: Vector) -> list[float]:
        """Return the largest size of a value of the bucket's mean in each segment."""
        share = one.total_class / WEIGHT_CLASSES[-1]
        ends = np.cumsum(self.lengths)
        return [
            float(np.abs(one.levels[end - length : end]).max()) * float(step) / share
            for step, end, length in zip(steps, ends, self.lengths, strict=True)
        ]


def _shrink(squares: NDArray[np.float64], clip_norm: float) -> Vector:
    """Return the factor by which each bucket's mean is clipped, shape (n_buckets,)."""
    norms = []
    for row in squares:
        total = 0.0
        # Added one by one: NumPy may group terms by the CPU, which changes the last bits.
        for square in row:
            total += float(square)
        norms.append(np.sqrt(total))
    return np.array([min(1.0, clip_norm / norm) if norm > 0 else 1.0 for norm in norms])
