"""Shamir's secret sharing over the field of 2^256 + 297 elements (Shamir 1979, CACM 22).

Any `threshold` shares join to the secret; fewer say nothing of it.
"""

from collections.abc import Mapping, Sequence

PRIME = 2**256 + 297  # the smallest prime above 2^256


def deal_shares(secret: int, *, num_shares: int, threshold: int) -> tuple[int, ...]:
    """Return the values of a random polynomial at the points 1, 2, ..., `num_shares`.

    Args:
        secret: Its value at 0, below `PRIME`.
        num_shares: How many shares are dealt.
        threshold: How many join, from 2 to `num_shares`.
    """
    raise NotImplementedError


def value_at(shares: Mapping[int, int], point: int = 0) -> int:
    """Return the value at a point of the polynomial of least degree through some shares.

    Args:
        shares: Values by their points, as many as the threshold.
        point: Where the value is wanted; 0 holds the secret.
    """
    raise NotImplementedError
