"""The site's side of the sealed protocol: from a message to where its run stands.

docs/protocol.md, "One round". Nothing here is remembered between messages but what `SiteMemory`
keeps so as not to be fooled or to answer twice; everything else comes in the message, and is
checked.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from consortium.client.audit_trail import keep_failed_sum, keep_question
from consortium.client.encrypted.opening import run_descriptor
from consortium.client.encrypted.session_parameters import SiteTerms
from consortium.client.encrypted.uploads import Answers
from consortium.client.encrypted.verification import Checks, ExactCounts, SumsMissing
from consortium.protocol.parameters import weight_classes
from consortium.protocol.run_state import BucketSum, RunState
from consortium.site.key_ring import KeyRing, member_at
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.protocol.envelope import (
    EVALUATION,
    NO_STATE,
    STATISTICS,
    TRAINING,
    Receipt,
    SealedState,
)
from privacy.protocol.grouping import COUNTED, OF_STATISTICS, WITHHELD
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import majority_state
from privacy.secrets.linear_mac import ChecksumFailed, upload_pad
from privacy.secrets.masks.mask_streams import Masks
from privacy.secrets.sealer import Opened, Sealer
from privacy.secrets.state_encryption import open_state, seal_state
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.wire.encrypted_messages import SealedRound


class NoFinalState(ConsortiumError, LookupError, code="no-final-state"):
    """This site did not evaluate the final state of the run."""


class AnotherFinalState(ConsortiumError, ValueError, code="another-final-state"):
    """More than half of the sites signed another final state than this site's."""


