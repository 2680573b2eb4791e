"""The count of saturated values: how many values of a round's updates were beyond the scale.

It stands behind the evaluation counts of the same round, in the same ciphertexts. So it is opened
over all sites of the run only, and released on the same terms.
"""

from dataclasses import dataclass

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.protocol.learning import learner_of
from consortium.protocol.parameters import count_placement
from privacy.encryption.parameters import Placement
from privacy.layout import Tally
from sites.statistics.tally import ImpossibleTally


@dataclass(frozen=True, kw_only=True)
class RoundCounts:
    """What the sites of an encrypted run count in a round: an evaluation, then saturated values.

    Args:
        evaluation: Entries of the evaluation counts.
        saturation: Entries behind them: 1, or 0 where nobody counts saturated values.
    """

    evaluation: int
    saturation: int

    @property
    def size(self) -> int:
        """Entries of both together."""
        return self.evaluation + self.saturation

    def join(self, evaluation: Tally, saturated: int = 0) -> Tally:
        """Return the counts of a site as they are sealed, shape (size,).

        Args:
            evaluation: The evaluation counts.
            saturated: Saturated values; none where nothing was trained.
        """
        return np.concatenate([evaluation, np.full(self.saturation, saturated, np.int64)])

    def evaluation_of(self, counts: Tally) -> Tally:
        """Return the evaluation counts in a tally of both."""
        return counts[: self.evaluation]

    def without_evaluation(self, counts: Tally) -> Tally | None:
        """Return the counts with zeros for the evaluation; None if nothing else is counted."""
        if not self.saturation:
            return None
        # How many values were saturated says nothing of persons, however few were evaluated.
        return self.join(np.zeros_like(self.evaluation_of(counts)), int(counts[-1]))

    def check_saturation(self, counts: Tally, *, values: int) -> None:
        """Check that so many values can be saturated.

        Args:
            counts: Pooled counts, shape (size,).
            values: Values in the updates of all sites together.

        Raises:
            ImpossibleTally: They cannot.
        """
        for count in counts[self.evaluation :]:
            if not 0 <= count <= values:
                raise ImpossibleTally(
                    f"0 to {values} values of a round can be saturated; the sum says another number"
                )


def round_counts(config: RunConfig, charter: Charter, evaluation: int) -> RoundCounts:
    """Return what the sites of an encrypted run count in a round.

    Args:
        config: The run config; with `scale-rule=doubling` nobody counts saturated values, as in
            version 0.1.0.
        charter: The charter; a learner that sends exact integers has no scales.
        evaluation: Entries of the evaluation counts.
    """
    counts = config.scale_rule == "following" and not learner_of(charter).contribution.exact
    return RoundCounts(evaluation=evaluation, saturation=int(counts))


def round_counts_placement(config: RunConfig, charter: Charter, evaluation: int) -> Placement:
    """Return where the counts of a round stand in their ciphertexts."""
    return count_placement(config, charter, round_counts(config, charter, evaluation).size)
