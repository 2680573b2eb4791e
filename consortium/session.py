"""The site's side of the sealed protocol: what is checked before anything is believed.

docs/protocol.md, "One round". Nothing here is remembered between messages but what `SiteMemory`
keeps so as not to be fooled or to answer twice; everything else comes in the message, and is
checked.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from consortium.member import Member, member_at
from consortium.run_state import BucketSum, RunState, Step
from consortium.site import Site
from consortium.terms import (
    count_placement,
    descriptor,
    step_of,
    update_placement,
    upload_header,
    weight_classes,
)
from privacy import canonical
from privacy.buckets import assign
from privacy.canonical import Reader
from privacy.checksum import Checksum, ChecksumFailed, pad
from privacy.envelope import (
    EVALUATION,
    MAX_ATTEMPTS,
    NO_STATE,
    STATISTICS,
    TRAINING,
    Receipt,
    SealedState,
    Slot,
    UploadLabel,
    WrongAttempt,
)
from privacy.errors import ConsortiumError
from privacy.exchange import OpenedRun
from privacy.identity import PublicIdentity
from privacy.layout import Tally, Vector
from privacy.levels import quantise
from privacy.memory import Answer
from privacy.opening import Opening
from privacy.parameters import Placement
from privacy.receipts import (
    Expected,
    TooFewOthers,
    check_receipts,
    decode_receipts,
    majority_state,
)
from privacy.sealed_messages import SealedRound
from privacy.sealing import BfvSecret, Opened, Sealer
from privacy.state_seal import open_state, seal_state
from privacy.upload import upload_digest
from privacy.weights import weight_class

_CACHED_RUNS = 1_024
_WORTH_SHARING = 64  # ciphertexts, about a million values: 0.1 s of sealing
_ANSWER_TAG = b"consortium.kept-answer/1\n"


class RolledBack(ConsortiumError, ValueError):
    """A state does not follow from the last one this site trained from."""


class RosterIncomplete(ConsortiumError, ValueError):
    """A pooled tally does not hold every site of the run, so it is not opened."""


class SumsMissing(ConsortiumError, ValueError):
    """The sums are not one for each bucket whose receipts came, or too few for the rule."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands, as this site computed it.

    Args:
        state: S(t-1).
        sealed: Its sealed form: the same bytes at all honest sites.
    """

    state: RunState
    sealed: SealedState


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An upload with the receipt for it."""

    upload: bytes
    receipt: bytes


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """One run at one site, from a message's opening on.

    Args:
        site: The site.
        member: Its keys and memory.
        opened: What the opening gave it.
    """

    site: Site
    member: Member
    opened: OpenedRun

    def slot(self, purpose: str, server_round: int, attempt: int) -> Slot:
        """Return the place in this run that one upload can fill."""
        return Slot(
            run=self.opened.run, purpose=purpose, server_round=server_round, attempt=attempt
        )

    @cached_property
    def step(self) -> Step:
        """How the run moves."""
        return step_of(self.site.run_config, self.site.charter, self.site.task.layout)

    @cached_property
    def updates(self) -> Placement:
        """Where an update stands in its ciphertexts."""
        return update_placement(self.site.run_config, self.site.charter, self.site.task.layout)

    def counts(self, purpose: str) -> Placement:
        """Return where a tally stands in its ciphertexts."""
        task = self.site.task
        counted = task.statistics if purpose == STATISTICS else task.evaluation
        return count_placement(self.site.run_config, self.site.charter, counted.layout.size)

    @cached_property
    def buckets(self) -> Mapping[str, int]:
        """The bucket of each site, fixed for the run."""
        config = self.site.run_config
        seed = self.opened.keys.bucket_seed
        return assign(seed, self.opened.roster, num_buckets=config.buckets)

    def standing(self, request: SealedRound) -> Standing:
        """Return S(t-1) from a message of round t, after every check of the protocol.

        Raises:
            ConsortiumError: A check failed; the run's key is burned if it was a checksum.
        """
        if request.server_round == 1:
            self._require_chain(())
            statistics = self.pooled(request, STATISTICS, server_round=0)
            state, previous = self.step.start(statistics), NO_STATE
        else:
            state, previous = self._moved(request)
        sealed = seal_state(
            state.encode(),
            keys=self.opened.keys,
            server_round=request.server_round - 1,
            previous=previous,
        )
        self._require_chain((*state.chain, sealed.digest))
        return Standing(state=state, sealed=sealed)

    def pooled(self, request: SealedRound, purpose: str, *, server_round: int) -> Tally:
        """Return a tally pooled over the run's whole roster.

        Raises:
            RosterIncomplete: A site of the roster is not in it.
            ConsortiumError: A receipt is wrong, or the sum is not theirs.
        """
        everyone = dict.fromkeys(self.opened.roster, 0)
        receipts = self._checked(
            request.count_receipts, purpose, server_round, buckets=everyone, classes=(1,)
        )[0]
        if len(receipts) != len(self.opened.roster):
            raise RosterIncomplete(
                f"a tally is opened over all {len(self.opened.roster)} sites of the run only, "
                f"{len(receipts)} are in it",
                needed=len(self.opened.roster),
                came=len(receipts),
            )
        sealer = self._sealer(purpose, server_round, self.counts(purpose))
        tally = self._open(sealer, request.count_sum, receipts).tally
        counted = self.site.task.statistics if purpose == STATISTICS else self.site.task.evaluation
        counted.check(tally)
        return tally

    def released(self, request: SealedRound) -> Tally | None:
        """Return the pooled evaluation of the last round, if there is one the members release."""
        releases = self.site.policy.releases
        released = self.site.charter.release_pooled and releases.pooled_figures
        if not released or request.server_round < 2 or not request.count_sum:
            return None
        tally = self.pooled(request, EVALUATION, server_round=request.server_round - 1)
        return tally if self.site.counts_enough(tally) else None

    def seal_update(
        self, request: SealedRound, standing: Standing, update: Vector, num_examples: int
    ) -> Sent:
        """Return the sealed update of a round, the same bytes whenever it is asked again."""
        share = self._weight_class(num_examples)
        levels = quantise(
            update,
            weight_class=share,
            scales=self.step.scales(standing.state),
            parameters=self.updates.parameters,
            rng=self.site.rng(request.server_round),
        )
        label = self._label(TRAINING, request, share, standing.sealed.digest)
        return self._answer(
            request, label, lambda pad_: self._seal(label, self.updates, levels, None, pad_)
        )

    def seal_counts(
        self, request: SealedRound, purpose: str, tally: Tally, state: bytes = NO_STATE
    ) -> Sent:
        """Return a sealed tally, the same bytes whenever it is asked again."""
        label = self._label(purpose, request, 1, state)
        placement = self.counts(purpose)
        return self._answer(
            request, label, lambda pad_: self._seal(label, placement, None, tally, pad_)
        )

    def recall(self, request: SealedRound, purpose: str) -> Sent | None:
        """Return what this site answered to this request before, if it did."""
        slot = self.slot(purpose, request.server_round, request.attempt)
        kept = self.member.memory.recall_reply(slot, request.digest)
        return None if kept is None else _sent(kept)

    def recall_contribution(self, request: SealedRound) -> bytes | None:
        """Return what training gave in this round, if it was done: it is not done again."""
        slot = self.slot(TRAINING, request.server_round, request.attempt)
        return self.member.memory.recall_update(slot)

    def remember_contribution(self, request: SealedRound, encoded: bytes) -> bytes:
        """Keep what training gave in this round; return what stands."""
        slot = self.slot(TRAINING, request.server_round, request.attempt)
        return self.member.memory.remember_update(slot, encoded)

    @cached_property
    def _secret(self) -> BfvSecret:
        return BfvSecret.from_material(self.updates.parameters, self.opened.scheme_secret)

    @cached_property
    def _roster(self) -> dict[str, PublicIdentity]:
        return self.member.agreement.roster(self.opened.roster)

    def _moved(self, request: SealedRound) -> tuple[RunState, bytes]:
        """Return S(t-1) and the digest of the sealed S(t-2) it follows from."""
        last = request.server_round - 1
        by_bucket = self._checked(
            request.receipts,
            TRAINING,
            last,
            buckets=self.buckets,
            classes=weight_classes(self.site.run_config),
        )
        receipts = [one for bucket in by_bucket.values() for one in bucket]
        self._require_voters(len(by_bucket), len(receipts))
        agreed = majority_state(receipts, roster=len(self.opened.roster))
        placed = self.updates.sum_bytes
        if len(request.sums) != placed * len(by_bucket):
            raise SumsMissing(
                f"{len(by_bucket)} buckets need {placed * len(by_bucket)} bytes of sums, got "
                f"{len(request.sums)}",
                needed=len(by_bucket),
            )
        before = self._opened_state(request.state, last - 1, agreed)
        self._require_chain((*before.chain, agreed))
        sealer = self._sealer(TRAINING, last, self.updates)
        view = memoryview(request.sums)
        sums = [
            BucketSum(
                levels=self._open(sealer, view[i * placed : (i + 1) * placed], bucket).levels,
                total_class=sum(one.label.weight_class for one in bucket),
            )
            for i, bucket in enumerate(by_bucket.values())
        ]
        return self.step.advanced(before, agreed, sums), agreed

    def _opened_state(self, encoded: bytes, server_round: int, digest: bytes) -> RunState:
        content = open_state(
            SealedState.decode(encoded),
            keys=self.opened.keys,
            server_round=server_round,
            digest=digest,
        )
        task = self.site.task
        state = RunState.decode(
            content, layout=task.layout, statistics_size=task.statistics.layout.size
        )
        if server_round == 0:
            self.step.require_start(state)
        return state

    def _checked(
        self,
        encoded: bytes,
        purpose: str,
        server_round: int,
        *,
        buckets: Mapping[str, int],
        classes: Sequence[int],
    ) -> dict[int, tuple[Receipt, ...]]:
        receipts = decode_receipts(encoded)
        if not receipts:
            raise TooFewOthers("there is no receipt of the last round", needed=1, came=0)
        slot = self.slot(purpose, server_round, receipts[0].label.slot.attempt)
        self._require_last_attempt(slot)
        own = self.member.memory.own_receipt(slot)
        expected = Expected(
            slot=slot,
            roster=self._roster,
            buckets=buckets,
            min_others=self.site.min_others,
            site=self.site.config.name,
            own=Receipt.decode(own) if own else None,
            weight_classes=classes,
        )
        return check_receipts(receipts, expected)

    def _require_last_attempt(self, slot: Slot) -> None:
        later = [replace(slot, attempt=one) for one in range(slot.attempt + 1, MAX_ATTEMPTS + 1)]
        if any(self.member.memory.own_receipt(one) for one in later):
            raise WrongAttempt(
                f"this site took part in a later attempt at round {slot.server_round}: attempt "
                f"{slot.attempt} was void",
                came=slot.attempt,
            )

    def _require_voters(self, num_buckets: int, num_sites: int) -> None:
        liars = self.site.run_config.rule.num_byzantine
        if num_buckets < 2 * liars + 1:
            raise SumsMissing(
                f"{liars} liars are survived among {2 * liars + 1} buckets or more, "
                f"{num_buckets} came: the round is void",
                needed=2 * liars + 1,
                came=num_buckets,
            )
        if num_sites < self.site.min_sites:
            raise TooFewOthers(
                f"charter and policy ask for {self.site.min_sites} sites in every aggregate, "
                f"{num_sites} are in this one",
                needed=self.site.min_sites,
                came=num_sites,
            )

    def _require_chain(self, states: Sequence[bytes]) -> None:
        """Check what this site last trained from against the digests of S(0), S(1) and so on.

        Raises:
            RolledBack: It is not the one in its place, nor the one that comes next.
        """
        last = self.member.memory.last_state(self.opened.run)
        if last is None or last.server_round == len(states) + 1:
            return
        if last.server_round > len(states) or states[last.server_round - 1] != last.state:
            raise RolledBack(
                f"this site trained from another state in round {last.server_round}: the run "
                "was rolled back, or another one is shown to this site",
                last=last.server_round,
            )

    def _weight_class(self, num_examples: int) -> int:
        allowed = weight_classes(self.site.run_config)
        full = self.site.charter.floors.full_class_examples
        earned = weight_class(num_examples, full_class_examples=full)
        return earned if earned in allowed else allowed[-1]

    def _label(self, purpose: str, request: SealedRound, share: int, state: bytes) -> UploadLabel:
        name = self.site.config.name
        return UploadLabel(
            slot=self.slot(purpose, request.server_round, request.attempt),
            site=name,
            bucket=self.buckets[name] if purpose == TRAINING else 0,
            weight_class=share,
            nonce=secrets.token_bytes(canonical.DIGEST_SIZE),
            state=state,
        )

    def _answer(
        self, request: SealedRound, label: UploadLabel, seal: Callable[[int], Sent]
    ) -> Sent:
        sent = seal(pad(self.opened.keys.pad, label.encode()))
        answer = Answer(
            slot=label.slot,
            request=request.digest,
            state=label.state,
            receipt=sent.receipt,
            reply=_ANSWER_TAG + canonical.blob(sent.receipt) + sent.upload,
        )
        return _sent(self.member.memory.remember_reply(answer))

    def _seal(
        self,
        label: UploadLabel,
        placement: Placement,
        levels: NDArray[np.int32] | None,
        tally: Tally | None,
        pad_: int,
    ) -> Sent:
        sealer = self._sealer(label.slot.purpose, label.slot.server_round, placement)
        upload = sealer.seal(
            np.zeros(0, np.int32) if levels is None else levels,
            np.zeros(0, np.int64) if tally is None else tally,
            pad=pad_,
            processes=self._processes(placement),
        )
        config, layout = self.site.run_config, self.site.task.layout
        header = upload_header(label, config, layout, placement)
        receipt = Receipt.signed(
            label,
            upload=upload_digest(header, [upload]),
            sign=self.member.identity.sign,
        )
        return Sent(upload=upload, receipt=receipt.encode())

    def _processes(self, placement: Placement) -> int:
        """Return how many processes seal: more than one only where starting them pays."""
        large = placement.num_ciphertexts >= _WORTH_SHARING
        return self.site.config.sealing_processes if large else 1

    def _sealer(self, purpose: str, server_round: int, placement: Placement) -> Sealer:
        checksum = Checksum(
            self.opened.keys.checksum,
            canonical.text(purpose) + canonical.number(server_round),
            num_rows=placement.num_ciphertexts,
            row_length=placement.parameters.degree,
        )
        return Sealer(self._secret, placement, checksum)

    def _open(
        self, sealer: Sealer, summed: bytes | memoryview, receipts: Sequence[Receipt]
    ) -> Opened:
        pads = [pad(self.opened.keys.pad, one.label.encode()) for one in receipts]
        try:
            return sealer.open(summed, pads=pads)
        except ChecksumFailed as error:
            self.member.memory.burn(self.opened.run)
            shown = hashlib.sha256(summed).hexdigest()  # for the site's log: who audits compares
            raise ChecksumFailed(f"{error}; the sum shown here has SHA-256 {shown}") from error


_SESSIONS: dict[tuple[Path, str], Session] = {}  # what a process need not derive again


def session_of(site: Site, request: SealedRound) -> Session:
    """Return this site's session in the run that a message belongs to.

    Guarantee: the opening is checked anew for every message, and refused under a burned key.

    Raises:
        ConsortiumError: The charter, the opening or the epoch is not this site's.
    """
    site.require_charter(request.charter)
    member = member_at(site.directory, site.config.name, site.charter)
    described = descriptor(site.run_config, site.charter, site.task.layout)
    opened = member.accept_run(Opening.decode(request.opening), descriptor=described)
    cached = _SESSIONS.get((site.directory, opened.run))
    if cached is None or cached.site is not site:
        cached = Session(site=site, member=member, opened=opened)
        _SESSIONS[site.directory, opened.run] = cached
        while len(_SESSIONS) > _CACHED_RUNS:
            del _SESSIONS[next(iter(_SESSIONS))]
    return cached


def _sent(kept: bytes) -> Sent:
    reader = Reader(kept, tag=_ANSWER_TAG)
    receipt = reader.blob(at_most=len(kept))
    return Sent(upload=reader.rest(at_most=len(kept)), receipt=receipt)
