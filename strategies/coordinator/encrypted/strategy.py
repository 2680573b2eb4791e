"""Encrypted rounds: the coordinator adds what it cannot read, and keeps what proves it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from privacy.errors import named
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, Slot
from privacy.protocol.key_messages import Opening
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.ciphertext_sums import CiphertextSums, Keep, UploadForm
from strategies.coordinator.encrypted.delayed_metrics import DelayedMetrics
from strategies.coordinator.encrypted.key_setup import KeyExchange
from strategies.coordinator.encrypted.parameters import RoundVoid, SealedTerms
from strategies.coordinator.encrypted.progress import (
    LAYOUT_FILE,
    OPENING_FILE,
    PROGRESS_FILE,
    STATE_FILE,
    SealedProgress,
    SealedStanding,
    majority,
)
from strategies.coordinator.encrypted.request import SealedRequest, nodes_of, reported
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import Observer, SitesJoined
from strategies.coordinator.messaging.exchange import ByteCount, Exchange
from strategies.coordinator.messaging.reply_validation import answered
from strategies.coordinator.messaging.roster import Reception, Roster

_OPENINGS = 4


class Encrypted(Strategy):
    """The round of docs/protocol.md on Flower's Message API.

    Guarantee: the coordinator holds no secret and reads no update, no tally of one site, nor the
    model; it adds each upload as it arrives, in memory that does not grow with the number of
    sites, and keeps receipts, sums, sealed states and the uploads of the last rounds, from which
    anybody can see whether it added right.

    Args:
        cohort: Who takes part, how many must answer, how long is waited.
        terms: What every reply is held against.
        observe: Told what happens.
        keep: Keeps a file of the coordinator's, durably, before it is acted upon.
    """

    def __init__(
        self, *, cohort: Cohort, terms: SealedTerms, observe: Observer, keep: Keep
    ) -> None:
        self._cohort = cohort
        self._terms = terms
        self._observe = observe
        self._keep = keep
        self._traffic = ByteCount()
        self._telling = DelayedMetrics(observe, terms.evaluation.tally_size)
        self._opening: Opening
        self._roster: Roster
        self._question: SealedRequest
        self._next: SealedRound

    def start(  # type: ignore[override]  # a run starts from nothing: no arrays are handed in
        self, grid: Grid, num_rounds: int, *, since: SealedStanding | None = None
    ) -> SealedProgress:
        """Exchange keys, run all rounds, evaluate the final model, and release what may be.

        Guarantee: a run that goes on from what its coordinator kept ends in the same model as one
        that was not interrupted; no site trains again for a question it has answered.

        Args:
            grid: Flower's message bus.
            num_rounds: Rounds that move the model, those before an interruption included.
            since: What was kept last, if the run was interrupted.

        Raises:
            OtherLayout: The sites would no longer train the vector of the run.
            QuorumNotReached: Too few sites are there.
            RoundVoid: A round did not come about; what was reached is kept.
            NoOpener: Nobody could make or open what the run needs.
        """
        exchange = self._exchange(grid)
        reception = Reception(
            exchange=exchange,
            cohort=self._cohort,
            charter=self._terms.charter,
            max_examples=0,
            observe=self._observe,
        )
        self._roster = reception.join()
        absent = tuple(name for name in self._cohort.members if name not in self._roster.sites)
        unknown = dict.fromkeys(self._roster.sites, 0)  # a weight shows in the receipts only
        self._observe(SitesJoined(sites=self._roster.sites, absent=absent, weights=unknown))
        models = self._begin(exchange) if since is None else self._go_on(since)
        try:
            for server_round in range(self._next.server_round, num_rounds + 1):
                self._train(reception, server_round)
            models = models or self._finalise(reception, num_rounds + 1)
            self._release(exchange)
        finally:
            self._telling.tell(self._question)
        return SealedProgress(
            layout=self._roster.layout,
            rounds=num_rounds,
            run=self._opening.run,
            model_digest=majority(models),
        )

    def _begin(self, exchange: Exchange) -> tuple[str, ...]:
        described = json.dumps(self._roster.layout.describe()).encode()
        self._keep(LAYOUT_FILE, [described])
        self._open(exchange)
        self._keep_progress()
        return ()

    def _go_on(self, since: SealedStanding) -> tuple[str, ...]:
        self._roster.require_layout(since.layout)
        self._opening, self._next = since.opening, since.request
        self._telling.untold = since.untold
        self._ask((), {})
        return since.models

    def _keep_progress(self, models: tuple[str, ...] = ()) -> None:
        """Keep where the run stands, when everything else of the last round is kept."""
        standing = SealedStanding(
            layout=self._roster.layout,
            request=self._next,
            untold=self._telling.untold,
            models=models,
        )
        self._keep(PROGRESS_FILE, [standing.describe()])

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask this round's cohort; the first is to report its state."""
        present = nodes_of(self._roster, self._opening.terms.roster)
        cohort = self._cohort.sample(server_round, list(present))
        layout = self._roster.layout
        doors = {
            TRAINING: self._terms.update_door(layout),
            EVALUATION: self._terms.evaluation_door(layout),
        }
        self._ask(cohort, doors)
        return self._question.messages(messages.TRAIN, self._exchange(grid), reporter=min(cohort))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Add the uploads as they come; return no arrays: there are none to be read."""
        self._question.gather(replies)
        return None, MetricRecord({"num-sites": len(self._question.replies)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask every site of the run to evaluate the final model."""
        door = self._terms.evaluation_door(self._roster.layout)
        self._ask(self._opening.terms.roster, {EVALUATION: door})
        return self._question.messages(messages.EVALUATE, self._exchange(grid))

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Add the sealed counts as they come."""
        self._question.gather(replies)
        return MetricRecord({"num-sites": len(self._question.replies)})

    def summary(self) -> None:
        """Say nothing: the run config and every event are recorded in the run directory."""

    def _exchange(self, grid: Grid) -> Exchange:
        return Exchange(grid=grid, deadline_s=self._cohort.deadline_s, traffic=self._traffic)

    def _open(self, exchange: Exchange) -> None:
        """Agree on an epoch, open the run, and count: again with those who answered, if not all."""
        keys = KeyExchange(
            exchange=exchange, agreement=self._terms.agreement, observe=self._observe
        )
        sites: Sequence[str] = keys.agree(self._roster)
        lineage = ""
        for _ in range(_OPENINGS):
            self._cohort.require_quorum(sites)
            self._opening, encoded = keys.open_run(
                self._roster, sites, label=self._terms.label, lineage=lineage
            )
            lineage = lineage or self._opening.run
            self._keep(OPENING_FILE, [encoded])
            self._next = SealedRound(
                charter=self._terms.charter, server_round=0, attempt=1, opening=encoded
            )
            if self._statistics(exchange):
                return
            sites = tuple(self._question.replies)
        raise RoundVoid(
            f"the statistics need every site of the run, and {_OPENINGS} openings did not bring "
            "them together; see who was left out",
            openings=_OPENINGS,
        )

    def _statistics(self, exchange: Exchange) -> bool:
        door = self._terms.statistics_door(self._roster.layout)
        self._ask(self._opening.terms.roster, {STATISTICS: door})
        asked = self._question.messages(messages.STATISTICS, exchange)
        self._question.gather(exchange.replies(asked))
        receipts, counted = self._complete(STATISTICS)
        self._next = replace(self._next, server_round=1, count_receipts=receipts, count_sum=counted)
        return bool(receipts)

    def _train(self, reception: Reception, server_round: int) -> None:
        """Do a round, again if it did not come about, after waiting for those that are gone."""
        exchange = reception.exchange
        for attempt in range(self._next.attempt, self._terms.attempts + 1):
            self._roster = reception.welcome(self._roster, server_round)
            if attempt != self._next.attempt:
                self._next = replace(self._next, attempt=attempt)
                self._keep_progress()
            asked = self.configure_train(server_round, *self._records(), exchange.grid)
            self.aggregate_train(server_round, exchange.replies(asked))
            if self._came_about():
                break
        else:
            self._refuse(server_round)
        self._telling.tell(self._question)
        self._turn(exchange, server_round)

    def _came_about(self) -> bool:
        updates, floor = self._question.sums[TRAINING], self._terms.floor
        return (
            len(updates.counted(floor=floor)) >= self._cohort.quorum
            and len(updates.buckets(floor=floor)) >= self._terms.voters
            and updates.agreed_state(floor=floor) is not None
        )

    def _refuse(self, server_round: int) -> None:
        came = self._question.replies
        missing = sorted(set(self._opening.terms.roster) - set(came))
        raise RoundVoid(
            f"round {server_round} did not come about in {self._terms.attempts} attempts: "
            f"{len(came)} sites answered, missing: {named(missing) or 'none'}. Bring them "
            "back, or see why they refused, and run again",
            attempts=self._terms.attempts,
            came=len(came),
        )

    def _turn(self, exchange: Exchange, server_round: int) -> None:
        """Keep everything of the round, and make the message of the next one."""
        state = reported(self._question, exchange, floor=self._terms.floor)
        self._keep(f"round-{server_round}/{STATE_FILE}", [state])
        receipts, sums = self._question.sums[TRAINING].finished(floor=self._terms.floor)
        count_receipts, count_sum = self._complete(EVALUATION)
        self._telling.hold(self._question, self._traffic)
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
        self._keep_progress()

    def _complete(self, purpose: str) -> tuple[bytes, bytes]:
        """Return receipts and sum of tallies; nothing unless every site of the run is in it."""
        counted = self._question.sums[purpose]
        if len(counted.added) < len(self._opening.terms.roster):
            return b"", b""
        return counted.finished(floor=self._terms.floor)

    def _finalise(self, reception: Reception, server_round: int) -> tuple[str, ...]:
        """Let the sites open the last round, evaluate and export; return their model digests."""
        exchange = reception.exchange
        self._roster = reception.welcome(self._roster, server_round)
        asked = self.configure_evaluate(server_round, *self._records(), exchange.grid)
        self.aggregate_evaluate(server_round, exchange.replies(asked))
        self._telling.tell(self._question)
        self._cohort.require_quorum(list(self._question.replies))
        receipts, counted = self._complete(EVALUATION)
        self._telling.hold(self._question, self._traffic)
        self._next = SealedRound(
            charter=self._next.charter,
            server_round=server_round + 1,
            attempt=1,
            opening=self._next.opening,
            count_receipts=receipts,
            count_sum=counted,
        )
        models = tuple(reply.model.hex() for reply in self._question.replies.values())
        self._keep_progress(models)
        return models

    def _release(self, exchange: Exchange) -> None:
        self._ask(self._opening.terms.roster, {})
        asked = self._question.messages(sealed_messages.RELEASE, exchange)
        self._question.gather(exchange.replies(asked))

    def _records(self) -> tuple[ArrayRecord, ConfigRecord]:
        return wire.parts(self._next.content())

    def _ask(self, sites: Sequence[str], doors: dict[str, UploadForm]) -> None:
        roster = self._terms.agreement.roster(self._opening.terms.roster)
        self._question = SealedRequest(
            request=self._next,
            nodes=nodes_of(self._roster, sites),
            sums={
                purpose: CiphertextSums(
                    door=door, slot=self._slot(purpose), roster=roster, keep=self._keep
                )
                for purpose, door in doors.items()
            },
            read=self._read,
            observe=self._observe,
        )

    def _slot(self, purpose: str) -> Slot:
        return Slot(
            run=self._opening.run,
            purpose=purpose,
            server_round=self._next.server_round,
            attempt=self._next.attempt,
        )

    def _read(self, reply: Message) -> SealedReply:
        counts = max(self._terms.evaluation.upload_bytes, self._terms.statistics.upload_bytes)
        return SealedReply.read(
            answered(reply),
            upload_bytes=self._terms.updates(self._roster.layout).upload_bytes,
            count_bytes=counts,
            tally_size=self._terms.evaluation.tally_size,
        )
