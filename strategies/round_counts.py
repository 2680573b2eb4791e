"""What the sites of an encrypted run count in a round, and which entry of the sum is what."""

from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally


@dataclass(frozen=True, kw_only=True)
class RoundCounts:
    """The entries of the counts of a round: an evaluation, then what is counted beside it.

    All of them are in the same ciphertexts. So what stands behind the evaluation is opened over all
    sites of the run only, too, and released on the same terms.

    Args:
        evaluation: Entries of the evaluation counts.
        saturation: 1 for the number of saturated values, or 0 where nobody counts them.
        pairs: Entries of the pairs of records within each site, or 0 where nobody counts them.
    """

    evaluation: int
    saturation: int = 0
    pairs: int = 0

    @property
    def size(self) -> int:
        """Entries of all together."""
        return self.evaluation + self.saturation + self.pairs

    def join(self, evaluation: Tally, *, saturated: int = 0, pairs: Tally | None = None) -> Tally:
        """Return the counts of a site as they are sealed, shape (size,).

        Args:
            evaluation: The evaluation counts.
            saturated: Saturated values; none where nothing was trained.
            pairs: Entries of the pairs within the site; zeros if None.
        """
        within = np.zeros(self.pairs, np.int64) if pairs is None else pairs
        return np.concatenate([evaluation, np.full(self.saturation, saturated, np.int64), within])

    def evaluation_of(self, counts: Tally) -> Tally:
        """Return the evaluation counts."""
        return counts[: self.evaluation]

    def saturated_of(self, counts: Tally) -> int | None:
        """Return the number of saturated values; None where nobody counts them."""
        return int(counts[self.evaluation]) if self.saturation else None

    def pairs_of(self, counts: Tally) -> Tally | None:
        """Return the entries of the pairs within sites; None where nobody counts them."""
        return counts[self.evaluation + self.saturation :] if self.pairs else None

    def without_evaluation(self, counts: Tally) -> Tally | None:
        """Return the counts with zeros for all but saturated values; None if none are counted."""
        saturated = self.saturated_of(counts)
        if saturated is None:
            return None
        # How many values were saturated says nothing of persons, however few were evaluated.
        return self.join(np.zeros_like(self.evaluation_of(counts)), saturated=saturated)
