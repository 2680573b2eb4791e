"""Encrypted rounds: the coordinator adds ciphertexts that it cannot read, and stores the proof."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from privacy.errors import abbreviated_names, number_of
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING
from privacy.protocol.key_messages import Opening
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.delayed_metrics import DelayedMetrics
from strategies.coordinator.encrypted.opening.run_opening import RunOpening
from strategies.coordinator.encrypted.parameters import RoundVoid, SealedTerms
from strategies.coordinator.encrypted.progress import (
    LAYOUT_FILE,
    PROGRESS_FILE,
    STATE_FILE,
    Reach,
    SealedProgress,
    SealedStanding,
)
from strategies.coordinator.encrypted.refusals import COUNTS_REFUSED, refused_buckets
from strategies.coordinator.encrypted.rounds.ciphertext_sums import Keep, UploadForm
from strategies.coordinator.encrypted.rounds.questions import Questions
from strategies.coordinator.encrypted.rounds.request import (
    SealedRequest,
    collect_state,
    finish_counts,
    nodes_of,
)
from strategies.coordinator.ledger_comparison import LedgerComparison
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import EvaluationWithheld, Observer, SitesJoined
from strategies.coordinator.messaging.exchange import ByteCount, Exchange
from strategies.coordinator.messaging.refusal_finality import FinalRefusals
from strategies.coordinator.messaging.roster import Reception, Roster


class Encrypted(Strategy):
    """The round of docs/protocol.md on Flower's Message API.

    Guarantee: the coordinator holds no secret and cannot read an update, the tally of a site, or
    the model. It adds each upload as it arrives, in memory that does not grow with the number of
    sites. It stores receipts, sums, sealed states and the uploads of the last rounds, from which
    anybody can check that it added correctly.

    Args:
        cohort: Who takes part, how many must answer, how long to wait.
        terms: The agreed parameters against which every reply is checked.
        observe: Receives the events.
        keep: Stores a file of the coordinator durably, before the run acts on its content.
        reach: Receives how far the run is, as soon as that is stored.
    """

    _opening_kind: ClassVar[type[RunOpening]] = RunOpening

    def __init__(
        self, *, cohort: Cohort, terms: SealedTerms, observe: Observer, keep: Keep, reach: Reach
    ) -> None:
        self._cohort = cohort
        self._terms = terms
        self._observe = self._final = FinalRefusals(observe)
        self._keep = keep
        self._reach = reach
        self._num_rounds: int
        self._traffic = ByteCount()
        self._metrics = DelayedMetrics(observe, terms.counts, terms.bins)
        self._opening: Opening
        self._roster: Roster
        self._question: SealedRequest
        self._next: SealedRound

    # Flower's `start` has arrays in and out, and no second attempt: the loop itself is overridden.
    def start(  # type: ignore[override]
        self, grid: Grid, num_rounds: int, *, since: SealedStanding | None = None
    ) -> SealedProgress:
        """Exchange keys, run all rounds, evaluate the final model, and release what may be.

        Guarantee: a resumed run ends with the same model as a run that was not interrupted. No
        site trains again for a question that it has answered.

        Args:
            grid: Flower's message bus.
            num_rounds: Number of rounds that move the model, those before an interruption included.
            since: The stored standing, if the run was interrupted.

        Raises:
            OtherLayout: The sites would now train another vector.
            QuorumNotReached: Too few sites are present.
            RoundVoid: A round failed in all attempts; the progress so far is stored.
            NoOpener: No opener could make the epoch secret or open the run.
        """
        self._num_rounds = num_rounds
        exchange = self._exchange(grid)
        reception = Reception(
            exchange=exchange,
            cohort=self._cohort,
            charter=self._terms.charter,
            max_examples=0,
            observe=self._observe,
        )
        self._roster = reception.await_members()
        absent = tuple(name for name in self._cohort.members if name not in self._roster.sites)
        unknown = dict.fromkeys(self._roster.sites, 0)  # a weight shows in the receipts only
        dim = self._roster.layout.dim
        self._observe(
            SitesJoined(sites=self._roster.sites, absent=absent, weights=unknown, dim=dim)
        )
        compared = self._compare_ledgers(exchange)
        models = self._begin(exchange, compared) if since is None else self._resume(since)
        try:
            for server_round in range(self._next.server_round, num_rounds + 1):
                self._train(reception, server_round)
            models = models or self._finalise(reception, num_rounds + 1)
            self._ask_for_release(reception)
            self._metrics.report_round(self._question)
        finally:
            # However the run ends: one round is held back still if it stopped.
            self._metrics.report_round(self._question, stopped=True)
        return self._standing(models).progress(num_rounds)

    def _compare_ledgers(self, exchange: Exchange) -> tuple[str, ...]:
        if not self._terms.compares_ledgers:
            return self._roster.sites
        comparison = LedgerComparison(
            exchange=exchange, agreement=self._terms.agreement, observe=self._observe
        )
        return comparison.carry(self._roster)

    def _begin(self, exchange: Exchange, compared: Collection[str]) -> tuple[str, ...]:
        self._keep(LAYOUT_FILE, [json.dumps(self._roster.layout.describe()).encode()])
        self._opening, self._next = self._run_opening(exchange).open(compared)
        self._hold_set(STATISTICS)
        self._keep_progress()
        return ()

    def _run_opening(self, exchange: Exchange) -> RunOpening:
        return self._opening_kind(
            exchange=exchange,
            cohort=self._cohort,
            terms=self._terms,
            roster=self._roster,
            ask=self._put,
            keep=self._keep,
            observe=self._observe,
            num_rounds=self._num_rounds,
        )

    def _resume(self, since: SealedStanding) -> tuple[str, ...]:
        self._roster.require_layout(since.layout)
        self._opening, self._next = since.opening, since.request
        self._metrics.untold = since.untold
        self._ask((), {})
        return since.models

    def _keep_progress(self, models: tuple[str, ...] = ()) -> None:
        """Store the run's standing, after everything else of the last round was stored."""
        standing = self._standing(models)
        self._store_progress(standing.describe())
        self._reach(standing.progress(self._num_rounds))

    def _store_progress(self, described: bytes) -> None:
        self._keep(PROGRESS_FILE, [described])

    def _standing(self, models: tuple[str, ...]) -> SealedStanding:
        return SealedStanding(
            layout=self._roster.layout,
            request=self._next,
            untold=self._metrics.untold,
            models=models,
        )

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages to this round's cohort; the first site also reports its state."""
        present = nodes_of(self._roster, self._opening.terms.roster)
        cohort = self._cohort.sample(server_round, list(present))
        self._ask(cohort, self._terms.training_forms(self._roster.layout, server_round))
        return self._question.messages(messages.TRAIN, self._exchange(grid), reporter=min(cohort))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Add the uploads as they arrive. No arrays are returned: the coordinator can read none."""
        self._gather(replies)
        return None, MetricRecord({"num-sites": len(self._question.replies)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask every site of the run to evaluate the final model."""
        form = self._terms.evaluation_form(self._roster.layout)
        self._ask(self._opening.terms.roster, {EVALUATION: form})
        return self._question.messages(messages.EVALUATE, self._exchange(grid))

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Add the sealed counts as they arrive."""
        self._gather(replies)
        return MetricRecord({"num-sites": len(self._question.replies)})

    def _gather(self, replies: Iterable[Message]) -> None:
        self._question.gather(replies)
        for refused in refused_buckets(self._question):
            self._observe(refused)

    def summary(self) -> None:
        """Print nothing: the run config and every event are recorded in the run directory."""

    def _exchange(self, grid: Grid) -> Exchange:
        return Exchange(grid=grid, deadline_s=self._cohort.deadline_s, traffic=self._traffic)

    def _train(self, reception: Reception, server_round: int) -> None:
        """Run a round; if it is void, wait for missing sites and try again, if that can help."""
        exchange = reception.exchange
        for attempt in range(self._next.attempt, self._terms.attempts + 1):
            self._roster = reception.refresh_roster(self._roster, server_round)
            if attempt != self._next.attempt:
                self._next = replace(self._next, attempt=attempt)
                self._keep_progress()
            asked = self.configure_train(server_round, *self._records(), exchange.grid)
            self.aggregate_train(server_round, exchange.replies(asked))
            if self._is_valid_round():
                break
            if self._lacks_sites(self._final.sites):
                self._raise_void(server_round, attempt)
        else:
            self._raise_void(server_round, self._terms.attempts)
        self._metrics.report_round(self._question)
        self._close_round(exchange, server_round)

    def _is_valid_round(self) -> bool:
        updates, floor = self._question.sums[TRAINING], self._terms.floor
        return (
            len(updates.counted_sites(floor=floor)) >= self._sites_needed
            and len(updates.buckets(floor=floor)) >= self._terms.voters
            and updates.agreed_state(floor=floor) is not None
        )

    @property
    def _sites_needed(self) -> int:
        return len(self._opening.terms.roster) if self._terms.exact else self._cohort.quorum

    def _lacks_sites(self, without: Collection[str]) -> bool:
        """Return whether a round cannot come about without these sites."""
        return len(set(self._opening.terms.roster) - set(without)) < self._sites_needed

    def _raise_void(self, server_round: int, attempts: int) -> None:
        came = self._question.replies
        missing = sorted(set(self._opening.terms.roster) - set(came))
        raise RoundVoid(
            f"round {server_round} did not come about in {number_of(attempts, 'attempt')}: "
            f"{number_of(len(came), 'site')} answered, missing: "
            f"{abbreviated_names(missing) or 'none'}. Bring "
            "them back, or see why they refused, and run again",
            attempts=attempts,
            came=len(came),
        )

    def _close_round(self, exchange: Exchange, server_round: int) -> None:
        """Store everything of the round, and make the request of the next one."""
        # The progress file is written last. After a crash before it, the round is asked again, and
        # every site gives the same answer again.
        state = collect_state(self._question, exchange, purpose=TRAINING, floor=self._terms.floor)
        self._keep(f"round-{server_round}/{STATE_FILE}", [state])
        receipts, sums = self._question.sums[TRAINING].finish_buckets(self._counted_buckets())
        everyone, floor = len(self._opening.terms.roster), self._terms.floor
        count_receipts, count_sum = b"", b""
        if EVALUATION in self._question.sums:
            count_receipts, count_sum = finish_counts(
                self._question, EVALUATION, num_sites=everyone, floor=floor
            )
        self._note_withheld()
        self._metrics.hold_round(self._question, self._traffic)
        self._next = replace(
            self._next,
            server_round=server_round + 1,
            attempt=1,
            receipts=receipts,
            sums=sums,
            state=state,
            count_receipts=count_receipts,
            count_sum=count_sum,
        )
        self._hold_set(TRAINING)
        self._keep_progress()

    def _counted_buckets(self) -> tuple[int, ...]:
        """Return the buckets of a valid round whose sums are shown."""
        return self._question.sums[TRAINING].buckets(floor=self._terms.floor)

    def _hold_set(self, _purpose: str) -> None:
        """Hold what the next question needs of the sums of this purpose, before it is stored."""

    def _note_withheld(self) -> None:
        counted = self._question.sums.get(EVALUATION)
        withheld = counted.withheld if counted else ()
        if withheld:
            number = self._question.request.server_round
            self._observe(EvaluationWithheld(server_round=number, withheld_by=withheld))

    def _finish_evaluation(self) -> tuple[bytes, bytes]:
        """Return receipts of the final state, and the sum of counts; that only if all are in it.

        Raises:
            RoundVoid: Not more than half of the run's sites signed the same final state.
        """
        # A model is confirmed by receipts alone, and needs not every site as counts do.
        counted, floor = self._question.sums[EVALUATION], self._terms.floor
        if counted.agreed_state(floor=floor) is None:
            raise RoundVoid(
                f"{number_of(len(counted.added), 'site')} evaluated the final state, and not "
                "more than half of "
                "all sites of the run signed the same one: see who was left out, bring them back, "
                "and resume",
                came=len(counted.added),
            )
        receipts, summed = counted.finish_sums(floor=floor)
        everyone = len(counted.added) == len(self._opening.terms.roster)
        return receipts, summed if everyone and not counted.withheld else b""

    def _finalise(self, reception: Reception, server_round: int) -> tuple[str, ...]:
        """Let the sites open the last round, evaluate and export the model; return its digests."""
        self._evaluate(reception, server_round)
        self._metrics.report_round(self._question)
        self._cohort.require_quorum(list(self._question.replies))
        receipts, counted = self._finish_evaluation()
        self._note_withheld()
        self._metrics.hold_round(self._question, self._traffic)
        self._next = SealedRound(
            charter=self._next.charter,
            server_round=server_round + 1,
            attempt=1,
            opening=self._next.opening,
            count_receipts=receipts,
            count_sum=counted,
        )
        models = tuple(reply.model.hex() for reply in self._question.replies.values())
        self._hold_set(EVALUATION)
        self._keep_progress(models)
        return models

    def _evaluate(self, reception: Reception, server_round: int) -> None:
        exchange = reception.exchange
        self._roster = reception.refresh_roster(self._roster, server_round)
        asked = self.configure_evaluate(server_round, *self._records(), exchange.grid)
        self.aggregate_evaluate(server_round, exchange.replies(asked))

    def _ask_for_release(self, reception: Reception) -> None:
        """Let the sites confirm the model, and release the counts of its evaluation.

        Raises:
            QuorumNotReached: Too few sites confirmed it; it is asked again when the run is resumed.
        """
        exchange = reception.exchange
        self._ask(self._opening.terms.roster, {})
        asked = self._question.messages(sealed_messages.RELEASE, exchange)
        self._question.gather(exchange.replies(asked))
        # A site confirms its model before it opens the counts, so a spoiled part of those does not
        # keep the run from ending.
        opened = [
            site for site, one in self._question.left_out.items() if one.code in COUNTS_REFUSED
        ]
        self._cohort.require_quorum([*self._question.replies, *opened])

    def _records(self) -> tuple[ArrayRecord, ConfigRecord]:
        return wire.arrays_and_facts(self._next.content())

    def _ask(self, sites: Sequence[str], forms: Mapping[str, UploadForm]) -> None:
        self._put(self._next, sites, forms, self._observe)

    def _put(
        self,
        request: SealedRound,
        sites: Sequence[str],
        forms: Mapping[str, UploadForm],
        observe: Observer,
    ) -> SealedRequest:
        """Make a question, which is then the present one."""
        self._question = self._questions(observe).put(request, sites, forms)
        return self._question

    def _questions(self, observe: Observer) -> Questions:
        return Questions(terms=self._terms, roster=self._roster, keep=self._keep, observe=observe)
