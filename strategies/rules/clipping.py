"""Clipping rules: they bound how far one site can move the result."""

from dataclasses import dataclass, replace

import numpy as np

from privacy.declarations import require_declared
from privacy.layout import Vector
from strategies.rules.inputs import (
    WIDTH,
    ClipNorm,
    ClipQuantile,
    ClipRate,
    OptionRefused,
    Rows,
    RuleOptions,
    UpdatesRefused,
    admit,
    blocks,
    honest_majority,
)
from strategies.rules.mean import mean
from strategies.rules.norms import Scaled, clip_scales, row_norms


def clipped_mean(
    updates: Rows, weights: Vector, *, clip_norm: float, num_byzantine: int = 0
) -> Vector:
    """Return the weighted mean of the updates, each scaled down to the norm, shape (dim,).

    Guarantee: replacing one site's update moves the result by at most 2 clip_norm w_i / W in L2,
    where W is the sum of the weights. The result has the same bits on every CPU, and the same as
    `StreamingMean` with this clip norm.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), each above 0.
        clip_norm: Largest L2 norm that counts in full, above 0.
        num_byzantine: Byzantine sites to survive, f; needs n >= 2f + 1.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
    """
    admit(updates, weights, num_byzantine=num_byzantine, needs=honest_majority, weighted=True)
    return mean(Scaled(updates, clip_scales(row_norms(updates), clip_norm)), weights)


def centered_clipping(
    updates: Rows,
    weights: Vector,
    *,
    centre: Vector | None,
    options: RuleOptions,
) -> Vector:
    """Return the centre moved by the mean of the clipped differences from it, shape (dim,).

    x <- x + mean of clip(m_i - x), `iterations` times from x = centre, where
    m_i = (1 - momentum) u_i + momentum centre. In the paper every worker keeps its own momentum.
    Our sites keep nothing between rounds, so there is one common momentum: the centre is the last
    aggregate.

    Guarantee: f liars move the result by at most 2 f clip_norm iterations / n in L2, whatever they
    send. The result has the same bits on every CPU. Karimireddy et al. 2021, arXiv:2012.10333.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), all equal.
        centre: The last aggregate, shape (dim,); None means zero.
        options: Clip norm, momentum, iterations and number of liars f; needs n >= 2f + 1.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
        UpdatesRefused: `centre` has another shape.
    """
    n_sites, dim = admit(
        updates,
        weights,
        num_byzantine=options.num_byzantine,
        needs=honest_majority,
    )
    if centre is not None and centre.shape != (dim,):
        raise UpdatesRefused(f"the centre needs shape {(dim,)}, got {centre.shape}")
    start = np.zeros(dim) if centre is None else centre
    fresh = 1 - options.momentum
    result = start
    for _ in range(options.iterations):
        # m_i - result = fresh * (u_i - origin), so the rows need not be copied to form m_i.
        origin = (result - options.momentum * start) / fresh
        scales = clip_scales(fresh * row_norms(updates, origin), options.clip_norm)
        result = result + _mean_difference(updates, origin, fresh * scales / n_sites)
    return result


def _mean_difference(updates: Rows, origin: Vector, shares: Vector) -> Vector:
    total = np.zeros_like(origin)
    scratch = np.empty(min(WIDTH, origin.size))
    for columns, block in blocks(updates, WIDTH):
        difference = scratch[: block.shape[1]]
        for row, share in zip(block, shares, strict=True):
            np.subtract(row, origin[columns], out=difference)
            difference *= share
            total[columns] += difference
    return total


@dataclass(frozen=True, kw_only=True)
class AdaptiveClip:
    """A clip norm that follows a quantile of the updates' norms, from round to round.

    Guarantee: one site changes the next clip norm by a factor of at most exp(rate / n), whatever
    it sends. The result has the same bits on every CPU. No noise is added: the count of unclipped
    updates is released in the clear. Andrew et al. 2021, arXiv:1905.03871.

    Raises:
        OptionRefused: A parameter is out of its range.
    """

    clip_norm: ClipNorm
    quantile: ClipQuantile = RuleOptions.clip_quantile
    rate: ClipRate = RuleOptions.clip_rate

    def __post_init__(self) -> None:
        require_declared(self, OptionRefused)

    def next_clip(self, norms: Vector) -> "AdaptiveClip":
        """Return the clip for the next round, from this round's norms (`norms.row_norms`)."""
        unclipped = int((norms <= self.clip_norm).sum()) / len(norms)
        factor = _exponential(self.rate * (self.quantile - unclipped))
        return replace(self, clip_norm=float(np.float32(self.clip_norm * factor)))


def _exponential(exponent: float) -> float:
    """Return e^x for |x| <= 1 by its series, because `math.exp` differs between machines."""
    total = term = 1.0
    for order in range(1, 25):
        term *= exponent / order
        total += term
    return total
