"""Shamir's secret sharing over the field of 2^256 + 297 elements (Shamir 1979, CACM 22).

Any `threshold` shares join to the secret. Fewer say nothing of it: to each value that the secret
may have there are equally many polynomials through them.
"""

import secrets
from collections.abc import Mapping
from functools import lru_cache

from privacy import canonical

PRIME = 2**256 + 297  # the smallest prime above 2^256


def deal_shares(secret: int, *, num_shares: int, threshold: int) -> tuple[int, ...]:
    """Return the values of a random polynomial at the points 1, 2, ..., `num_shares`.

    Args:
        secret: Its value at 0, below `PRIME`.
        num_shares: How many shares are dealt.
        threshold: How many join, from 2 to `num_shares`: with 1, each share would be the secret.

    Raises:
        MalformedEnvelope: The secret or the threshold is out of range.
    """
    canonical.require_number("a threshold", threshold, low=2, high=num_shares)
    if not 0 <= secret < PRIME:
        raise canonical.MalformedEnvelope("a secret that is dealt must be an element of the field")
    drawn = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    return tuple(_polynomial(point, [secret, *drawn]) for point in range(1, num_shares + 1))


def value_at(shares: Mapping[int, int], point: int = 0) -> int:
    """Return the value at a point of the polynomial of least degree through some shares.

    Args:
        shares: Values by their points, as many as the threshold.
        point: Where the value is wanted; 0 holds the secret.
    """
    weights = _lagrange_weights(tuple(shares), point)
    return (
        sum(weight * share for weight, share in zip(weights, shares.values(), strict=True)) % PRIME
    )


def _polynomial(point: int, coefficients: list[int]) -> int:
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * point + coefficient) % PRIME
    return value


@lru_cache(maxsize=256)  # the shares of all masks of a set stand at the same points
def _lagrange_weights(points: tuple[int, ...], at: int) -> tuple[int, ...]:
    weights = []
    for own in points:
        above = below = 1
        for other in points:
            if other != own:
                above = above * (at - other) % PRIME
                below = below * (own - other) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return tuple(weights)