@dataclass(frozen=True, kw_only=True)
class RunPosition:
    """Where a run stands, as this site computed it.

    Args:
        state: S(t-1).
        sealed: Its sealed form: the same bytes at all honest sites.
        evaluated: The pooled counts that its score bins follow from, if there are any.
    """

    state: RunState
    sealed: SealedState
    evaluated: Tally | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """One run at one site, from a message's opening on.

    Args:
        terms: What stays the same from its opening to its end.
    """

    terms: SiteTerms

    @cached_property
    def checks(self) -> Checks:
        """What must hold of a message."""
        return Checks(terms=self.terms)

    @cached_property
    def exact(self) -> ExactCounts:
        """What this site counts exactly."""
        return ExactCounts(terms=self.terms)

    @cached_property
    def answers(self) -> Answers:
        """What this site says."""
        return Answers(terms=self.terms)

    @staticmethod
    def descriptor(site: Site, member: KeyRing, opening: Opening) -> bytes:
        """Return the digest of the run descriptor that an opening must be bound to."""
        return run_descriptor(site)

    def require_confirmed(self, request: SealedRound) -> None:
        """Check what must be settled before a sum is decrypted; without masks nothing more is."""

    def masks_of(self, request: SealedRound, receipts: Sequence[Receipt]) -> Masks | None:
        """Return what is taken off the sum of these uploads; None without masks."""
        return None

    def carried_start(self) -> RunState | None:
        """Return S(0) with what this site holds of earlier runs; None if it holds nothing.

        Raises:
            AnotherRoster: It counted for another roster, and never saw the sum.
        """
        return self.exact.carried_start()

    def require_start(self, state: RunState) -> None:
        """Check that a state is S(0): nobody planted it.

        Raises:
            BadRunState: It is not the zero one, or that of the model which the run evaluates.
        """
        self.terms.step.require_start(state, self.terms.site.run_config.evaluate_model)

    def keep_reached(self, server_round: int, standing: RunPosition) -> None:
        """Keep the state that a round is answered from, if the run may go on from it."""

    def finish_run(self) -> None:
        """Let go of what is kept to be answered again."""
        self.terms.member.memory.answers.finish_run(self.terms.opened.run)

    def standing(self, request: SealedRound) -> RunPosition:
        """Return S(t-1) from a message of round t, after every check of the protocol.

        Raises:
            ConsortiumError: A check failed; the run's key is burned if it was a checksum.
        """
        if request.server_round == 1:
            # A site that has trained in a later round of this run is not led back to the start.
            self.checks.require_chain(())
            state, previous, evaluated = self._start(request), NO_STATE, None
        else:
            state, previous = self._next_state(request)
            # The state has the bins of the last one: those of the counts that are shown.
            evaluated = self._evaluated(request, state.score_bins)
            if evaluated is not None:
                counted = self.terms.round_counts.evaluation_of(evaluated)
                bins = self.terms.bins.after(state.score_bins, counted)
                state = replace(state, score_bins=bins)
        # AES-SIV is deterministic: honest sites get the same bytes, and so can sign one digest.
        sealed = self._sealed(state, previous)
        self.checks.require_chain((*state.chain, sealed.digest))
        return RunPosition(state=state, sealed=sealed, evaluated=evaluated)

    def sealed_start(self, state: RunState) -> SealedState:
        """Return the sealed form of S(0)."""
        return self._sealed(state, NO_STATE)

    def _sealed(self, state: RunState, previous: bytes) -> SealedState:
        return seal_state(
            state.encode(),
            keys=self.terms.opened.keys,
            server_round=len(state.chain),
            previous=previous,
        )

    def _start(self, request: SealedRound) -> RunState:
        """Return S(0), which every site computes by itself, so that nobody can plant one."""
        config = self.terms.site.run_config
        if not (request.state or config.evaluate_model or config.continues):
            statistics = self.pooled_tally(request, STATISTICS, server_round=0)
            self.exact.keep_opened(statistics, request.count_receipts)
            return self.terms.step.start(statistics)
        # Statistics are counted once under a charter. Who holds them signed the start of this run
        # with them in it, and who was away learns them here.
        receipts = self.checks.receipts(
            request.count_receipts,
            STATISTICS,
            0,
            buckets=dict.fromkeys(self.terms.opened.roster, 0),
            classes=(*OF_STATISTICS, WITHHELD),
            own_needed=False,
        )[0]
        signed = (receipt.label.state for receipt in receipts)
        agreed = majority_state(signed, roster=len(self.terms.opened.roster))
        self._keep_question(request)
        self.exact.forget_sealed_statistics()
        return self._opened_state(request.state, 0, agreed)

    def _evaluated(self, request: SealedRound, bins: bytes) -> Tally | None:
        """Return the pooled counts of the last round, if the next score bins need them."""
        if not bins or not request.count_sum:
            return None
        last = request.server_round - 1
        return self.pooled_tally(request, EVALUATION, server_round=last, bins=bins)

    def pooled_tally(
        self, request: SealedRound, purpose: str, *, server_round: int, bins: bytes = b""
    ) -> Tally:
        """Return a tally pooled over the run's whole roster.

        Args:
            request: What is asked, with the receipts and the sum.
            purpose: Statistics or evaluation.
            server_round: The round in which it was counted.
            bins: By which scores were counted, if they follow them and that is known.

        Raises:
            RosterIncomplete: A site of the roster is not in it.
            ConsortiumError: A receipt is wrong, or the sum is not theirs.
        """
        # Counts have one bucket of everybody, whatever the buckets of the updates are.
        everyone = dict.fromkeys(self.terms.opened.roster, 0)
        classes = OF_STATISTICS if purpose == STATISTICS else (COUNTED,)
        receipts = self.checks.receipts(
            request.count_receipts, purpose, server_round, buckets=everyone, classes=classes
        )[0]
        # Asked before the sum is opened: the difference of two rosters would be one site's counts.
        self.checks.require_everyone(len(receipts))
        self.require_confirmed(request)
        self._keep_question(request)
        if purpose == STATISTICS:
            self.exact.require_statistics_of_roster()
        sealer = self.terms.sealer(purpose, server_round, self.terms.counts(purpose))
        tally = self._open(request, sealer, request.count_sum, receipts).tally
        # Nobody sees the part of one site; that the sum is possible is all that can be checked.
        self.checks.require_possible(tally, purpose, bins)
        return tally

    def released_tally(self, request: SealedRound, evaluated: Tally | None = None) -> Tally | None:
        """Return the pooled counts of the last round, if there are any that the members release.

        Args:
            request: What is asked, with the receipts and the sum of the counts.
            evaluated: These counts, if they were opened already.
        """
        releases = self.terms.site.policy.releases
        released = self.terms.site.charter.release_pooled and releases.pooled_figures
        if not released or request.server_round < 2 or not request.count_sum:
            return None
        tally = evaluated
        if tally is None:
            tally = self.pooled_tally(request, EVALUATION, server_round=request.server_round - 1)
        counts = self.terms.round_counts
        enough = self.terms.site.counts_enough(counts.evaluation_of(tally))
        return tally if enough else counts.without_evaluation(tally)

    def require_final_state(self, request: SealedRound) -> None:
        """Check that more than half of the run's sites signed the final state of this site.

        Raises:
            NoFinalState: This site did not evaluate the last state, so it has none to compare.
            AnotherFinalState: They signed another one.
            NoMajority: They signed none, as far as is shown.
            ConsortiumError: A receipt is wrong.
        """
        roster, last = self.terms.opened.roster, request.server_round - 1
        own = self.terms.member.memory.answers.last_state(self.terms.opened.run, purpose=EVALUATION)
        if own is None or own.server_round != last:
            raise NoFinalState("this site did not evaluate the final state: it holds no model")
        receipts = self.checks.receipts(
            request.count_receipts,
            EVALUATION,
            last,
            buckets=dict.fromkeys(roster, 0),
            classes=(COUNTED, WITHHELD),
            # Whose answer came too late is in no receipt, and holds the same model as the others.
            own_needed=False,
        )[0]
        signed = (receipt.label.state for receipt in receipts)
        if majority_state(signed, roster=len(roster)) != own.state:
            raise AnotherFinalState(
                "more than half of the sites signed another final state than this one's: this "
                "site was shown another last sum, and its model is not used"
            )
        self.require_confirmed(request)

    def _keep_question(self, request: SealedRound) -> None:
        """Remember what sums are opened in this round; no others are.

        Raises:
            AlreadyAnswered: This round was shown before with other content.
        """
        # Two sums of one round, opened one after the other, differ by single sites' updates; and
        # each answer to an altered sum tells the coordinator a bit of the key.
        self.terms.member.memory.answers.remember_question(
            self.terms.opened.run, request.server_round, request.shown
        )

    def _next_state(self, request: SealedRound) -> tuple[RunState, bytes]:
        """Return S(t-1) and the digest of the sealed S(t-2) it follows from."""
        last = request.server_round - 1
        by_bucket = self.checks.receipts(
            request.receipts,
            TRAINING,
            last,
            buckets=self.terms.buckets,
            classes=weight_classes(self.terms.site.run_config, self.terms.site.charter),
        )
        receipts = [one for bucket in by_bucket.values() for one in bucket]
        # Everything about receipts is settled before a sum is opened: each decryption ends in a
        # verdict that a coordinator can learn from.
        self.checks.require_voters(len(by_bucket), len(receipts))
        if self.terms.contribution.exact:
            self.checks.require_everyone(len(receipts))
        signed = (receipt.label.state for receipt in receipts)
        # More than half of the run's sites, not of those that came: two halves of a run, each shown
        # only its own receipts, would both find a majority.
        agreed = majority_state(signed, roster=len(self.terms.opened.roster))
        placement = self.terms.updates_in(last)
        placed = placement.sum_bytes
        if len(request.sums) != placed * len(by_bucket):
            raise SumsMissing(
                f"{len(by_bucket)} buckets need {placed * len(by_bucket)} bytes of sums, got "
                f"{len(request.sums)}",
                needed=len(by_bucket),
            )
        # Only the bytes that the majority signed are opened as the state.
        before = self._opened_state(request.state, last - 1, agreed)
        # Before the sums are opened: a site that is shown another past decides about no checksum.
        self.checks.require_chain((*before.chain, agreed))
        self.require_confirmed(request)
        self._keep_question(request)
        self.answers.claim_opened(last, by_bucket.values())
        sealer = self.terms.sealer(TRAINING, last, placement)
        view = memoryview(request.sums)
        opened = [
            self._open(request, sealer, view[i * placed : (i + 1) * placed], bucket)
            for i, bucket in enumerate(by_bucket.values())
        ]
        sums = [
            BucketSum(
                levels=one.levels,
                # From the signed receipts: the coordinator has no say in what a bucket weighs.
                classes=tuple(receipt.label.weight_class for receipt in bucket),
                tally=one.tally,
            )
            for one, bucket in zip(opened, by_bucket.values(), strict=True)
        ]
        return self.terms.step.advance(before, agreed, sums), agreed

    def _opened_state(self, encoded: bytes, server_round: int, digest: bytes) -> RunState:
        content = open_state(
            SealedState.decode(encoded),
            keys=self.terms.opened.keys,
            server_round=server_round,
            digest=digest,
        )
        task = self.terms.site.task
        state = RunState.decode(
            content,
            layout=task.layout,
            statistics_size=task.statistics.layout.size,
            bins_size=len(self.terms.bins.first),
        )
        # A signed start is not enough: it must be the zero one, with the statistics that it holds,
        # or what the run evaluates or goes on from.
        if server_round == 0:
            self.require_start(state)
        # Every state holds the statistics: who was away gets them with whichever it sees first.
        self.exact.take_statistics(state.statistics)
        return state

    def _open(
        self,
        request: SealedRound,
        sealer: Sealer,
        summed: bytes | memoryview,
        receipts: Sequence[Receipt],
    ) -> Opened:
        # The pads of exactly these receipts: without them, two uploads of one site combine into a
        # sum that passes the checksum.
        pads = [upload_pad(self.terms.opened.keys.pad, one.label.encode()) for one in receipts]
        masks = self.masks_of(request, receipts)
        try:
            return sealer.open(summed, pads=pads, masks=masks)
        except ChecksumFailed as error:
            # On disk before the refusal leaves: with repeated verdicts on altered sums, a
            # coordinator reads the key bit by bit. One verdict tells nothing useful.
            self.terms.member.memory.burn_key(self.terms.opened.run)
            shown = hashlib.sha256(summed).hexdigest()
            keep_failed_sum(self.terms.site, shown)  # who audits compares it
            label = receipts[0].label
            # Who is added together is no secret, and says among whom to look for a spoiled part.
            of = {"bucket": label.bucket} if label.slot.purpose == TRAINING else {}
            told = f"{error}; the sum shown here has SHA-256 {shown}"
            raise ChecksumFailed(told, **of) from error


