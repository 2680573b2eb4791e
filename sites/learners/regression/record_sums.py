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
# Multiplications of a product of matrices that BLAS leaves to one thread: others wait busily.
_SMALL_PRODUCT = 1 << 18
_COLUMNS_AT_ONCE = 256


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
            block = np.clip(values[:, start : start + _ROWS_AT_ONCE], -1.0, 1.0)
            whole, rest = self._halves(block)
            high += whole.sum(axis=1)
            low += rest.sum(axis=1)
        return np.concatenate([high, low]).astype(np.int64)

    def weighted_products(self, rows: Matrix, weights: Vector) -> Tally:
        """Return the sums of weights * rows[i] * rows[j] for i <= j, row by row, as entries.

        Guarantee: each record's product is rounded by itself, as in `sums`. A row that holds
        nothing but -1, 0 and 1 picks numbers that are rounded already, so those pairs are a
        product of matrices of whole numbers: exact in whatever order a machine adds.

        Args:
            rows: Shape (k, n); what is beyond -1 or 1 counts as that.
            weights: Shape (n,), likewise.

        Returns:
            Shape (k (k + 1),).
        """
        k = len(rows)
        picks = (rows == np.sign(rows)).all(axis=1)
        picking, others = np.flatnonzero(picks), np.flatnonzero(~picks)
        high, low = np.zeros((k, k)), np.zeros((k, k))
        for start in range(0, rows.shape[1], _ROWS_AT_ONCE):
            block = np.clip(rows[:, start : start + _ROWS_AT_ONCE], -1.0, 1.0)
            weighted = block * np.clip(weights[start : start + _ROWS_AT_ONCE], -1.0, 1.0)
            for sums, half in zip((high, low), self._halves(weighted), strict=True):
                sums[:, picking] += _picked_sums(half, block[picking])
            numbers = block[others]
            for place, i in enumerate(others):
                whole, rest = self._halves(weighted[i] * numbers[place:])
                high[i, others[place:]] += whole.sum(axis=1)
                low[i, others[place:]] += rest.sum(axis=1)
        # A pair of which only the first row picks stands below the diagonal.
        lower = picks[:, None] & ~picks
        triangles = [np.where(lower, half.T, half)[np.triu_indices(k)] for half in (high, low)]
        return np.concatenate(triangles).astype(np.int64)

    def real(self, entries: Tally) -> Vector:
        """Return the sums whose entries these are, of one site or pooled, shape (k,) of (2 k,)."""
        high, low = np.split(entries.astype(np.float64), 2)
        return np.asarray(high * 2.0**-self.bits + low * 4.0**-self.bits, np.float64)

    def _halves(self, values: Matrix) -> tuple[Matrix, Matrix]:
        """Return each number's high and low whole number; float64 holds all their sums exactly."""
        scale = 2.0**self.bits
        rest = values * scale
        whole = np.rint(rest)
        rest -= whole
        rest *= scale
        return whole, np.rint(rest, out=rest)


def _picked_sums(numbers: Matrix, picks: Matrix) -> Matrix:
    """Return numbers @ picks.T, of whole numbers whose sums float64 holds exactly, shape (k, q).

    Args:
        numbers: Shape (k, n).
        picks: Shape (q, n).
    """
    summed, rows = np.zeros((len(numbers), len(picks))), _SMALL_PRODUCT // _COLUMNS_AT_ONCE
    at_once = max(rows // max(len(picks), 1), 1)
    for start in range(0, numbers.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        for first in range(0, len(numbers), at_once):
            part = slice(first, first + at_once)
            summed[part] += numbers[part, columns] @ picks[:, columns].T
    return summed
