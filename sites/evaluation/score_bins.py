"""Bins of scores whose edges follow the pooled scores of the evaluations before.

A rare class leaves nearly all scores close to 0. Of 1,024 bins of equal width one or two then hold
them all, and in what order scores lie within a bin is unknown. So edges lie where the scores will
be: where they were, and as far around as they moved in the last round.

Edges are whole numbers, so that every machine has the same to the last bit. Between 2**-30 and one
half each doubling of the score is divided into 2**20 *ticks* of equal width, and scores above one
half mirror that. A tick is about one millionth of the logit of the score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector

BINS = 1024
FIXED = 64
_RANKS = 64
ENCODED_BYTES = 4 * (BINS - 1 + _RANKS)
_DOUBLINGS = 29  # from 2**-30 to one half
_BITS = 20  # of the mantissa that a tick keeps
_HALF = _DOUBLINGS << _BITS  # the tick of the score one half
_TICKS = 2 * _HALF + 1  # the last one holds what is above 1 - 2**-30
_DROPPED = 52 - _BITS
_LOWEST = (1022 - _DOUBLINGS) << _BITS  # of the bits of 2**-30 in float64
_UNKNOWN = 2**32 - 1

_NEAR, _FAR = 4 << _BITS, 17 << _BITS
_STEPS = (0, _HALF - _FAR, _HALF - _NEAR, _HALF + _NEAR, _HALF + _FAR, _TICKS)
_DENSITIES = (1, 16, 32, 16, 1)  # of the first edges, between these ticks
_MOVING = BINS - FIXED + 1  # parts of equal mass between the edges that move

# Six of eight edges lie at quantiles of the negatives. Where scores stay as they are, a bin then
# holds at most 1/720 of the negatives, and the bound of the AUC is at most 1/1440, whatever the
# positives. One of eight lies at quantiles of the positives, and one where the first edges are.
_MASS = 1 << 60
_OF_NEGATIVES, _OF_POSITIVES = 6 * _MASS // 8, _MASS // 8

Ticks: TypeAlias = NDArray[np.int64]


class BadScoreBins(ConsortiumError, ValueError, code="bad-score-bins"):
    """Bytes are not the edges of score bins."""


@dataclass(frozen=True)
class ScoreBins:
    """The bins by which the scores of two classes are counted.

    Guarantee: they cover [0, 1], do not overlap, hold their lower edge, and every multiple of 1/64
    is an edge.

    Args:
        encoded: Little-endian 32-bit numbers: the 1,023 inner edges in ticks, in order, then 64
            quantiles of the negatives in the evaluation before, in ticks, all bits set if there
            was none. Empty for bins of equal width, as in version 0.1.0.

    Raises:
        BadScoreBins: They are not such edges.
    """

    encoded: bytes = b""

    def __post_init__(self) -> None:
        if not self.encoded:
            return
        whole = len(self.encoded) == ENCODED_BYTES
        edges = self._inner if whole else np.zeros(1, np.int64)
        if edges[-1] >= _TICKS or (np.diff(edges) < 0).any() or not _have_fixed(edges):
            raise BadScoreBins(
                f"score bins need {BINS - 1} edges in order, every multiple of 1/{FIXED} among "
                f"them, and {_RANKS} quantiles"
            )

    @property
    def follow(self) -> bool:
        """Whether the edges follow the scores."""
        return bool(self.encoded)

    @cached_property
    def edges(self) -> Vector:
        """The edges of the bins, from 0 to 1, shape (1,025,)."""
        return np.concatenate([[0.0], _scores_at(self._inner), [1.0]])

    def bins_of(self, scores: Vector) -> Tally:
        """Return the bin of each score in [0, 1], shape (n,)."""
        # A bin is a range of ticks, and a tick holds its lower edge: so does a bin.
        return np.searchsorted(self._inner, _ticks_of(scores), side="right").astype(np.int64)

    def merge(self, counts: Tally, n_bins: int) -> Tally:
        """Return counts by these bins as counts by bins of equal width, shape (n_bins,).

        Args:
            counts: Records in each bin, shape (1024,).
            n_bins: A divisor of 64.
        """
        starts = np.searchsorted(self.edges[:-1], np.arange(n_bins) / n_bins)
        below = np.concatenate([[0], np.cumsum(counts)])
        return np.diff(below[[*starts, BINS]]).astype(np.int64)

    def following(self, negatives: Tally, positives: Tally) -> "ScoreBins":
        """Return the bins for the next evaluation, from the pooled counts of this one.

        A quantile that moved by v since the evaluation before is expected between v/2 back and
        3 v/2 on: models settle, but not evenly. Where there was none, the first edges are kept.

        Guarantee: pure, and the same bytes on every machine. Bins of equal width stay, and so do
        all where no negative is counted.

        Args:
            negatives: Records of the first class in each bin, shape (1024,).
            positives: Those of the second class.
        """
        if not self.follow or not negatives.any():
            return self
        ends = np.array([0, *self._inner, _TICKS])
        ranks, before = _quantiles(ends, negatives), self._ranks
        if before[0] == _UNKNOWN:
            return _encode(_first_edges(), ranks)
        at = np.minimum(_ranks_of(negatives), _RANKS - 1)
        moved = (ranks - before)[at]
        start = np.clip(ends[:-1] + moved // 2 - np.abs(moved), 0, _TICKS - 1)
        end = np.clip(ends[1:] + moved // 2 + np.abs(moved), start + 1, _TICKS)
        classes = ((negatives, _OF_NEGATIVES), (positives, _OF_POSITIVES))
        return _encode(_edges_along(start, end, [_shares(*one) for one in classes]), ranks)

    @cached_property
    def _inner(self) -> Ticks:
        if not self.follow:
            return _ticks_of(np.arange(1, BINS) / BINS)
        return np.frombuffer(self.encoded, "<u4", BINS - 1).astype(np.int64)

    @property
    def _ranks(self) -> Ticks:
        return np.frombuffer(self.encoded, "<u4", _RANKS, 4 * (BINS - 1)).astype(np.int64)


EQUAL_BINS = ScoreBins()


@lru_cache(maxsize=1)
def first_bins() -> ScoreBins:
    """Return the bins of a first evaluation, before any score is known.

    The edges are spread over the logit of the score: 22 for each doubling down to 2**-17, twice as
    many within four doublings of one half, fewer below 2**-17; scores above one half mirror that.
    """
    return _encode(_first_edges(), np.full(_RANKS, _UNKNOWN))


def _encode(edges: Ticks, ranks: Ticks) -> ScoreBins:
    return ScoreBins(np.concatenate([edges, ranks]).astype("<u4").tobytes())


def _ticks_of(scores: Vector) -> Ticks:
    """Return the tick of each score in [0, 1]."""
    upper = scores > 0.5
    # 1 - p loses nothing for p of at least one half, so the comparison is that of p itself.
    bits: Ticks = np.where(upper, 1.0 - scores, scores).view(np.int64)
    below = np.clip((bits >> _DROPPED) - _LOWEST, 0, _HALF)
    above = np.clip(((bits + (1 << _DROPPED) - 1) >> _DROPPED) - _LOWEST, 0, _HALF)
    ticks: Ticks = np.where(upper, 2 * _HALF - above, below)
    return ticks


def _scores_at(ticks: Ticks) -> Vector:
    """Return the smallest score of each tick."""
    mirrored = np.minimum(ticks, 2 * _HALF - ticks)
    low: Vector = ((mirrored + _LOWEST) << _DROPPED).view(np.float64)
    scores: Vector = np.where(ticks > _HALF, 1.0 - low, low)
    scores[ticks == 0] = 0.0
    return scores


@lru_cache(maxsize=1)
def _fixed_edges() -> Ticks:
    """Return the ticks of the multiples of 1/64, at which thresholds and plots are exact."""
    return _ticks_of(np.arange(1, FIXED) / FIXED)


def _have_fixed(edges: Ticks) -> bool:
    """Return whether edges in order hold every fixed one."""
    at = np.minimum(np.searchsorted(edges, _fixed_edges()), len(edges) - 1)
    return bool((edges[at] == _fixed_edges()).all())


@lru_cache(maxsize=1)
def _first_edges() -> Ticks:
    steps = np.array(_STEPS)
    return _edges_of_equal_mass(steps, np.array(_DENSITIES) << _BITS)


def _ranks_of(counts: Tally) -> Ticks:
    """Return between which quantiles the middle of each bin lies."""
    below, total = np.cumsum(counts) - counts // 2, int(counts.sum())
    return np.array([one * _RANKS // total for one in below.tolist()])


def _quantiles(ends: Ticks, counts: Tally) -> Ticks:
    """Return the ticks of the (k + 1/2)/64 quantiles, evenly spread within a bin."""
    below, total = np.concatenate([[0], np.cumsum(counts)]), int(counts.sum())
    wanted = np.array([total * (2 * rank + 1) // (2 * _RANKS) for rank in range(_RANKS)])
    at = np.searchsorted(below, wanted, side="right") - 1
    parts = (ends[at], ends[at + 1] - ends[at], wanted - below[at], counts[at])
    # Python's numbers: a product of a count and a width may not fit 64 bits.
    each = zip(*(part.tolist() for part in parts), strict=True)
    return np.array([end + inside * width // count for end, width, inside, count in each])


def _shares(counts: Tally, mass: int) -> Ticks:
    """Return how much of a mass belongs to each bin, by its records of a class."""
    records = max(int(counts.sum()), 1)
    # Python's numbers: a product of a count and a mass does not fit 64 bits.
    return np.array([count * mass // records for count in counts.tolist()])


def _edges_along(start: Ticks, end: Ticks, masses: Sequence[Ticks]) -> Ticks:
    """Return edges of equal mass, each bin's mass spread between its two ticks.

    Args:
        start: First tick that the scores of each bin may move to.
        end: Above the last one.
        masses: Of each class, by bin.
    """
    steps = np.unique(np.concatenate([start, end, _STEPS]))
    changes = np.zeros(len(steps), np.int64)
    for mass in masses:
        density = mass // (end - start)
        np.add.at(changes, np.searchsorted(steps, start), density)
        np.add.at(changes, np.searchsorted(steps, end), -density)
    # Two edges in one tick are enough: the rest of a crowd of equal scores is of use elsewhere.
    densities = np.minimum(np.cumsum(changes)[:-1], 2 * _MASS // _MOVING)
    first = np.array(_DENSITIES)[np.searchsorted(_STEPS, steps[:-1], side="right") - 1]
    left = _MASS - int((densities * np.diff(steps)).sum())
    total = sum(
        b * (end - start) for b, (start, end) in zip(_DENSITIES, pairwise(_STEPS), strict=True)
    )
    return _edges_of_equal_mass(steps, densities + first * (left // total))


def _edges_of_equal_mass(steps: Ticks, densities: Ticks) -> Ticks:
    """Return the inner edges: those that divide a mass into equal parts, and the fixed ones.

    Args:
        steps: Ticks between which the density of the mass stays the same.
        densities: Mass in each tick, above 0.
    """
    below = np.concatenate([[0], np.cumsum(densities * np.diff(steps))])
    whole = int(below[-1])  # times a part it does not fit 64 bits
    wanted = np.array([whole * part // _MOVING for part in range(1, _MOVING)])
    at = np.searchsorted(below, wanted, side="right") - 1
    edges = steps[at] + (wanted - below[at]) // densities[at]
    return np.sort(np.concatenate([edges, _fixed_edges()]))
