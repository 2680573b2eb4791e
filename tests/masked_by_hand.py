"""A masked run whose coordinator is a test: every question is made by hand, and may be altered."""

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from flwr.app import RecordDict

from consortium.client.encrypted.session import accepted_session
from consortium.client.masked.session import MaskedSession
from consortium.config import Scalar
from consortium.protocol.parameters import count_placement, update_placement
from consortium.protocol.round_counts import round_counts
from consortium.run.directory import RunDirectory
from consortium.site.key_ring import member_at
from privacy.encryption.ciphertext_sum import Adder
from privacy.encryption.parameters import Placement
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, Receipt, Slot
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.bundles import ShareBundle
from privacy.protocol.masks.confirmations import Confirmation, join_confirmations
from privacy.protocol.masks.groups import cohort_digest, confirmations_needed, witnesses
from privacy.protocol.masks.mask_part import MaskPart
from privacy.protocol.masks.mask_terms import MaskTerms, join_terms
from privacy.protocol.masks.pair_messages import (
    PairCiphertext,
    PairKey,
    decode_ciphertexts,
    join_ciphertexts,
    join_pair_keys,
)
from privacy.protocol.masks.signed_set import SignedSet
from privacy.protocol.masks.sum_set import NOTHING, SumSet
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import decode_receipts, join_receipts
from privacy.secrets.replay_guard import SiteMemory
from privacy.wire import comparison_messages, mask_messages, messages
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from privacy.wire.mask_messages import ConfirmationRequest, SetToConfirm
from tests.small_consortium import COORDINATOR, Consortium, Place, read_reply, refusal

