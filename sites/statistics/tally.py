"""Tallies: the counts and sums of a site, as integers, so that they add up exactly.

A tally is one int64 vector. A real quantity is rounded to multiples of `UNIT`, record by record,
and kept in fixed point as two sums: of the high and of the low part of each record's multiple.
Hence the tally of all records *is* the sum of the tallies of any split of them, entry by entry,
in any order, in the clear and encrypted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import LARGEST_ENTRY
from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector

UNIT = 2.0**-32
MOST_RECORDS = 2**25
_LOW_BITS = 16
_LARGEST_TOTAL = 2.0**25


class TallyOverflow(ConsortiumError, OverflowError, code="tally-overflow"):
    """A sum is too large for a tally: there are too many records, or a value is out of bounds."""


class ImpossibleTally(ConsortiumError, ValueError, code="impossible-tally"):
    """No records have this tally: a negative count, or counts that contradict each other."""


@dataclass(frozen=True)
class Metric:
    """A metric computed from a tally, with its error bound.

    Guarantee: the same metric computed from the records themselves lies within `error_bound` of
    `value`, apart from float64 rounding. The bound is 0 where only whole numbers were counted.
    """

    value: float
    error_bound: float = 0.0


def fixed_point(
    values: NDArray[Any], *, groups: NDArray[np.int64] | None = None, size: int = 1
) -> Tally:
    """Return the sums of `values` by group as tally entries, shape (2 * size,).

    The entries are the high parts of all sums, then the low parts of all sums.

    Guarantee: the tallies of two sets of records add up to the tally of both, exactly. Each
    record changes its sum by its value to within `UNIT / 2`, so that a mean is right to
    `UNIT / 2`.

    Args:
        values: One number per record, shape (n,); none negative if the entries must pass `check`.
        groups: The sum to which each record belongs, from 0 to size - 1, shape (n,); None for
            all to the first.
        size: Number of sums.

    Raises:
        TallyOverflow: There are 2**25 records or more, their absolute values add up to 2**25 or
            more, or a value is not finite.
    """
    given = np.asarray(values, np.float64)
    if given.size >= MOST_RECORDS or not _in_range(np.abs(given)):
        raise TallyOverflow(
            "a tally needs finite values of fewer than 2**25 records that add up to less than 2**25"
        )
    # Rounded before the sum, record by record: a sum of rounded values does not depend on how
    # records are split over sites. Two parts, as the high and low sums each fit an entry, which
    # must stay below 2**41, where one sum of all bits would not.
    units = np.rint(given / UNIT).astype(np.int64)
    index = np.zeros(units.size, np.int64) if groups is None else groups
    parts = (units >> _LOW_BITS, units & (2**_LOW_BITS - 1))
    # float64 holds whole numbers below 2**53 exactly, so these sums lose nothing.
    return np.concatenate([np.bincount(index, part, size) for part in parts]).astype(np.int64)


def _in_range(sizes: Vector) -> bool:
    within = sizes.max(initial=0.0) < _LARGEST_TOTAL  # false for NaN too; then no sum overflows
    return bool(within and sizes.sum() < _LARGEST_TOTAL)


def real_sums(entries: Tally) -> Vector:
    """Return the real sums of entries that `fixed_point` made, of one site or pooled."""
    high, low = np.split(entries.astype(np.float64), 2)
    return (high * 2.0**_LOW_BITS + low) * UNIT


def mean(total: float, count: int, *, scale: float = 1.0) -> Metric:
    """Return the mean of `count` values whose fixed-point sum is `total`, times `scale`."""
    return Metric(total / count * scale, UNIT / 2 * scale)


@dataclass(frozen=True)
class TallyLayout:
    """Names for the entries of a tally, in order.

    Args:
        sizes: Number of entries under each name; a fixed-point sum has two.
    """

    sizes: Mapping[str, int]

    @cached_property
    def size(self) -> int:
        """Number of entries in the whole tally."""
        return sum(self.sizes.values())

    def join(self, parts: Mapping[str, NDArray[np.int64]]) -> Tally:
        """Return the named parts as one tally, shape (size,), int64.

        Raises:
            KeyError: A name is missing.
            ValueError: A part does not have its size.
            TallyOverflow: An entry is out of range.
        """
        tally = np.concatenate(
            [np.asarray(parts[name], np.int64).reshape(size) for name, size in self.sizes.items()]
        )
        if np.abs(tally).max(initial=0) >= LARGEST_ENTRY:
            raise TallyOverflow("every entry of a tally must be below 2**41")
        return tally

    def part(self, name: str, tally: Tally) -> Tally:
        """Return the entries under `name` in a tally of this layout."""
        return tally[self._starts[name] : self._starts[name] + self.sizes[name]]

    def count(self, name: str, tally: Tally) -> int:
        """Return the sum of the entries under `name`; for a histogram, its number of records."""
        return int(self.part(name, tally).sum())

    def real_sum(self, name: str, tally: Tally) -> float:
        """Return the fixed-point sum under `name`."""
        return float(real_sums(self.part(name, tally))[0])

    def real_sums(self, name: str, tally: Tally) -> Vector:
        """Return the fixed-point sums under `name`, half as many as its entries."""
        return real_sums(self.part(name, tally))

    def check(self, tally: Tally) -> None:
        """Check that a tally, of one site or pooled, can have this layout.

        Raises:
            ImpossibleTally: The shape differs or an entry is negative.
        """
        if tally.shape != (self.size,):
            raise ImpossibleTally(f"this tally needs the shape ({self.size},), got {tally.shape}")
        if tally.min(initial=0) < 0:
            raise ImpossibleTally("a count is negative: a site sent a tally that no records have")

    def fitted(self, tally: Tally) -> Tally:
        """Return a tally of a shorter or longer layout in this one: cut, or with zeros behind.

        The names that both layouts have come first in both, in the same order.
        """
        zeros = np.zeros(max(self.size - len(tally), 0), np.int64)
        return np.concatenate([tally[: self.size], zeros])

    @cached_property
    def _starts(self) -> dict[str, int]:
        ends = np.cumsum(list(self.sizes.values()), dtype=int)
        return {
            name: int(end) - size
            for (name, size), end in zip(self.sizes.items(), ends, strict=True)
        }
