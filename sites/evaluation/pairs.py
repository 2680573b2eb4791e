"""Pairs of a negative and a positive record of one site, by the order of their scores.

The pooled AUC compares records of all sites with each other. Pairs that each site counts among its
own records add up to the AUC within sites, and no site's part need be seen.
"""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally
from sites.statistics.tally import ImpossibleTally, Metric

# A site has fewer than 2**25 records, so at most 2**48 pairs: too many for one entry of a tally,
# which is below 2**41. Two entries hold a count.
_LIMB_BITS = 24
PAIR_ENTRIES = 6


@dataclass(frozen=True)
class PairCounts:
    """Pairs of a negative and a positive record, of one site or added up over sites.

    Guarantee: whole numbers without rounding, and the counts of sites add up.

    Args:
        concordant: Pairs in which the positive record is in a higher score bin.
        undecided: Pairs within one bin.
        total: All pairs.
    """

    concordant: int = 0
    undecided: int = 0
    total: int = 0

    @classmethod
    def of(cls, negatives: Tally, positives: Tally) -> "PairCounts":
        """Count the pairs among the records of two histograms.

        Args:
            negatives: Records in each score bin, shape (n_bins,).
            positives: The same of the other class.
        """
        # Python's integers: products of pooled counts do not fit 64 bits.
        lower, upper = negatives.astype(object), positives.astype(object)
        above = upper.sum() - np.cumsum(upper)
        return cls(
            concordant=int(lower @ above),
            undecided=int(lower @ upper),
            total=int(lower.sum()) * int(upper.sum()),
        )

    @classmethod
    def from_entries(cls, entries: Tally) -> "PairCounts":
        """Return the counts in tally entries of one site or pooled, shape (PAIR_ENTRIES,)."""
        limbs = entries.reshape(-1, 2).tolist()
        return cls(*((high << _LIMB_BITS) + low for high, low in limbs))

    @property
    def entries(self) -> Tally:
        """The counts of one site as tally entries, which add up: two limbs for each count."""
        counts = (self.concordant, self.undecided, self.total)
        limbs = [divmod(count, 1 << _LIMB_BITS) for count in counts]
        return np.array(limbs, np.int64).ravel()

    def __add__(self, other: "PairCounts") -> "PairCounts":
        """Return the counts of two sites together."""
        return PairCounts(
            self.concordant + other.concordant,
            self.undecided + other.undecided,
            self.total + other.total,
        )

    @property
    def discordant(self) -> int:
        """Pairs in which the positive record is in a lower score bin."""
        return self.total - self.concordant - self.undecided

    @property
    def auc(self) -> Metric:
        """The share of pairs in which the positive record ranks higher; `total` must not be 0.

        It is the Mann-Whitney statistic U over the number of pairs (Mann and Whitney 1947). Over
        several sites it is the concordance within clusters (van Oirbeek and Lesaffre 2010,
        Statistics in Medicine 29:3160-3171), where a site counts by its pairs. Undecided pairs
        count half, and the error bound is half their share.
        """
        doubled = 2 * self.total
        return Metric((2 * self.concordant + self.undecided) / doubled, self.undecided / doubled)

    def check_among(self, pooled: "PairCounts") -> None:
        """Check that these can be pairs within sites whose records together have `pooled`.

        Raises:
            ImpossibleTally: There are more of a kind within the sites than over all of them.
        """
        for name in ("concordant", "undecided", "discordant"):
            found, most = getattr(self, name), getattr(pooled, name)
            if not 0 <= found <= most:
                raise ImpossibleTally(
                    f"at most {most} {name} pairs can be within sites; the sum says another number"
                )
