"""The nearest numbers that only rise: by pooling adjacent violators (Ayer et al. 1955).

A module of its own because score cards ask it of their curves, and survival curves with noise too.
"""

import numpy as np

from privacy.layout import Vector


def rising(values: Vector, weights: Vector) -> Vector:
    """Return the numbers nearest to some that never fall, by weighted squares, shape (n,)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (left, left_weight, n_left), (right, right_weight, n_right) = pools[-2:]
            total = left_weight + right_weight
            middle = (left * left_weight + right * right_weight) / total
            pools[-2:] = [(middle, total, n_left + n_right)]
    return np.concatenate([np.full(n, value) for value, _, n in pools])
