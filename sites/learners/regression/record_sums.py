"""Sums over records as exact integers, as fine as the number of records lets two entries be.

A module of its own because everything that a site sends of a regression is such a sum.
"""

from dataclasses import dataclass

import numpy as np

from privacy.errors import number_of
from privacy.layout import Matrix, Tally, Vector
from sites.statistics.tally import MOST_RECORDS, TallyOverflow

_ENTRY_BITS = 41
_MOST_BITS = 26
_ROWS_AT_ONCE = 1024  # of which a block with its products stays in the cache


@dataclass(frozen=True)
class RecordSums:
    """Sums of numbers within -1 to 1, rounded record by record, each as a high and a low entry.

    Guarantee: the entries of two sets of records add up to those of both, exactly. A record
    changes its sum by its number to within 2^-(2 bits + 1). No entry of a site reaches 2^41: a
    record adds at most 2^bits to one, and there are fewer than 2^(41 - bits) of them. The bits of
    each half are 26 for up to 32,767 records, and 16 for the most that there may be, 2^25 - 1.

    Args:
        most: Records that no site exceeds, the pooled number of them; 0 if it is not known.
    """

    most: int

    @property
    def bits(self) -> int:
        """Bits of either half of a record's number."""
        most = self.most if 0 < self.most < MOST_RECORDS else MOST_RECORDS - 1
        return min(_ENTRY_BITS - most.bit_length(), _MOST_BITS)

    def require_room(self, records: int) -> None:
        """Check that so many records of one site have room.

        Raises:
            TallyOverflow: There are more than were counted of all sites.
        """
        most = self.most or MOST_RECORDS - 1
        if records > min(most, MOST_RECORDS - 1):
            raise TallyOverflow(
                f"{number_of(records, 'record')} of one site, more than the "
                f"{min(most, MOST_RECORDS - 1)} that were counted of all sites before the first "
                "round: begin a new run, which counts them anew"
            )

    def sums(self, values: Matrix) -> Tally:
        """Return the sum of each row as entries, first all high ones, then all low ones.

        Args:
            values: Shape (k, n), one column a record; what is beyond -1 or 1 counts as that.

        Returns:
            Shape (2 k,).
        """
        high, low = np.zeros(len(values)), np.zeros(len(values))
        for start in range(0, values.shape[1], _ROWS_AT_ONCE):
            self._add(values[:, start : start + _ROWS_AT_ONCE], high, low)
        return np.concatenate([high, low]).astype(np.int64)

    def products(self, left: Matrix, right: Matrix) -> Tally:
        """Return the sums of left[i] right[j] for i <= j, row by row, as entries.

        Args:
            left: Within -1 to 1, shape (k, n).
            right: Within -1 to 1, shape (k, n).

        Returns:
            Shape (k (k + 1),).
        """
        k = len(left)
        high, low = np.zeros(k * (k + 1) // 2), np.zeros(k * (k + 1) // 2)
        for start in range(0, left.shape[1], _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            block, place = np.ascontiguousarray(right[:, rows]), 0
            for i in range(k):
                part = slice(place, place + k - i)
                self._add(left[i, rows] * block[i:], high[part], low[part])
                place += k - i
        return np.concatenate([high, low]).astype(np.int64)

    def real(self, entries: Tally) -> Vector:
        """Return the sums whose entries these are, of one site or pooled, shape (k,) of (2 k,)."""
        high, low = np.split(entries.astype(np.float64), 2)
        return np.asarray(high * 2.0**-self.bits + low * 4.0**-self.bits, np.float64)

    def _add(self, values: Matrix, high: Vector, low: Vector) -> None:
        # float64 holds whole numbers below 2^53 exactly, so that no order of adding loses any.
        scaled = np.clip(values, -1.0, 1.0) * 2.0**self.bits
        whole = np.rint(scaled)
        high += whole.sum(axis=1)
        scaled -= whole
        scaled *= 2.0**self.bits
        low += np.rint(scaled, out=scaled).sum(axis=1)
