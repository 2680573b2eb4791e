"""Exact sums of real numbers to 58 bits: two entries of a tally for each.

A sum of `sites.statistics.tally.fixed_point` is exact to 2^-32, which is too coarse for second
derivatives of covariates that hardly vary. Here the unit follows the number of records.
"""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Matrix, Tally, Vector
from sites.statistics.tally import MOST_RECORDS, TallyOverflow

_BITS = 58
_LOW_BITS = 29
LARGEST_PART = 2**_LOW_BITS


@dataclass(frozen=True)
class WideSums:
    """Real sums of at most `records` numbers, each from -1 to 1.

    Guarantee: whatever the numbers are, an entry is at most 2^29 in size, so that no number of
    sites overflows a sum. The sums of sites add up exactly, and `read` gives the same bits for any
    division of records among them.

    Args:
        records: Pooled number of records; 0 if nobody released it.
    """

    records: int

    @property
    def exponent(self) -> int:
        """Such that all records together are at most 2^exponent."""
        return max((self.records or MOST_RECORDS) - 1, 0).bit_length()

    def of_records(self, values: Vector | Matrix) -> Tally:
        """Return the sums over records, rounded record by record, as entries.

        Args:
            values: Shape (n,) or (n, m).

        Raises:
            TallyOverflow: There are more records than pooled, or a number is beyond 1.
        """
        self._require(len(values), values)
        units = np.rint(values * 2.0 ** (_BITS - self.exponent)).astype(np.int64)
        return _entries(np.atleast_1d(units.sum(axis=0)))

    def of_site(self, sums: Vector, records: int) -> Tally:
        """Return sums that a site took over its records, rounded once, as entries.

        Args:
            sums: Each at most `records` in size, shape (m,).
            records: Number of its records.

        Raises:
            TallyOverflow: There are more records than pooled, or a sum is beyond them.
        """
        # Rounding may carry a sum of ones beyond its bound by its last bit.
        limited = np.clip(sums, -float(records), float(records))
        self._require(records, np.asarray(sums) / max(records, 1) * (1 - 1e-9))
        return _entries(np.rint(limited * 2.0 ** (_BITS - self.exponent)).astype(np.int64))

    def read(self, entries: Tally) -> Vector:
        """Return the sums that entries hold, of one site or pooled, shape (m,)."""
        high, low = np.split(np.asarray(entries).astype(np.float64), 2)
        # Rounded once: the parts are whole numbers below 2^53, and products with 2^29 are exact.
        return (high * 2.0**_LOW_BITS + low) * 2.0 ** (self.exponent - _BITS)

    def _require(self, n: int, values: Vector | Matrix) -> None:
        if n > 2**self.exponent or not (np.abs(values) <= 1.0).all():
            raise TallyOverflow(
                f"sums of {2**self.exponent} records were agreed, from the pooled statistics; this "
                f"site has {n}, or a number beyond its bound"
            )


def _entries(units: Tally) -> Tally:
    return np.concatenate([units >> _LOW_BITS, units & (LARGEST_PART - 1)]).astype(np.int64)
