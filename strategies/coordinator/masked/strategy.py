"""Masked rounds: no sum can be read before a quorum of witnesses has confirmed one set of uploads.

docs/protocol.md, "Masks".
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid

from privacy.errors import abbreviated_names
from privacy.protocol.envelope import EVALUATION, MAX_ATTEMPTS, STATISTICS, TRAINING
from privacy.protocol.grouping import bucket_sizes
from privacy.protocol.masks.mask_part import MaskPart
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.parameters import StateDisputed
from strategies.coordinator.encrypted.progress import PROGRESS_FILE, Reach, SealedStanding
from strategies.coordinator.encrypted.rounds.ciphertext_sums import Keep, UploadForm
from strategies.coordinator.encrypted.rounds.request import nodes_of
from strategies.coordinator.encrypted.strategy import Encrypted
from strategies.coordinator.masked.opening.masked_opening import MaskedOpening
from strategies.coordinator.masked.parameters import (
    BRING_BACK,
    MaskedTerms,
    SharesUnreadable,
    SitesAwaited,
)
from strategies.coordinator.masked.progress import (
    AWAITED_FILE,
    AwaitedSites,
    MaskedStanding,
    confirming_of,
    parse_masked_standing,
)
from strategies.coordinator.masked.rounds.attempts import Attempt
from strategies.coordinator.masked.rounds.chosen_set import (
    CONFIRMATIONS_FILE,
    SET_FILE,
    Door,
    choose_set,
)
from strategies.coordinator.masked.rounds.confirming import Confirming, ShownParts
from strategies.coordinator.masked.rounds.request import MaskedQuestions, MaskedRequest
from strategies.coordinator.messaging.cohort import Cohort, QuorumNotReached
from strategies.coordinator.messaging.events import Observer, SiteQuarantined, SumConfirmed
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.roster import Reception


class Masked(Encrypted):
    """An encrypted run whose uploads are closed a second time, by masks between pairs of sites.

    Guarantee: for each round the coordinator asks for the confirmation of one set only. The set,
    and all that its digest covers, is on disk before it asks, and stays the same after a restart.
    No sum is shown to a site without the confirmations. See `Encrypted` for the rest.

    Args:
        cohort: As in `Encrypted`.
        terms: The agreed parameters.
        observe: As in `Encrypted`, like `keep` and `reach`.
        keep: As in `Encrypted`.
        keep_before_sending: Stores a file durably before the next question is sent.
        reach: As in `Encrypted`.
    """

    _opening_kind = MaskedOpening
    _terms: MaskedTerms
    _question: MaskedRequest

    def __init__(
        self,
        *,
        cohort: Cohort,
        terms: MaskedTerms,
        observe: Observer,
        keep: Keep,
        keep_before_sending: Keep,
        reach: Reach,
    ) -> None:
        super().__init__(cohort=cohort, terms=terms, observe=observe, keep=keep, reach=reach)
        self._keep_before_sending = keep_before_sending
        self._masked = MaskedStanding()
        self._confirming: Confirming | None = None
        self._was_asked = False
        self._models: tuple[str, ...] = ()
        self._tried: Attempt

    def _resume(self, since: SealedStanding) -> tuple[str, ...]:
        self._masked = parse_masked_standing(since.masks)
        self._confirming = confirming_of(self._masked, since, self._terms)
        self._models = super()._resume(since)
        # It may have been asked: the same question must be the same bytes.
        self._was_asked = bool(self._masked.asked)
        return self._models

    def _standing(self, models: tuple[str, ...]) -> SealedStanding:
        self._models = models or self._models
        return replace(super()._standing(self._models), masks=self._masked.describe())

    def _store_progress(self, described: bytes) -> None:
        # A set is kept just before witnesses are asked to confirm it: that sends at once.
        waits = self._confirming is not None and not self._masked.confirmed
        keep = self._keep_before_sending if waits else self._keep
        keep(PROGRESS_FILE, [described])

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages to those who are asked together; the first also reports its state."""
        forms = self._terms.training_forms(self._roster.layout, server_round)
        self._ask(self._masked.asked, forms)
        reporter = min(self._question.nodes)
        return self._question.messages(messages.TRAIN, self._exchange(grid), reporter=reporter)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask sites to evaluate the final model."""
        form = self._terms.evaluation_form(self._roster.layout)
        self._ask(self._masked.asked, {EVALUATION: form})
        return self._question.messages(messages.EVALUATE, self._exchange(grid))

    def _train(self, reception: Reception, server_round: int) -> None:
        """Ask until the buckets are complete that the round needs; see `Encrypted`."""
        self._confirm(reception)
        self._attempt(reception, server_round, TRAINING)
        self._metrics.report_round(self._question)
        self._close_round(reception.exchange, server_round)

    def _finalise(self, reception: Reception, server_round: int) -> tuple[str, ...]:
        self._confirm(reception)
        return super()._finalise(reception, server_round)

    def _evaluate(self, reception: Reception, server_round: int) -> None:
        # Without some sites no counts are opened, but the others still confirm the final state.
        self._attempt(reception, server_round, EVALUATION)

    def _ask_for_release(self, reception: Reception) -> None:
        self._confirm(reception)
        super()._ask_for_release(reception)

    def _attempt(self, reception: Reception, server_round: int, purpose: str) -> None:
        """Ask for uploads of this purpose until a set of them is complete.

        Raises:
            RoundVoid: No attempt came about.
            SitesAwaited: The run sums one set of sites, and some of them are missing.
        """
        narrowed: tuple[str, ...] = ()
        # A question that is asked as it was may still name a site that is gone for good, so a
        # resumed run has one attempt more.
        last = max(self._terms.attempts, self._next.attempt + self._was_asked)
        last = min(last, MAX_ATTEMPTS)
        for attempt in range(self._next.attempt, last + 1):
            self._roster = reception.refresh_roster(self._roster, server_round)
            self._choose_asked(purpose, server_round, attempt, narrowed)
            self._gather_attempt(reception.exchange, server_round, purpose)
            if self._terms.one_set:
                self._await_missing(reception, server_round, purpose)
                return
            if self._is_accepted(purpose, is_last=attempt == last):
                return
            self._name_who_disputes(server_round, purpose)
            if self._lacks_sites(self._final.sites):
                self._raise_void(server_round, attempt)
            narrowed = self._tried.remaining if self._is_enough(self._tried.remaining) else ()
        self._raise_void(server_round, last)

    def _choose_asked(
        self, purpose: str, server_round: int, attempt: int, narrowed: tuple[str, ...]
    ) -> None:
        """Choose who is asked together, and store it if that is not stored yet."""
        asked = self._masked.asked
        if not self._was_asked:
            asked = narrowed or self._fresh_cohort(purpose, server_round)
        self._was_asked = False
        if (attempt, asked) != (self._next.attempt, self._masked.asked):
            self._next = replace(self._next, attempt=attempt)
            self._masked = replace(self._masked, asked=asked)
            self._keep_progress()

    def _fresh_cohort(self, purpose: str, server_round: int) -> tuple[str, ...]:
        """Return whom to ask first in a round.

        Raises:
            QuorumNotReached: Too few are present.
        """
        roster = self._opening.terms.roster
        if purpose == EVALUATION:
            return roster
        if self._terms.one_set:
            return tuple(site for site in roster if site in self._cohort.members)
        present = nodes_of(self._roster, roster)
        return self._cohort.sample(server_round, list(present))

    def _gather_attempt(self, exchange: Exchange, server_round: int, purpose: str) -> None:
        if purpose == TRAINING:
            asked = self.configure_train(server_round, *self._records(), exchange.grid)
            self.aggregate_train(server_round, exchange.replies(asked))
        else:
            asked = self.configure_evaluate(server_round, *self._records(), exchange.grid)
            self.aggregate_evaluate(server_round, exchange.replies(asked))
        self._tried = self._attempt_of(purpose)

    def _attempt_of(self, purpose: str) -> Attempt:
        sums = self._question.sums[purpose]
        agreed = sums.agreed_state(floor=1)
        buckets = {site: one.bucket for site, one in sums.added.items()}
        if purpose == TRAINING:
            told = {**self._masked.buckets, **buckets}
            self._masked = replace(self._masked, buckets=told)
        one_bucket = purpose == EVALUATION or self._terms.buckets == 1
        known = dict.fromkeys(self._masked.asked, 0) if one_bucket else self._masked.buckets
        return Attempt(
            asked=self._masked.asked,
            came={site: buckets[site] for site, one in sums.added.items() if one.state == agreed},
            buckets=known,
            sizes=bucket_sizes(len(self._opening.terms.roster), num_buckets=self._terms.buckets),
            floor=self._terms.floor,
        )

    def _await_missing(self, reception: Reception, server_round: int, purpose: str) -> None:
        """Ask those who are missing once more, in a run that sums one set of sites.

        Raises:
            SitesAwaited: Some stayed away, and without them, or their buckets, there is no round.
        """
        kind = messages.TRAIN if purpose == TRAINING else messages.EVALUATE
        for _ in range(1, self._terms.attempts):
            missing = [one for one in self._silent(purpose) if one not in self._final.sites]
            if not missing:
                break
            self._roster = reception.refresh_roster(self._roster, server_round)
            nodes = nodes_of(self._roster, missing)
            asked = self._question.messages_again(kind, reception.exchange, nodes)
            self._gather(reception.exchange.replies(asked))
            self._tried = self._attempt_of(purpose)
        if not self._is_accepted(purpose, is_last=True):
            missing = self._silent(purpose) or list(self._tried.missing)
            self._keep_awaited(server_round, purpose, missing)
            raise SitesAwaited(
                f"round {server_round} waits for {abbreviated_names(missing)}: this run sums one "
                f"set of sites in all rounds. What the others sealed is kept. {BRING_BACK}. Who is "
                "gone for good is let go by `consortium resume --without`, if all others sign it",
                missing=len(missing),
            )

    def _keep_awaited(self, server_round: int, purpose: str, missing: Sequence[str]) -> None:
        """Keep for whom the run waits, and in which state: it may go on from it without them."""
        state = self._question.sums[purpose].agreed_state(floor=1)
        awaited = AwaitedSites(sites=tuple(sorted(missing)), state=state or b"")
        self._keep(f"round-{server_round}/{AWAITED_FILE}", [awaited.encode()])
        self._keep_progress()  # the file is on the disk with it

    def _silent(self, purpose: str) -> list[str]:
        """Return who was asked and sent nothing that counts: who did is not asked once more."""
        added = self._question.sums[purpose].added
        return [site for site in self._masked.asked if site not in added]

    def _name_who_disputes(self, server_round: int, purpose: str) -> None:
        """Name the sites that signed another state than most, in an attempt that is void."""
        for site in self._question.sums[purpose].added:
            if self._tried.came and site not in self._tried.came:
                code = StateDisputed.code
                self._observe(SiteQuarantined(server_round=server_round, site=site, code=code))

    def _is_accepted(self, purpose: str, *, is_last: bool) -> bool:
        """Say whether the complete buckets make the round, and asking again would add none."""
        tried = self._tried
        gains = len(tried.remaining) > len(tried.counted) and self._is_enough(tried.remaining)
        valid = (
            self._is_enough(tried.counted)
            and (purpose == EVALUATION or len(tried.complete) >= self._terms.voters)
            and bool(tried.complete)
        )
        return valid and (is_last or not gains)

    def _is_enough(self, sites: Sequence[str]) -> bool:
        return len(sites) >= self._sites_needed

    @property
    def _sites_needed(self) -> int:
        # The sites want a state that more than half of all of them signed.
        fewest = max(self._terms.floor, len(self._opening.terms.roster) // 2 + 1)
        # Of a run that sums one set a whole bucket may be left out, whose sites are back later.
        return fewest if self._terms.one_set else max(fewest, super()._sites_needed)

    def _note_withheld(self) -> None:
        # Counts are of all sites or of none, so all withhold theirs if not all are asked.
        if self._masked.asked == self._opening.terms.roster:
            super()._note_withheld()

    def _counted_buckets(self) -> tuple[int, ...]:
        return self._tried.complete

    def _hold_set(self, purpose: str) -> None:
        """Choose the set that is confirmed, and keep all that it needs beside receipts and sums."""
        shown = self._next
        if purpose == STATISTICS and not shown.count_sum:
            return  # those of an earlier run stand, and nothing is opened
        doors = {
            one: Door.of(self._question, one, (shown.count_receipts, shown.count_sum))
            for one in self._question.sums
            if one != TRAINING
        }
        if purpose == TRAINING:
            sums = (shown.receipts, shown.sums)
            doors[TRAINING] = Door.of(self._question, TRAINING, sums, self._tried.complete)
        chosen = choose_set(self._question, purpose, doors)
        number = chosen.sum_set.slot.server_round
        self._keep(f"round-{number}/{SET_FILE}", [chosen.encode()])
        self._masked = replace(self._masked, asked=(), set_of=number, confirmed=False)
        self._confirming = Confirming(chosen=chosen, shown=ShownParts.of(shown), terms=self._terms)

    def _confirm(self, reception: Reception) -> None:
        """Let the witnesses confirm the set that was chosen last, unless they have.

        Raises:
            ConfirmationsMissing: Too few did; the set is kept.
        """
        confirming = self._confirming
        if confirming is None or self._masked.confirmed:
            return
        traffic, began = reception.exchange.traffic, time.monotonic()
        down, up, before = traffic.down, traffic.up, confirming.num_exchanges
        # Those who answered just now are there; after an interruption nobody has.
        first = [*self._question.replies] or confirming.witnesses
        self._roster = confirming.gather(reception, self._roster, first)
        self._name_who_failed(confirming)
        confirming.require_complete()
        slot = confirming.chosen.sum_set.slot
        self._observe(
            SumConfirmed(
                server_round=slot.server_round,
                purpose=slot.purpose,
                digest=confirming.chosen.sum_set.digest.hex(),
                confirmed_by=tuple(sorted(confirming.held)),
                needed=confirming.needed,
                refused=dict(sorted(confirming.refused.items())),
                exchanges=confirming.num_exchanges - before,
                bytes_down=traffic.down - down,
                bytes_up=traffic.up - up,
                seconds=time.monotonic() - began,
                not_awaited=confirming.not_awaited,
            )
        )
        folder = f"round-{slot.server_round}"
        self._keep(f"{folder}/{CONFIRMATIONS_FILE}", [confirming.confirmations])
        self._masked = replace(self._masked, asked=self._likely_cohort(), confirmed=True)
        self._keep_progress()

    def _likely_cohort(self) -> tuple[str, ...]:
        """Return whom to ask next if nobody comes or goes; nobody if too few are there.

        It is stored with the confirmations, so that it needs no write of its own as a rule.
        """
        number = self._next.server_round
        try:
            return self._fresh_cohort(
                TRAINING if number <= self._num_rounds else EVALUATION, number
            )
        except QuorumNotReached:
            return ()

    def _name_who_failed(self, confirming: Confirming) -> None:
        """Name whose shares cannot be opened and, if the set is not confirmed, who did not."""
        number = confirming.chosen.sum_set.slot.server_round
        named = dict.fromkeys(confirming.blamed, SharesUnreadable.code)
        if not confirming.is_complete:
            named = {**confirming.refused, **named}
        for site, code in sorted(named.items()):
            self._observe(SiteQuarantined(server_round=number, site=site, code=code))

    def _put(
        self,
        request: SealedRound,
        sites: Sequence[str],
        forms: Mapping[str, UploadForm],
        observe: Observer,
    ) -> MaskedRequest:
        """Make a question that says who is asked together, and which set was confirmed."""
        asked, part = tuple(sorted(sites)), MaskPart(asked=tuple(sorted(sites)))
        if self._confirming is not None and self._masked.confirmed:
            part = self._confirming.mask_part(asked)
        questions = self._questions(observe)
        self._question = questions.put(replace(request, masks=part.encode()), sites, forms)
        return self._question

    def _questions(self, observe: Observer) -> MaskedQuestions:
        return MaskedQuestions(
            terms=self._terms, roster=self._roster, keep=self._keep, observe=observe
        )
