"""Sites that answer and confirm as masked runs want it: the real rules, without ciphertexts.

An upload stands for itself by its receipt and mask terms. Which of them can be opened follows from
who confirmed what, so promises about sets are tried here in their thousands.
"""

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from privacy.identity.public_identity import PublicIdentity
from privacy.protocol.envelope import EVALUATION, TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.grouping import COUNTED
from privacy.protocol.masks.groups import cohort_digest
from privacy.protocol.masks.mask_terms import MaskTerms, join_terms
from privacy.protocol.masks.set_checks import (
    CheckedSet,
    KnownRound,
    ShownSet,
    check_cohort,
    check_set,
)
from privacy.protocol.masks.sum_set import SumSet, digests_of_sums
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import join_receipts
from privacy.secrets.answer_memory import Answer
from privacy.secrets.keys import Identity
from privacy.secrets.masked_runs.pair_memory import KeptPairKey
from privacy.secrets.replay_guard import SiteMemory

RUN = "run"
CHARTER = "0" * 64
STATE = hashlib.sha256(b"a state").digest()
OTHER_STATE = hashlib.sha256(b"another state").digest()

identity = cache(Identity.generate)


def slot_of(attempt: int = 1, *, server_round: int = 1, purpose: str = TRAINING) -> Slot:
    """Return a slot of the run."""
    return Slot(run=RUN, purpose=purpose, server_round=server_round, attempt=attempt)


