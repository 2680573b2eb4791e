"""Median and trimmed mean of each coordinate."""

import numpy as np

from privacy.layout import Vector
from strategies.rules.inputs import Rows, admit, checked_blocks, honest_majority, width_for
from strategies.rules.sorting_networks import sort_columns, sorting_network


def coordinate_median(updates: Rows, weights: Vector, *, num_byzantine: int = 0) -> Vector:
    """Return the median of each coordinate, shape (dim,).

    Guarantee: if n >= 2f + 1, each coordinate lies within the range of the honest sites' values,
    whatever `num_byzantine` liars send. The order of the sites does not change a single bit. Yin
    et al. 2018, arXiv:1803.01498.

    Args:
        updates: Shape (n_sites, dim).
        weights: Shape (n_sites,), all equal.
        num_byzantine: Byzantine sites to survive, f.

    Raises:
        ConsortiumError: As `inputs.admit` and `inputs.checked_blocks` say.
    """
    n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=honest_majority)
    return _mean_of_ranks(updates, (n_sites - 1) // 2, n_sites // 2 + 1)


def trimmed_mean(updates: Rows, weights: Vector, *, num_byzantine: int) -> Vector:
    """Return the mean of each coordinate without its f smallest and f largest values.

    Guarantee, arguments and errors are those of `coordinate_median`.
    """
    n_sites, _ = admit(updates, weights, num_byzantine=num_byzantine, needs=honest_majority)
    return _mean_of_ranks(updates, num_byzantine, n_sites - num_byzantine)


def _mean_of_ranks(updates: Rows, first: int, stop: int) -> Vector:
    n_sites, dim = updates.shape
    width = min(width_for(n_sites), dim)
    comparators = sorting_network(n_sites, first, stop)
    buffer = np.empty((n_sites + 1, width), np.promote_types(updates.dtype, np.float32))
    means = np.zeros(dim)
    for columns, block in checked_blocks(updates, width):
        kept = sort_columns(block, comparators, buffer)[first:stop]
        # Added in rank order, so neither the order of the sites nor the CPU changes a bit.
        mean = means[columns]
        for row in kept:
            mean += row
        mean /= len(kept)
        np.clip(mean, kept[0], kept[-1], out=mean)  # rounding must not leave the honest range
        mean += 0.0  # CPUs differ in whether -0.0 or 0.0 is the smaller: leave only 0.0
    return means
