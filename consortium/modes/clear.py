"""A run in the clear: the coordinator reads what each site sends."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.modes.contract import NO_WAITING, LeagueTerms, Mode, OutsideCharter
from privacy.layout import Tally
from privacy.policy.document import Releases
from strategies.rules.registry import RuleSpec

_ROUNDING = 1e-9  # as `strategies.coordinator.messaging.cohort` rounds
_NUMBER = 4  # bytes


class InTheClear(Mode):
    """Updates and counts of one site reach the coordinator as they are.

    What shows a site alone is rounded, or withheld, as its policy says.
    """

    name: ClassVar[str] = "clear"
    coordinator_reads: ClassVar[bool] = True
    needs_identities: ClassVar[bool] = False
    keeps_signed_sums: ClassVar[bool] = False
    masks_uploads: ClassVar[bool] = False
    voter: ClassVar[str] = "site"
    who_reads: ClassVar[str] = "The coordinator could read each site's update, and the model."
    hidden_figure: ClassVar[str] = "withheld"

    def why_hidden(self, noun: str) -> str:
        """Return why a report lacks figures of one site."""
        return "Withheld: its own policy does not release its figures, or it has too few records."

    def league_terms(self, charter: Charter, *, noun: str, nouns: str, noise: bool) -> LeagueTerms:
        """Return nothing: the coordinator reads everything without a league."""
        return LeagueTerms()

    def contradiction(self, config: RunConfig) -> str:
        """Return what contradicts a run in the clear: an evaluation that was withheld before."""
        if config.evaluate_model and not config.period:
            return "nothing is withheld in the clear: evaluate-model is for encrypted runs"
        if config.continues:
            return NO_WAITING
        return ""

    def require_agreed(self, config: RunConfig, charter: Charter) -> None:
        """Check that the members allow runs in the clear.

        Raises:
            OutsideCharter: They encrypt every run.
        """
        if charter.floors.encrypted:
            raise OutsideCharter(
                "the members agreed that every run is encrypted: set aggregation to encrypted"
            )

    def require_rule(self, config: RunConfig, charter: Charter, spec: RuleSpec) -> None:
        """Accept every rule: only the coordinator computes it."""

    def notes(self, config: RunConfig, charter: Charter) -> Sequence[str]:
        """Return nothing: a run in the clear promises nothing that needs a note."""
        return ()

    def voters(self, config: RunConfig, charter: Charter) -> int:
        """Return the sites of a full round: in a buffered run those of a full buffer."""
        if config.schedule.name == "buffered":
            return min(len(charter.names), config.schedule.buffer(config.quorum))
        share = math.ceil(config.fraction * len(charter.names) - _ROUNDING)
        return min(len(charter.names), max(config.quorum, share))

    def voters_are_equal(self, config: RunConfig) -> bool:
        """Return no: a vote weighs what its site weighs."""
        return False

    def smallest_consortium(self, config: RunConfig, charter: Charter, *, voters: int) -> int:
        """Return the fewest members of which a round asks so many."""
        # The smallest number of which the share, rounded up, is `voters`.
        return voters if config.fraction == 1 else math.floor((voters - 1) / config.fraction) + 1

    def crowd(self, config: RunConfig, charter: Charter) -> int:
        """Return the quorum."""
        return config.quorum

    def buckets(self, config: RunConfig) -> int:
        """Return 0: each update is read by itself."""
        return 0

    def bytes_down(self, config: RunConfig, charter: Charter, *, dim: int, vectors: int) -> int:
        """Return the bytes of the model: the coordinator keeps the rest of the state."""
        return _NUMBER * dim

    def told_examples(self, examples: int, releases: Releases) -> int:
        """Return the number, rounded as the site's policy says."""
        return releases.rounded_examples(examples)

    def introduced_examples(self, examples: int, releases: Releases) -> int:
        """Return the number, rounded as the site's policy says."""
        return self.told_examples(examples, releases)

    def pooled_tally(self, tally: Tally, *, records: int, releases: Releases) -> Tally:
        """Return the counts, or zeros if they are of too few records."""
        # Zeros in place of small counts: the answer keeps its form, and the pool stays a plain sum.
        return np.zeros_like(tally) if records < releases.minimum_pooled else tally
