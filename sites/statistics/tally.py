"""Tallies: what a site counts, as integers that add up exactly whoever adds them.

A tally is one int64 vector. A real quantity is rounded to the unit `UNIT` record by record and
held in fixed point as two sums, of the high and of the low part of each record's units. Hence
the tally of all records *is* the sum of the tallies of any split of them, entry by entry, in
any order, in the clear and encrypted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally, Vector

LARGEST_ENTRY = 2**41
UNIT = 2.0**-32
MOST_RECORDS = 2**25
_LOW_BITS = 16
_LARGEST_TOTAL = 2.0**25


class TallyOverflow(ConsortiumError, OverflowError):
    """A sum is too large for the tally: too many records, or a quantity out of its bounds."""

    code = "tally-overflow"


class ImpossibleTally(ConsortiumError, ValueError):
    """No records have this tally: a negative count, or counts that contradict each other."""

    code = "impossible-tally"


@dataclass(frozen=True)
class Metric:
    """A figure computed from a tally.

    Guarantee: the same figure computed from the records themselves lies within `error_bound`
    of `value`, apart from the last places of float64; 0 where only whole numbers were counted.
    """

    value: float
    error_bound: float = 0.0


def fixed_point(
    values: NDArray[Any], *, groups: NDArray[np.int64] | None = None, size: int = 1
) -> Tally:
    """Return the sums of `values` by group as tally entries: all high parts, then all low ones.

    Guarantee: the tallies of two sets of records add up to the tally of both, exactly; each
    record moves its sum by its value to within `UNIT / 2`, so a mean is right to `UNIT / 2`.

    Args:
        values: One number a record, shape (n,); for entries in range, none negative.
        groups: To which of the `size` sums each record belongs, shape (n,); all to the first.
        size: Number of sums.

    Raises:
        TallyOverflow: 2**25 records or more, or their sizes add up to 2**25 or more, or a value
            is not finite.
    """
    given = np.asarray(values, np.float64)
    if given.size >= MOST_RECORDS or not _in_range(np.abs(given)):
        raise TallyOverflow(
            "a tally sums finite values of fewer than 2**25 records, to below 2**25"
        )
    units = np.rint(given / UNIT).astype(np.int64)
    index = np.zeros(units.size, np.int64) if groups is None else groups
    parts = (units >> _LOW_BITS, units & (2**_LOW_BITS - 1))
    # float64 holds whole numbers below 2**53 exactly, so these sums lose nothing.
    return np.concatenate([np.bincount(index, part, size) for part in parts]).astype(np.int64)


def _in_range(sizes: Vector) -> bool:
    within = sizes.max(initial=0.0) < _LARGEST_TOTAL  # so that their sum cannot overflow
    return bool(within and sizes.sum() < _LARGEST_TOTAL)


def real(entries: Tally) -> Vector:
    """Return the real sums held in entries that `fixed_point` made, pooled or not."""
    high, low = np.split(entries.astype(np.float64), 2)
    return (high * 2.0**_LOW_BITS + low) * UNIT


def mean(total: float, count: int, *, scale: float = 1.0) -> Metric:
    """Return the mean of `count` quantities whose fixed-point sum is `total`, times `scale`."""
    return Metric(total / count * scale, UNIT / 2 * scale)


@dataclass(frozen=True)
class TallyLayout:
    """Names for the entries of a tally, in order.

    Args:
        sizes: Entries held by each name; a fixed-point sum has two.
    """

    sizes: Mapping[str, int]

    @cached_property
    def size(self) -> int:
        """Entries in the whole tally."""
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
            raise TallyOverflow("an entry of a tally must be below 2**41")
        return tally

    def part(self, name: str, tally: Tally) -> Tally:
        """Return the entries that `name` holds in a tally of this layout."""
        return tally[self._starts[name] : self._starts[name] + self.sizes[name]]

    def count(self, name: str, tally: Tally) -> int:
        """Return the sum of the entries that `name` holds: of a histogram, its records."""
        return int(self.part(name, tally).sum())

    def real(self, name: str, tally: Tally) -> float:
        """Return the fixed-point sum that `name` holds."""
        return float(real(self.part(name, tally))[0])

    def reals(self, name: str, tally: Tally) -> Vector:
        """Return the fixed-point sums that `name` holds, half as many as its entries."""
        return real(self.part(name, tally))

    def check(self, tally: Tally) -> None:
        """Refuse what cannot be a tally of this layout, of one site or pooled.

        Raises:
            ImpossibleTally: The shape differs or an entry is negative.
        """
        if tally.shape != (self.size,):
            raise ImpossibleTally(f"this tally holds {self.size} entries, got {tally.shape}")
        if tally.min(initial=0) < 0:
            raise ImpossibleTally("a count is negative: a site sent a tally that no records have")

    @cached_property
    def _starts(self) -> dict[str, int]:
        ends = np.cumsum(list(self.sizes.values()), dtype=int)
        return {
            name: int(end) - size
            for (name, size), end in zip(self.sizes.items(), ends, strict=True)
        }
