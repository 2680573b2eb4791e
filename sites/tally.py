"""Tallies: what a site counts, as integers that add up exactly whoever adds them.

A tally is one int64 vector. Real-valued sums are held in fixed point with the unit `UNIT`,
split into a high and a low entry, so that every entry of a pooled tally stays below
`LARGEST_ENTRY` and the sum over sites is the same in any order, in the clear and encrypted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally

LARGEST_ENTRY = 2**41
UNIT = 2.0**-40
_LOW = 2**20


class TallyOverflow(ConsortiumError, OverflowError):
    """A sum is too large for the tally: too many records, or a quantity out of its bounds."""


def fixed_point(total: float) -> tuple[int, int]:
    """Return a real sum as its high and low tally entries, rounded to `UNIT`.

    Guarantee: `real(*fixed_point(x))` differs from `x` by at most `UNIT / 2`, and both entries
    of up to 2**21 sites added up stay in range if `abs(x) < 2**21` in total.

    Raises:
        TallyOverflow: `abs(total)` is 2**21 or more, or not finite.
    """
    if not abs(total) < 2.0**21:
        raise TallyOverflow("a sum in a tally must be below 2**21: count fewer records at a time")
    return divmod(round(total / UNIT), _LOW)


def real(high: int, low: int) -> float:
    """Return the real sum held by two (pooled) entries, the inverse of `fixed_point`."""
    return float((int(high) * _LOW + int(low)) * UNIT)


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

    def real(self, name: str, tally: Tally) -> float:
        """Return the fixed-point sum that `name` holds."""
        return real(*self.part(name, tally))

    @cached_property
    def _starts(self) -> dict[str, int]:
        ends = np.cumsum(list(self.sizes.values()), dtype=int)
        return {
            name: int(end) - size
            for (name, size), end in zip(self.sizes.items(), ends, strict=True)
        }
