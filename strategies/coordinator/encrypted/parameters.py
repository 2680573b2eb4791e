"""The agreed parameters of an encrypted run, and the errors of its rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from privacy.encryption.parameters import Placement
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement
from privacy.layout import Layout
from privacy.protocol.envelope import EVALUATION, TRAINING, UploadLabel
from privacy.protocol.grouping import COUNTED, OF_STATISTICS, WITHHELD
from privacy.protocol.upload import UploadHeader
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.rounds.ciphertext_sums import UploadForm
from strategies.coordinator.hubs.parts import NO_HUBS, AgreedHubs
from strategies.coordinator.messaging.reply_validation import ReplyRefused
from strategies.round_counts import RoundCounts
from strategies.score_bins import BinSteps

ClaimRoster: TypeAlias = Callable[[Sequence[str]], None]


class RoundVoid(ConsortiumError, RuntimeError, code="round-void"):
    """A round failed in all its attempts. Nothing of it counts."""


class MembersMissing(RoundVoid, code="members-missing"):
    """A charter's statistics are counted for the first time, and not all members are there."""


class StateDisputed(ReplyRefused, code="state-disputed"):
    """A site signed or sent another state than most of the sites."""


class NothingSent(ReplyRefused, code="nothing-sent"):
    """A reply lacks an upload that was asked for."""


@dataclass(frozen=True, kw_only=True)
class SealedTerms:
    """The agreed parameters against which every reply of an encrypted run is checked.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        label: Name of the run for people.
        agreement: Public identities, openers and the floor.
        buckets: Number of buckets: groups of sites that are added apart.
        weight_classes: Weight classes that the receipt of an update may claim.
        voters: Fewest buckets with which the rule survives the Byzantine sites. A round with fewer
            is void.
        attempts: Attempts at a round.
        updates: Returns the placement of what is sent in a round, from layout and round.
        statistics: Placement of the statistics.
        evaluation: Placement of the counts of a round.
        counts: What these are: an evaluation, and what stands beside it.
        header: Returns the header of an upload.
        bins: How the score bins follow one another, and what evaluation tally is possible.
        asked_last: Openers that failed the others in an earlier run of this coordinator.
        exact: Whether a round needs every site of the run, because exact tallies are added.
        compares_ledgers: Whether the members compare their ledgers before the run.
        counts_statistics: Whether a site may hold statistics of another roster, or of an earlier
            run. Where zeros stand in their place it holds none.
        keeps_statistics: Whether those of an earlier revision of the charter stand.
        continues: Whether the run goes on from another one, with all members and no other start.
        claim_roster: Called with the roster of statistics before their sum is shown to anybody;
            it refuses by raising.
        sign: Signs with the coordinator's key; None if the charter names none.
        asks_for_counts: Returns whether a round of training asks for evaluation counts.
        hubs: The hubs that the members agreed on.
    """

    charter: str
    label: str
    agreement: Agreement
    buckets: int
    weight_classes: tuple[int, ...]
    voters: int
    attempts: int
    updates: Callable[[Layout, int], Placement]
    statistics: Placement
    evaluation: Placement
    counts: RoundCounts
    header: Callable[[UploadLabel, Layout, Placement], UploadHeader]
    bins: BinSteps = field(default_factory=BinSteps)
    asked_last: tuple[str, ...] = ()
    exact: bool = False
    compares_ledgers: bool = False
    counts_statistics: bool = True
    keeps_statistics: bool = False
    continues: bool = False
    asks_for_counts: Callable[[int], bool] = lambda _server_round: True
    claim_roster: ClaimRoster = field(default=lambda _roster: None, repr=False)
    sign: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    hubs: AgreedHubs = NO_HUBS

    @property
    def floor(self) -> int:
        """Fewest sites in a sum."""
        return self.agreement.min_others + 1

    def sign_question(self, question: SealedRound) -> SealedRound:
        """Return a question as it is sent: signed, if the charter names the coordinator's key."""
        return question.with_signature(self.sign) if self.sign else question

    def update_form(self, layout: Layout, server_round: int) -> UploadForm:
        """Return the agreed form of an upload of an update."""
        form = self._form("updates", self.updates(layout, server_round), layout)
        return replace(form, buckets=self.buckets, weight_classes=self.weight_classes)

    def training_forms(self, layout: Layout, server_round: int) -> dict[str, UploadForm]:
        """Return the agreed forms of what a round of training asks for, by purpose."""
        forms = {TRAINING: self.update_form(layout, server_round)}
        if self.asks_for_counts(server_round):
            forms[EVALUATION] = self.evaluation_form(layout)
        return forms

    def evaluation_form(self, layout: Layout) -> UploadForm:
        """Return the agreed form of an upload of evaluation counts."""
        return self._form("counts", self.evaluation, layout)

    def statistics_form(self, layout: Layout) -> UploadForm:
        """Return the agreed form of an upload of statistics."""
        form = self._form("statistics", self.statistics, layout)
        # Zeros are withheld by nobody: one site that says so would have all others ask in vain.
        allowed = (*OF_STATISTICS, WITHHELD) if self.counts_statistics else (COUNTED,)
        return replace(form, weight_classes=allowed)

    def _form(self, name: str, placement: Placement, layout: Layout) -> UploadForm:
        return UploadForm(
            name=name,
            placement=placement,
            header=lambda label: self.header(label, layout, placement),
        )
