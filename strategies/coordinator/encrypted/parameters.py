"""What an encrypted run is held to, and what can go wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from privacy.encryption.parameters import Placement
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement
from privacy.layout import Layout
from privacy.protocol.envelope import UploadLabel
from privacy.protocol.upload import UploadHeader
from strategies.coordinator.encrypted.ciphertext_sums import UploadForm
from strategies.coordinator.messaging.reply_validation import ReplyRefused


class RoundVoid(ConsortiumError, RuntimeError):
    """A round did not come about in as many attempts as it may have; nothing of it counts."""

    code = "round-void"


class StateDisputed(ReplyRefused):
    """A site signed, or sent, another state than most of the sites."""

    code = "state-disputed"


class NothingSent(ReplyRefused):
    """A reply lacks the upload that was asked for."""

    code = "nothing-sent"


@dataclass(frozen=True, kw_only=True)
class SealedTerms:
    """What every reply of an encrypted run is held against.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        label: What people call the run.
        agreement: Public identities, openers and the floor.
        buckets: Groups of sites that are added apart.
        weight_classes: What the receipt of an update may claim.
        voters: Fewest buckets with which the rule survives the liars; fewer void a round.
        attempts: Tries at a round.
        updates: Where an update stands in its ciphertexts, by layout.
        statistics: Where the statistics stand in theirs.
        evaluation: Where evaluation counts stand in theirs.
        header: What stands before an upload's ciphertexts.
    """

    charter: str
    label: str
    agreement: Agreement
    buckets: int
    weight_classes: tuple[int, ...]
    voters: int
    attempts: int
    updates: Callable[[Layout], Placement]
    statistics: Placement
    evaluation: Placement
    header: Callable[[UploadLabel, Layout, Placement], UploadHeader]

    @property
    def floor(self) -> int:
        """Fewest sites in a sum."""
        return self.agreement.min_others + 1

    def update_form(self, layout: Layout) -> UploadForm:
        """Return what an upload of an update must be."""
        form = self._form("updates", self.updates(layout), layout)
        return replace(form, buckets=self.buckets, weight_classes=self.weight_classes)

    def evaluation_form(self, layout: Layout) -> UploadForm:
        """Return what an upload of evaluation counts must be."""
        return self._form("counts", self.evaluation, layout)

    def statistics_form(self, layout: Layout) -> UploadForm:
        """Return what an upload of statistics must be."""
        return self._form("statistics", self.statistics, layout)

    def _form(self, name: str, placement: Placement, layout: Layout) -> UploadForm:
        return UploadForm(
            name=name,
            placement=placement,
            header=lambda label: self.header(label, layout, placement),
        )
