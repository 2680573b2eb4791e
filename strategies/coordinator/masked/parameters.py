"""The agreed parameters of a masked run, and the errors of its rounds."""

from collections.abc import Sequence
from dataclasses import dataclass

from privacy.protocol.masks.groups import (
    ample_confirmations,
    confirmations_needed,
    smallest_sum,
    witnesses,
)
from strategies.coordinator.encrypted.parameters import RoundVoid, SealedTerms
from strategies.coordinator.messaging.reply_validation import ReplyRefused

BRING_BACK = (
    "Bring them back, and resume while the sites keep the secrets of the run: 30 days, unless one "
    "says otherwise"
)


class ConfirmationsMissing(RoundVoid, code="confirmations-missing"):
    """Too few witnesses confirmed a set. It stays on disk; nothing else opens in its round."""


class SitesAwaited(RoundVoid, code="sites-awaited"):
    """A run that sums one set of sites waits for some of them. Nothing of the round is lost."""


class SharesUnreadable(ReplyRefused, code="shares-unreadable"):
    """More witnesses than may be in league cannot open the shares that a site made for them."""


@dataclass(frozen=True, kw_only=True)
class MaskedTerms(SealedTerms):
    """The agreed parameters of a masked run.

    Args:
        max_colluders: Members that may be in league with the coordinator, c.
        one_set: Whether each bucket sums one set of sites in all rounds of a run.
        suite: The key exchange between pairs of sites.
    """

    max_colluders: int
    one_set: bool
    suite: str

    @property
    def floor(self) -> int:
        """Fewest sites in a sum."""
        return smallest_sum(self.max_colluders, self.agreement.min_others)

    def witnesses(self, roster: Sequence[str]) -> tuple[str, ...]:
        """Return the sites that confirm the sums of a run, sorted."""
        return witnesses(roster)

    def confirmations_needed(self, num_witnesses: int) -> int:
        """Return how many of so many witnesses must confirm a set before it opens."""
        return confirmations_needed(num_witnesses, self.max_colluders)

    def ample_confirmations(self, num_witnesses: int) -> int:
        """Return with how many confirmations nobody else need be waited for."""
        return ample_confirmations(num_witnesses, self.max_colluders)
