"""The confirmed sets of a masked run: which sums a quorum of sites signed before anybody read them.

A confirmation names the digest of one set, which holds the digests of its receipts and of each of
its sums. So whoever has the coordinator's files can tell what the sites agreed to open, without a
key. That a coordinator asked for two sets of one round is proved by its own signatures, which
the sites keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consortium.audit.cross_check import SiteEvidence
from consortium.charter.document import Charter
from consortium.run.evidence_store import EvidenceStore
from privacy.errors import ConsortiumError, abbreviated_names
from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import EVALUATION, TRAINING, Slot
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.confirmations import (
    Confirmation,
    check_confirmation,
    decode_confirmations,
)
from privacy.protocol.masks.groups import confirmations_needed, witnesses
from privacy.protocol.masks.sum_set import SumSet
from privacy.protocol.part_digests import sha256_of
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    ChosenSet,
)

_OF_UPDATES = "updates"


@dataclass(frozen=True, kw_only=True)
class ConfirmedSet:
    """The set of a round, as the coordinator kept it.

    Args:
        sum_set: What was to be confirmed.
        confirmed_by: The witnesses whose signature on it is kept, in order of names.
        needed: How many of them must have signed before it can be read.
        rivals: Sites that the coordinator asked, with its signature, to confirm another set of
            this round.
    """

    sum_set: SumSet
    confirmed_by: tuple[str, ...]
    needed: int
    rivals: tuple[str, ...]

    @property
    def is_confirmed(self) -> bool:
        """Whether a quorum signed it, so that it could be read."""
        return len(self.confirmed_by) >= self.needed

    def deviation(self, what: str, receipts: bytes) -> str:
        """Return what the coordinator is convicted of, in words; empty if nothing.

        Args:
            what: `updates`, or of which counts the receipts are.
            receipts: Those that the coordinator kept, joined.
        """
        if self.rivals:
            return (
                f"the coordinator signed another set of this round for "
                f"{abbreviated_names(self.rivals)} than the one that it kept: it asked for the "
                "confirmation of two"
            )
        named = self.sum_set.receipts if what == _OF_UPDATES else self.sum_set.count_receipts
        if self.is_confirmed and named != sha256_of(receipts):
            return "the coordinator let the sites confirm other receipts than those that it kept"
        return ""

    def opens(self, what: str) -> bool:
        """Return whether the set opens updates, or counts, at all."""
        return what == _OF_UPDATES or self.sum_set.opens_counts

    def covers(self, what: str, bucket: int, summed: bytes) -> bool:
        """Return whether the set names exactly this sum."""
        named = (
            dict(self.sum_set.sums).get(bucket) if what == _OF_UPDATES else self.sum_set.count_sum
        )
        return named == sha256_of(summed)


def confirmed_set(
    vault: EvidenceStore,
    server_round: int,
    *,
    charter: Charter,
    opening: Opening,
    evidence: Sequence[SiteEvidence],
) -> ConfirmedSet | None:
    """Return the set of a round; None if the coordinator kept none.

    Args:
        vault: The coordinator's files.
        server_round: The round.
        charter: Names the members.
        opening: The run's, checked before.
        evidence: Of the sites.

    Raises:
        MalformedEnvelope: The files are not those of a set.
    """
    folder = vault.folder / f"round-{server_round}"
    if not (folder / SET_FILE).exists():
        return None
    sum_set = ChosenSet.decode((folder / SET_FILE).read_bytes()).sum_set
    kept = folder / CONFIRMATIONS_FILE
    confirmations = decode_confirmations(kept.read_bytes()) if kept.exists() else ()
    terms = opening.terms
    known = charter.agreement.roster(witnesses(terms.roster))
    valid = {one.witness for one in confirmations if _is_valid(one, sum_set, known)}
    return ConfirmedSet(
        sum_set=sum_set,
        confirmed_by=tuple(sorted(valid)),
        needed=confirmations_needed(len(known), charter.num_colluders),
        rivals=_rivals(evidence, sum_set),
    )


def _is_valid(one: Confirmation, sum_set: SumSet, known: Mapping[str, PublicIdentity]) -> bool:
    try:
        check_confirmation(one, set_digest=sum_set.digest, witnesses=known)
    except ConsortiumError:
        return False
    return True


def _rivals(evidence: Sequence[SiteEvidence], sum_set: SumSet) -> tuple[str, ...]:
    place = _place(sum_set.slot)
    return tuple(
        one.site
        for one in evidence
        if any(
            _place(asked.slot) == place and asked.digest != sum_set.digest
            for asked in one.asked_to_confirm
        )
    )


def _place(slot: Slot) -> tuple[str, str, int]:
    # Updates and counts of one round are in one set.
    purpose = TRAINING if slot.purpose == EVALUATION else slot.purpose
    return slot.run, purpose, slot.server_round
