"""What a site finds when it compares its own records with the counts of all others.

A finding is for the operator of that site alone. Nothing of it leaves the site.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from privacy.layout import Vector

Kind: TypeAlias = Literal["units", "codes", "dates", "labels", "missing", "lone-value"]

FEWEST = 8  # values without which a distribution is compared with no other


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One column that does not look like the others'.

    Args:
        kind: What seems to be wrong.
        column: Its name in the schema.
        what: What seems to have happened, in a form that stays the same as long as it does.
        sentence: The same for people, with its figures.
        alarming: Whether it is so unlikely by chance, and by another clientele, that the site is
            held back. What is not alarming is only told.
    """

    kind: Kind
    column: str
    what: str
    sentence: str
    alarming: bool

    @property
    def fingerprint(self) -> str:
        """By which an operator's "it is right" is remembered: of kind, column and `what`."""
        told = "\n".join((self.kind, self.column, self.what))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def divergence(one: Vector, other: Vector) -> Vector:
    """Return the Jensen-Shannon divergence in bits between histograms, along the last axis.

    It is 0 for equal distributions and 1 for those without overlap (Lin 1991), and 1 where a
    histogram is empty.
    """
    sums = one.sum(axis=-1, keepdims=True), other.sum(axis=-1, keepdims=True)
    shares = one / np.maximum(sums[0], 1e-300), other / np.maximum(sums[1], 1e-300)
    middle = (shares[0] + shares[1]) / 2
    bits = sum((_entropy_terms(share, middle).sum(axis=-1) for share in shares), np.float64(0.0))
    empty = (sums[0] <= 0)[..., 0] | (sums[1] <= 0)[..., 0]
    return np.asarray(np.where(empty, 1.0, np.clip(bits / 2, 0.0, 1.0)), np.float64)


def chance_of(values: int) -> float:
    """Return by how much the divergence of so few values varies by chance, in bits.

    About 30 bins are compared. The expected divergence of a sample is (bins - 1) / (8 n ln 2),
    and half of the bins are empty as a rule; the allowance is for the whole of them.
    """
    return 15 / (8 * values * 0.69)


def _entropy_terms(shares: Vector, middle: Vector) -> Vector:
    held = shares > 0
    ratio = np.where(held, shares, 1.0) / np.where(held, middle, 1.0)
    return np.asarray(np.where(held, shares * np.log2(ratio), 0.0), np.float64)
