"""Pre-aggregation: steps that change the updates before a rule sees them. They fit any rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from strategies.rules.inputs import (
    Rows,
    Rule,
    admit,
    check_all_values,
    honest_majority,
    require_at_least,
)
from strategies.rules.norms import Scaled, clip_scales, row_norms
from strategies.rules.pairwise_distances import measure_distances

PreStep: TypeAlias = Callable[[Rows, Vector], tuple[Rows, Vector]]


@dataclass(frozen=True, eq=False)
class Mixed:
    """Rows that are weighted sums of other rows, computed when they are read.

    Args:
        source: Shape (n_sites, dim).
        shares: Shape (n_rows, n_sites).
    """

    source: Rows
    shares: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and dim."""
        return self.shares.shape[0], self.source.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Float64, whatever the type of the source."""
        return np.dtype(np.float64)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = key
        mixed: Matrix = self.shares[rows] @ np.asarray(self.source[:, columns])
        return mixed


def compose(rule: Rule, *steps: PreStep) -> Rule:
    """Return a rule that applies the steps, first to last, and then the given rule.

    Guarantee: the result of a step is computed block by block as the rule reads it, so the memory
    used is that of the rule.
    """

    def composed_rule(updates: Rows, weights: Vector) -> Vector:
        for step in steps:
            updates, weights = step(updates, weights)
        return rule(updates, weights)

    return composed_rule


def norm_clipping(clip_norm: float) -> PreStep:
    """Return the step that scales each update down to an L2 norm of at most `clip_norm`.

    Guarantee: the result has the same bits on every CPU. An update within the norm is unchanged.
    """

    def step(updates: Rows, weights: Vector) -> tuple[Rows, Vector]:
        admit(updates, weights, weighted=True)
        return Scaled(updates, clip_scales(row_norms(updates), clip_norm)), weights

    return step


def nearest_neighbour_mixing(num_byzantine: int) -> PreStep:
    """Return the step that replaces each update by the mean of its n - f nearest, itself included.

    Guarantee: if n >= 2f + 1, median, trimmed mean, Krum and geometric median reach a worst-case
    error of optimal order when sites differ. Allouah et al. 2023, arXiv:2302.01772.
    """

    def step(updates: Rows, weights: Vector) -> tuple[Rows, Vector]:
        n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=honest_majority)
        # Stable, so that ties between equal distances are broken alike on every machine.
        nearest = np.argsort(measure_distances(updates).squared, axis=1, kind="stable")
        count = n_sites - num_byzantine
        shares = np.zeros((n_sites, n_sites))
        np.put_along_axis(shares, nearest[:, :count], 1 / count, axis=1)
        return Mixed(updates, shares), weights

    return step


def bucketing(bucket_size: int, rng: np.random.Generator) -> PreStep:
    """Return the step that replaces the updates by the means of random buckets of them.

    Guarantee: f liars spoil at most f of the ceil(n / bucket_size) means. The other means differ
    less from each other than the updates did. The last bucket may be smaller; its mean counts as
    much as the others. The buckets are drawn anew at each use. Karimireddy et al. 2022,
    arXiv:2006.09365.

    Args:
        bucket_size: Updates in a bucket, at least 1.
        rng: Generator that draws the buckets.

    Raises:
        OptionRefused: `bucket_size` is below 1.
    """
    require_at_least(1, bucket_size=bucket_size)

    def step(updates: Rows, weights: Vector) -> tuple[Rows, Vector]:
        n_sites, _ = admit(updates, weights)
        check_all_values(updates)
        order = rng.permutation(n_sites)
        buckets = [order[start : start + bucket_size] for start in range(0, n_sites, bucket_size)]
        shares = np.zeros((len(buckets), n_sites))
        for row, bucket in enumerate(buckets):
            shares[row, bucket] = 1 / len(bucket)
        return Mixed(updates, shares), np.ones(len(buckets))

    return step