SessionType = TypeVar("SessionType", bound=Session)
_SESSIONS: Cache[tuple[Path, str], Session] = SITE_PROCESS.cache("sessions", most=1_024)


def session_of(site: Site, request: SealedRound, kind: type[Session] = Session) -> Session:
    """Return this site's session in the run that a message belongs to.

    Guarantee: the opening is checked anew for every message, and refused under a burned key.

    Args:
        site: The site.
        request: The message.
        kind: The kind of session that the run's mode has.

    Raises:
        BadSignature: The coordinator that the charter names did not sign the message.
        ConsortiumError: The charter, the opening or the epoch is not this site's.
    """
    site.require_charter(request.charter)
    keep_question(site, request)
    return accepted_session(site, request.opening, kind)


def accepted_session(site: Site, encoded: bytes, kind: type[SessionType]) -> SessionType:
    """Return this site's session in the run of an opening, which is checked anew.

    Raises:
        ConsortiumError: The opening or the epoch is not this site's, or the key is burned.
    """
    member = member_at(site.directory, site.config.name, site.charter)
    opening = Opening.decode(encoded)
    # For every message: the cached session below saves computing, never a check.
    opened = member.accept_run(opening, descriptor=kind.descriptor(site, member, opening))
    held = _SESSIONS.get(
        (site.directory, opened.run),
        lambda: kind(terms=SiteTerms(site=site, member=member, opened=opened)),
        fits=lambda session: (
            type(session) is kind and session.terms.site is site and session.terms.member is member
        ),
    )
    return cast(SessionType, held)