class OfManyViews(PublicIdentity):
    """A member each of whose right signatures is checked once: plays look at it in many views."""

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature that was not found right before, as ever."""
        one = (self.signing, message, signature)
        if one not in _RIGHT:
            super().verify(message, signature)
            _RIGHT.add(one)


_RIGHT: set[tuple[bytes, bytes, bytes]] = set()


@cache
def _public(name: str) -> PublicIdentity:
    public = identity(name).public
    return OfManyViews(name=name, signing=public.signing, receiving=public.receiving)


def identities(names: Sequence[str]) -> dict[str, PublicIdentity]:
    """Return the public identities of sites, by name."""
    return {name: _public(name) for name in names}


@dataclass(frozen=True)
class Upload:
    """What the coordinator has of one upload, but for its bytes."""

    receipt: Receipt
    terms: MaskTerms

    @property
    def site(self) -> str:
        """Whose it is."""
        return self.receipt.label.site


def upload_of(
    site: str,
    slot: Slot,
    cohort: Sequence[str],
    *,
    state: bytes = STATE,
    bucket: int = 0,
    weight_class: int = 1,
) -> Upload:
    """Return a new upload of a site, signed by it, for whom it was asked with."""
    fresh = secrets.token_bytes(32)
    terms = MaskTerms(cohort=cohort_digest(cohort), commitment=fresh, bundle=bytes(32))
    label = UploadLabel(
        slot=slot,
        site=site,
        bucket=bucket,
        weight_class=weight_class,
        nonce=terms.nonce,
        state=state,
    )
    return Upload(Receipt.sign(label, upload=fresh, sign=identity(site).sign), terms)


def counts_of(
    site: str, slot: Slot, roster: Sequence[str], *, state: bytes = STATE, counted: int = COUNTED
) -> Upload:
    """Return the counts that a site seals beside its update in a slot, or by themselves."""
    purpose = EVALUATION if slot.purpose == TRAINING else slot.purpose
    return upload_of(
        site, replace(slot, purpose=purpose), roster, state=state, weight_class=counted
    )


def shown(
    slot: Slot,
    cohort: Sequence[str],
    uploads: Sequence[Upload] = (),
    counts: Sequence[Upload] = (),
    *,
    state: bytes = STATE,
    opens_counts: bool = True,
) -> ShownSet:
    """Return a set of these uploads, as a coordinator shows it; its digest fits what is shown."""
    receipts, terms = _joined(uploads)
    count_receipts, count_terms = _joined(counts)
    buckets = {one.receipt.label.bucket for one in uploads}
    count_sum = b"the counts" if counts and opens_counts else b""
    return ShownSet(
        sum_set=SumSet(
            slot=slot,
            state=state,
            cohort=cohort_digest(cohort),
            receipts=sha256_of(receipts),
            sums=digests_of_sums(sums_of(buckets)),
            count_receipts=sha256_of(count_receipts),
            count_sum=sha256_of(count_sum),
        ),
        cohort=tuple(sorted(cohort)),
        receipts=receipts,
        terms=terms,
        count_receipts=count_receipts,
        count_terms=count_terms if count_sum else b"",
    )


def sums_of(buckets: Collection[int]) -> dict[int, bytes]:
    """Return bytes that stand for the sums of some buckets."""
    return {bucket: b"sum %d" % bucket for bucket in buckets}


def _joined(uploads: Sequence[Upload]) -> tuple[bytes, bytes]:
    if not uploads:
        return b"", b""
    ordered = sorted(uploads, key=lambda one: one.site)
    receipts = join_receipts([one.receipt.encode() for one in ordered])
    return receipts, join_terms({one.site: one.terms for one in ordered})


def no_claim() -> None:
    """Claim no roster."""


@dataclass
class MaskedSite:
    """One site of a masked run.

    Args:
        name: Its name.
        memory: Its real memory.
        buckets: The bucket of each site of the run.
        floor: Fewest sites in each sum.
        one_set: Whether a bucket has one set in the run.
    """

    name: str
    memory: SiteMemory
    buckets: Mapping[str, int]
    floor: int
    one_set: bool = False
    uploads: dict[Slot, Upload] = field(default_factory=dict)

    @classmethod
    def begun(
        cls,
        name: str,
        folder: Path,
        buckets: Mapping[str, int],
        *,
        floor: int,
        one_set: bool = False,
    ) -> "MaskedSite":
        """Return a site that has begun the run, with a memory of its own in this folder."""
        memory = SiteMemory(folder / name)
        begin(memory)
        return cls(name, memory, buckets, floor, one_set)

    def ask(self, slot: Slot, cohort: Sequence[str], *, state: bytes = STATE) -> Upload:
        """Return its upload for a question: the one that it gave, if it was asked before."""
        check_cohort(tuple(sorted(cohort)), site=self.name, buckets=self.buckets, floor=self.floor)
        bucket = self.buckets[self.name]
        if self.one_set:
            asked = [one for one in cohort if self.buckets[one] == bucket]
            self.memory.masks.require_bucket_sites(slot.run, bucket, asked)
        made = upload_of(self.name, slot, cohort, state=state, bucket=bucket)
        receipt = self.memory.answers.remember_reply(
            Answer(
                slot=slot,
                request=cohort_digest(cohort),
                state=state,
                receipt=made.receipt.encode(),
                reply=made.receipt.encode() + made.terms.encode(),
                own_share=b"a share of the mask",
            )
        )
        size = len(made.terms.encode())
        kept = Upload(Receipt.decode(receipt[:-size]), MaskTerms.decode(receipt[-size:]))
        self.uploads[slot] = kept
        return kept

    def known(self, slot: Slot, *, roster: Mapping[str, PublicIdentity]) -> KnownRound:
        """Return what it knows of a round."""
        answers = self.memory.answers
        own = answers.own_receipt(slot)
        own_count = answers.own_receipt(replace(slot, purpose=EVALUATION))
        last = answers.last_state(slot.run, purpose=slot.purpose)
        answered = last is not None and last.server_round == slot.server_round
        return KnownRound(
            slot=slot,
            roster=roster,
            buckets=self.buckets,
            floor=self.floor,
            site=self.name,
            own=Receipt.decode(own) if own and slot.purpose == TRAINING else None,
            own_count=Receipt.decode(own_count) if own_count else None,
            state=last.state if last is not None and answered else None,
            last_attempt=last.attempt if last is not None and answered else 0,
        )

    def check(self, told: ShownSet) -> CheckedSet:
        """Check a set as the witness and the reader do."""
        roster = identities(tuple(self.buckets))
        return check_set(told, self.known(told.sum_set.slot, roster=roster))

    def confirm(self, told: ShownSet, claim: Callable[[], None] = no_claim) -> bytes:
        """Confirm a set, or refuse it; return D."""
        checked, sum_set = self.check(told), told.sum_set
        only = checked.sites_by_bucket if self.one_set else {}
        self.memory.masks.confirm(sum_set.slot, sum_set.digest, only_sites=only, claim=claim)
        return sum_set.digest

    def accept(self, told: ShownSet) -> bytes:
        """Open a set that others confirmed, or refuse it; return D."""
        checked, sum_set = self.check(told), told.sum_set
        only = checked.sites_by_bucket if self.one_set else {}
        self.memory.masks.accept(sum_set.slot, sum_set.digest, only_sites=only)
        return sum_set.digest


def begin(memory: SiteMemory, run: str = RUN, *, day: int = 739_000) -> None:
    """Let a site begin a masked run with a new pair key."""
    key = KeptPairKey(offer=b"offer of " + run.encode(), material=b"private " + run.encode())
    kept = memory.pairs.keep_unused_key(CHARTER, key)
    memory.pairs.begin_run(CHARTER, run, offer=kept.offer, day=day)