KIND_OF = {STATISTICS: "query.statistics", TRAINING: "train", EVALUATION: "evaluate"}


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What was sent in one round, added up: what the next question shows of it.

    Args:
        slot: Of the set.
        cohort: V.
        replies: What the sites sent.
        receipts: Of the updates, joined.
        sums: Of the updates, bucket by bucket.
        count_receipts: Of the counts, joined; empty if they are not complete.
        count_sum: Of the counts.
    """

    slot: Slot
    cohort: tuple[str, ...]
    replies: Mapping[str, SealedReply] = field(repr=False)
    receipts: bytes = field(default=b"", repr=False)
    sums: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    count_receipts: bytes = field(default=b"", repr=False)
    count_sum: bytes = field(default=b"", repr=False)

    @property
    def updating(self) -> dict[str, SealedReply]:
        """The replies whose updates are in it."""
        named = _sites(self.receipts)
        return {name: one for name, one in self.replies.items() if name in named}

    @property
    def counting(self) -> dict[str, SealedReply]:
        """The replies whose counts are opened in it."""
        named = _sites(self.count_receipts) if self.count_sum else frozenset[str]()
        return {name: one for name, one in self.replies.items() if name in named}

    @property
    def sum_set(self) -> SumSet:
        """What the witnesses confirm."""
        receipts = decode_receipts(self.receipts or self.count_receipts)
        return SumSet(
            slot=self.slot,
            state=receipts[0].label.state,
            cohort=cohort_digest(self.cohort),
            receipts=sha256_of(self.receipts),
            sums=tuple(
                (bucket, hashlib.sha256(self.sums[bucket]).digest()) for bucket in sorted(self.sums)
            ),
            count_receipts=sha256_of(self.count_receipts),
            count_sum=sha256_of(self.count_sum),
        )

    @property
    def terms(self) -> bytes:
        """Mask terms of the updates, joined; empty if there are none."""
        made = {name: MaskTerms.decode(one.terms) for name, one in self.updating.items()}
        return join_terms(made) if made else b""

    @property
    def count_terms(self) -> bytes:
        """Mask terms of the counts that are opened, joined; empty if there are none."""
        made = {name: MaskTerms.decode(one.count_terms) for name, one in self.counting.items()}
        return join_terms(made) if made else b""


@dataclass
class ByHand:
    """A run of real sites, put question by question.

    Args:
        consortium: The sites.
        overrides: Of the run config.
    """

    consortium: Consortium
    overrides: Mapping[str, Scalar] = field(default_factory=dict)
    opening: bytes = b""
    keys: bytes = b""
    ciphertexts: dict[str, bytes] = field(default_factory=dict)

    def again(self, folder: Path) -> "ByHand":
        """Return the run as it stands, in a new folder, in processes that know nothing yet."""
        shutil.copytree(self.consortium.run.path, folder)
        moved = replace(self.consortium, run=RunDirectory(folder))
        return ByHand(moved, self.overrides, self.opening, self.keys, dict(self.ciphertexts))

    @property
    def names(self) -> tuple[str, ...]:
        """The members."""
        return tuple(sorted(self.consortium.charter.names))

    @cached_property
    def places(self) -> dict[str, Place]:
        """The sites."""
        masked = {"masks": True, **self.overrides}
        return {name: self.consortium.place(name, **masked) for name in self.names}

    @property
    def charter(self) -> str:
        """Fingerprint of the charter."""
        return self.consortium.charter.fingerprint

    @property
    def run(self) -> str:
        """The run id."""
        return Opening.decode(self.opening).run

    @property
    def last_round(self) -> int:
        """The last training round."""
        return self.places[self.names[0]].config.num_server_rounds

    @property
    def witnesses(self) -> tuple[str, ...]:
        """The witnesses of the run."""
        return witnesses(self.names)

    @property
    def needed(self) -> int:
        """How many of them must confirm."""
        return confirmations_needed(len(self.witnesses), self.consortium.charter.num_colluders)

    def set_up(self) -> None:
        """Compare ledgers; agree on an epoch, on keys, on an opening and on pair secrets."""
        self.compare_ledgers()
        self.agree_on_epoch()
        self.offer_keys()
        self.open()
        self.pair()

    def agree_on_epoch(self) -> None:
        """Let the first site make an epoch secret, and deliver it."""
        first = self.names[0]
        asked = sealed_messages.rotation_request(self.charter, 0)
        made = sealed_messages.read_deliveries(self.answer(first, "query.rotate", asked))
        for name, delivery in made.items():
            self.answer(name, "query.deliver", sealed_messages.delivery(self.charter, delivery))

    def compare_ledgers(self) -> None:
        """Let the sites tell one another what they hold of each other."""
        asked = messages.greeting(self.charter, bytes(32))
        announced = {
            name: messages.read_introduction(
                self.answer(name, "query.hello", asked), max_examples=2**20
            ).announcement
            for name in self.names
        }
        held: dict[str, dict[str, bytes]] = defaultdict(dict)
        for name in self.names:
            others = {one: said for one, said in announced.items() if one != name}
            asked = comparison_messages.announcements(self.charter, others)
            attested = comparison_messages.read_attestations(
                self.answer(name, "query.attest", asked)
            )
            for subject, said in attested.items():
                held[subject][name] = said
        for name in self.names:
            asked = comparison_messages.comparison(self.charter, held[name])
            self.answer(name, "query.compare", asked)

    def offer_keys(self) -> None:
        """Gather the sites' keys."""
        asked = mask_messages.pair_key_request(self.charter)
        offered = {
            name: mask_messages.read_pair_key(self.answer(name, "query.pair_keys", asked))
            for name in self.names
        }
        self.keys = join_pair_keys({name: PairKey.decode(one) for name, one in offered.items()})

    def open(self, lineage: str = "") -> None:
        """Let the first site open the run."""
        asked = mask_messages.masked_opening_request(
            self.charter, "small", self.names, lineage, keys=self.keys
        )
        self.opening = sealed_messages.read_opening(self.answer(self.names[0], "query.open", asked))

    def pair(self) -> None:
        """Let each two sites share a secret."""
        self.gather_secrets()
        for name in self.names:
            self.answer(name, "query.pair_secrets", self.pair_secrets(name))

    def gather_secrets(self) -> None:
        """Let each site seal a secret to each later name."""
        made: dict[str, list[PairCiphertext]] = defaultdict(list)
        for name in self.names:
            joined = mask_messages.read_pair_ciphertexts(
                self.answer(name, "query.pair", self.pair_request())
            )
            for one in decode_ciphertexts(joined):
                made[one.terms.recipient].append(one)
        self.ciphertexts = {name: join_ciphertexts(made[name]) for name in self.names}

    def pair_request(self) -> RecordDict:
        """Return the message that asks a site for its pair secrets."""
        return mask_messages.pair_request(self.charter, opening=self.opening, keys=self.keys)

    def pair_secrets(self, name: str) -> RecordDict:
        """Return the message that brings a site those of the others."""
        return mask_messages.pair_secrets(
            self.charter, opening=self.opening, ciphertexts=self.ciphertexts[name]
        )

    def refusal(self, name: str, kind: str, content: RecordDict) -> str:
        """Return the code with which a site refuses, or nothing if it does not."""
        return self.places[name].refusal(kind, content)

    def answer(self, name: str, kind: str, content: RecordDict) -> RecordDict:
        """Return what a site answers; it must not refuse."""
        answered = self.places[name].ask(kind, content)
        assert not refusal(answered), (name, kind, refusal(answered))
        return answered

    def question(
        self,
        server_round: int,
        *,
        before: Gathered | None = None,
        confirmations: Sequence[Confirmation] = (),
        asked: Sequence[str] | None = None,
        attempt: int = 1,
    ) -> SealedRound:
        """Return a question that shows what was gathered before, signed.

        Args:
            server_round: The round that is asked for.
            before: The last round's sums; None at the beginning.
            confirmations: Of that set.
            asked: V; everybody if None.
            attempt: At the round.
        """
        part = MaskPart(asked=self.names if asked is None else tuple(asked))
        request = SealedRound(
            charter=self.charter, server_round=server_round, attempt=attempt, opening=self.opening
        )
        if before is not None:
            part = replace(
                part,
                cohort=before.cohort,
                terms=before.terms,
                count_terms=before.count_terms,
                confirmations=join_confirmations(list(confirmations)),
            )
            request = replace(
                request,
                receipts=before.receipts,
                sums=b"".join(before.sums[bucket] for bucket in sorted(before.sums)),
                state=next((one.state for one in before.replies.values() if one.state), b""),
                count_receipts=before.count_receipts,
                count_sum=before.count_sum,
            )
            if server_round == self.last_round + 2 or before.slot.purpose == STATISTICS:
                request = replace(request, state=b"")
        return signed(replace(request, masks=part.encode()))

    def ask(self, purpose: str, request: SealedRound) -> dict[str, SealedReply]:
        """Return what the asked sites send; the first one reports its state."""
        asked = request.mask_part.asked
        return {
            name: read_reply(
                self.answer(
                    name, KIND_OF[purpose], replace(request, report=name == asked[0]).content()
                )
            )
            for name in asked
        }

    def gather(
        self,
        purpose: str,
        request: SealedRound,
        replies: Mapping[str, SealedReply],
        *,
        cohort: Sequence[str] | None = None,
    ) -> Gathered:
        """Add up what the sites sent."""
        site = self.places[self.names[0]].site
        config, charter, task = site.run_config, site.charter, site.task
        size = task.statistics.layout.size
        if purpose != STATISTICS:
            size = round_counts(config, charter, task.evaluation.layout.size).size
        receipts, sums = b"", dict[int, bytes]()
        if purpose == TRAINING:
            form = update_placement(config, charter, task.layout, request.server_round)
            receipts, sums = _added(
                {name: (one.upload, one.receipt) for name, one in replies.items()}, form
            )
        counts = {name: (one.count_upload, one.count_receipt) for name, one in replies.items()}
        count_receipts, count_sums = _added(counts, count_placement(config, charter, size))
        complete = {*replies} == {*self.names}
        return Gathered(
            slot=Slot(
                run=self.run,
                purpose=purpose,
                server_round=request.server_round,
                attempt=request.attempt,
            ),
            cohort=tuple(request.mask_part.asked if cohort is None else cohort),
            replies=replies,
            receipts=receipts,
            sums=sums,
            count_receipts=count_receipts if complete else b"",
            count_sum=count_sums[0] if complete else b"",
        )

    def confirmation_request(self, gathered: Gathered, witness: str) -> ConfirmationRequest:
        """Return the request for confirmation of a set by one witness, signed."""
        at = self.witnesses.index(witness)
        asked = ConfirmationRequest(
            charter=self.charter,
            purpose=gathered.slot.purpose,
            server_round=gathered.slot.server_round,
            attempt=gathered.slot.attempt,
            opening=self.opening,
            shown=SetToConfirm(
                cohort=gathered.cohort,
                receipts=gathered.receipts,
                terms=gathered.terms,
                sums=gathered.sum_set.sums,
                count_receipts=gathered.count_receipts,
                count_terms=gathered.count_terms,
                count_sum=(
                    b"" if gathered.sum_set.count_sum == NOTHING else gathered.sum_set.count_sum
                ),
            ),
            entries={
                name: ShareBundle.decode(one.bundle).entries[at].encode()
                for name, one in gathered.updating.items()
            },
            count_entries={
                name: ShareBundle.decode(one.count_bundle).entries[at].encode()
                for name, one in gathered.counting.items()
            },
        )
        return signed_request(asked)

    def confirm(self, gathered: Gathered, names: Sequence[str] | None = None) -> list[Confirmation]:
        """Return the confirmations of a set by some witnesses; by all if None."""
        return [
            Confirmation.decode(
                mask_messages.read_confirmation(
                    self.answer(
                        name, "query.confirm", self.confirmation_request(gathered, name).content()
                    )
                )
            )
            for name in (self.witnesses if names is None else names)
        ]

    def statistics(self) -> Gathered:
        """Let all sites count."""
        request = self.question(0)
        return self.gather(STATISTICS, request, self.ask(STATISTICS, request))

    def train(
        self,
        server_round: int,
        before: Gathered,
        *,
        confirmations: Sequence[Confirmation] | None = None,
        asked: Sequence[str] | None = None,
        attempt: int = 1,
    ) -> Gathered:
        """Let sites train from what was gathered before, which is confirmed first."""
        said = self.confirm(before) if confirmations is None else confirmations
        request = self.question(
            server_round, before=before, confirmations=said, asked=asked, attempt=attempt
        )
        return self.gather(TRAINING, request, self.ask(TRAINING, request))

    def evaluate(self, before: Gathered) -> Gathered:
        """Let all sites evaluate the last state."""
        request = self.question(
            self.last_round + 1, before=before, confirmations=self.confirm(before)
        )
        return self.gather(EVALUATION, request, self.ask(EVALUATION, request))

    def release(self, before: Gathered) -> dict[str, SealedReply]:
        """Let all sites confirm the model and release what was pooled."""
        request = self.question(
            self.last_round + 2, before=before, confirmations=self.confirm(before), asked=()
        )
        return {
            name: read_reply(self.answer(name, "query.release", request.content()))
            for name in self.names
        }

    def play(self) -> tuple[Gathered, dict[str, SealedReply]]:
        """Play the whole run; return the last evaluation and the answers to the release."""
        self.set_up()
        return self.play_rounds()

    def play_rounds(self) -> tuple[Gathered, dict[str, SealedReply]]:
        """Play the run from its statistics on."""
        standing = self.statistics()
        for server_round in range(1, self.last_round + 1):
            standing = self.train(server_round, standing)
        last = self.evaluate(standing)
        return last, self.release(last)


def memory_of(place: Place) -> SiteMemory:
    """Return the memory of a site."""
    site = place.site
    return member_at(site.directory, site.config.name, site.charter).memory


def session_at(place: Place, opening: bytes) -> MaskedSession:
    """Return the session of a site in the run of an opening."""
    return accepted_session(place.site, opening, MaskedSession)


def signed(request: SealedRound) -> SealedRound:
    """Return a question as its coordinator signs it."""
    return request.with_signature(COORDINATOR.sign)


def signed_request(asked: ConfirmationRequest) -> ConfirmationRequest:
    """Return a request for confirmation as its coordinator signs it."""
    shown = asked.shown
    receipts = decode_receipts(shown.receipts or shown.count_receipts)
    said = SumSet(
        slot=Slot(
            run=Opening.decode(asked.opening).run,
            purpose=asked.purpose,
            server_round=asked.server_round,
            attempt=asked.attempt,
        ),
        state=receipts[0].label.state,
        cohort=cohort_digest(shown.cohort),
        receipts=sha256_of(shown.receipts),
        sums=shown.sums,
        count_receipts=sha256_of(shown.count_receipts),
        count_sum=shown.count_sum or NOTHING,
    )
    signing = SignedSet(charter=bytes.fromhex(asked.charter), set_digest=said.digest)
    return replace(asked, shown=replace(shown, signature=signing.sign(COORDINATOR.sign)))


def _sites(receipts: bytes) -> frozenset[str]:
    return (
        frozenset(one.label.site for one in decode_receipts(receipts)) if receipts else frozenset()
    )


def _added(
    uploads: Mapping[str, tuple[bytes, bytes]], form: Placement
) -> tuple[bytes, dict[int, bytes]]:
    """Return the joined receipts, and the sum of each bucket."""
    adders: dict[int, Adder] = {}
    for upload, receipt in uploads.values():
        bucket = Receipt.decode(receipt).label.bucket
        adders.setdefault(bucket, Adder(form)).add(upload)
    joined = join_receipts([uploads[name][1] for name in sorted(uploads)])
    return joined, {bucket: adder.sum() for bucket, adder in adders.items()}
