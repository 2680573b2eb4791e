"""Synchronous rounds in the clear: the coordinator reads the updates and can apply any rule."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from privacy.compression.update_form import UpdateForm
from privacy.errors import abbreviated_names
from privacy.layout import Tally
from privacy.wire import flower_records as wire
from privacy.wire import messages
from strategies import model_state
from strategies.coordinator.ledger_comparison import LedgerComparison
from strategies.coordinator.messaging.cohort import Cohort, QuorumNotReached
from strategies.coordinator.messaging.events import (
    Observer,
    RoundFinished,
    RoundStarted,
    SiteAnswered,
    SitesCompared,
    SitesJoined,
    StatisticsPooled,
)
from strategies.coordinator.messaging.exchange import ByteCount, Exchange
from strategies.coordinator.messaging.refusal_finality import FinalRefusals
from strategies.coordinator.messaging.reply_validation import (
    Quarantine,
    checked_contribution,
    checked_counts,
)
from strategies.coordinator.messaging.roster import Reception, Roster
from strategies.coordinator.plaintext.aggregation_buffer import (
    Gather,
    Gathering,
    StackedUpdates,
    UpdateDeviation,
)
from strategies.coordinator.plaintext.parameters import Progress, Terms


@dataclass
class _Round:
    number: int
    sites: Mapping[int, str]
    began: float
    tally: Tally
    traffic: ByteCount
    form: UpdateForm | None
    answered: list[str] = field(default_factory=list)
    asked_in: list[int] = field(default_factory=list)  # of each who answered, if not all in this
    unchanged: list[str] = field(default_factory=list)
    counted: bool = False  # whether a tally came, if only zeros in the place of a withheld one


class Synchronous(Strategy):
    """One cohort per round, in the clear. The coordinator sees each update as it arrives.

    Guarantee: a reply is used only if it is exactly as agreed. Otherwise its site is left out of
    the round with a typed reason, and the run goes on while the quorum is met. With the mean the
    coordinator holds one reply at a time, whatever the number of sites. The result does not depend
    on the order of arrival.

    Args:
        gather: How what the sites send in a round is aggregated.
        step: How the model starts, and how the aggregate moves it.
        cohort: Who takes part, how many must answer, how long to wait.
        terms: The agreed parameters against which every reply is checked.
        observe: Receives the events.
        keep: Stores the progress, before the first round and after each round, once all its
            events were observed, so that nothing is lost however the run stops.
    """

    def __init__(
        self,
        *,
        gather: Gather,
        step: model_state.ModelStep,
        cohort: Cohort,
        terms: Terms,
        observe: Observer,
        keep: Callable[[Progress], None],
    ) -> None:
        self._gather = gather
        self._step = step
        self._cohort = cohort
        self._terms = terms
        self._observe = self._final = FinalRefusals(observe)
        self._keep = keep
        self._traffic = ByteCount()
        self._compared = set[str]()
        self._roster: Roster
        self._progress: Progress
        self._round: _Round

    # Flower's `start` takes initial arrays, goes on after a failed round and cannot resume. So the
    # loop itself is overridden; `configure_*` and `aggregate_*` keep Flower's signatures.
    def start(  # type: ignore[override]
        self, grid: Grid, num_rounds: int, *, since: Progress | None = None
    ) -> Progress:
        """Run all rounds and a final evaluation; return the final progress.

        Guarantee: a resumed run ends with the same model as a run that was not interrupted.

        Args:
            grid: Flower's message bus.
            num_rounds: Number of rounds that move the model, those before an interruption included.
            since: The stored progress, if the run was interrupted.

        Raises:
            QuorumNotReached: Too few sites took part in every attempt at a round; the progress so
                far is stored.
            OtherLayout: The sites would now train another vector.
        """
        reception = Reception(
            exchange=self._exchange(grid),
            cohort=self._cohort,
            charter=self._terms.charter,
            max_examples=self._terms.max_examples,
            observe=self._observe,
        )
        self._roster = reception.await_members()
        self._observe(self._sites_joined())
        self._progress = self._begin(reception) if since is None else self._resume(since)
        for server_round in range(self._progress.state.server_round + 1, num_rounds + 1):
            self._attempt_round(reception, server_round, self._train)
        self._attempt_round(reception, num_rounds + 1, self._evaluate)
        return self._progress

    def _begin(self, reception: Reception) -> Progress:
        self._attempt_round(reception, 0, self._pool_statistics)
        layout = self._roster.layout
        state = self._step.start(layout.dim)
        begun = Progress(
            run=self._terms.run,
            layout=layout,
            statistics=self._round.tally,
            state=state,
            score_bins=self._terms.bins.first,
        )
        self._keep(begun)
        return begun

    def _resume(self, since: Progress) -> Progress:
        self._roster.require_layout(since.layout)
        return since

    def _attempt_round(
        self, reception: Reception, server_round: int, ask: Callable[[Grid, int], None]
    ) -> None:
        """Run a round; if too few sites answer, wait for missing sites and try again.

        It is not tried again for sites that would refuse again.
        """
        left = self._terms.attempts
        while True:
            left -= 1
            self._roster = reception.refresh_roster(self._roster, server_round)
            self._compare_ledgers(reception.exchange)
            try:
                return ask(reception.exchange.grid, server_round)
            except QuorumNotReached:
                if left < 1 or not self._cohort.can_reach_quorum(without=self._final.sites):
                    raise

    def _compare_ledgers(self, exchange: Exchange) -> None:
        """Let the sites compare their ledgers, once all of a start, and again if more came."""
        agreement, there = self._terms.agreement, set(self._roster.sites)
        if agreement is None or there <= self._compared:
            return
        self._compared |= there
        LedgerComparison(exchange=exchange, agreement=agreement, observe=self._observe).carry(
            self._roster
        )

    def _train(self, grid: Grid, server_round: int) -> None:
        asked = self.configure_train(server_round, *self._position(server_round), grid)
        self.aggregate_train(server_round, self._exchange(grid).replies(asked))

    def _evaluate(self, grid: Grid, server_round: int) -> None:
        asked = self.configure_evaluate(server_round, *self._position(server_round), grid)
        self.aggregate_evaluate(server_round, self._exchange(grid).replies(asked))

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask this round's cohort to train."""
        # Sums over other sites in each round would be those of no records: Newton's steps on them
        # end nowhere.
        cohort = self._progress.summed or self._cohort.sample(server_round, self._roster.sites)
        self._require_summed(self._roster.sites)
        content = train_content(arrays, config)
        return self._ask_sites(messages.TRAIN, server_round, cohort, content, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Move the model by the replies; return its new arrays and the number of sites used."""
        state = self._progress.state
        gathering = self._gather.begin(state)
        self._take_all(replies, gathering)
        self._cohort.require_quorum(self._round.answered)
        self._require_summed(self._round.answered)
        self._move(gathering)
        arrays, _ = self._position(server_round + 1)
        return arrays, MetricRecord({"num-sites": len(self._round.answered)})

    def _take_all(self, replies: Iterable[Message], gathering: Gathering) -> None:
        """Take one reply after the other; what cannot be used leaves its site out of the round."""
        for reply in replies:
            with Quarantine(self._observe, self._round.number, self._site_of(reply)):
                self._take_update(reply, gathering)
            # Before the next reply is pulled: with the mean, only one is ever in memory.
            del reply

    def _move(self, gathering: Gathering) -> None:
        """Move the model by what a round gathered, and keep how far the run is."""
        aggregate = gathering.result()
        if isinstance(gathering, StackedUpdates):
            self._report_deviation(gathering.deviation_from(aggregate))
        before = self._progress
        self._finish_round(self._step.after(before.state, before.statistics, aggregate))

    def _require_summed(self, there: Sequence[str]) -> None:
        """Check that all sites of the first exact sum are there.

        Raises:
            QuorumNotReached: One is not; it names the missing ones.
        """
        missing = tuple(name for name in self._progress.summed if name not in there)
        if missing:
            error = QuorumNotReached(
                "every round of exact sums is over the same sites, and "
                f"{abbreviated_names(missing)} did not answer. Bring them back, and resume the run",
                needed=len(self._progress.summed),
                came=len(self._progress.summed) - len(missing),
            )
            error.missing = missing
            raise error

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return the messages that ask every present site to evaluate."""
        content = train_content(arrays, config)
        return self._ask_sites(messages.EVALUATE, server_round, self._roster.sites, content, grid)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Add up the evaluation counts; return the number of sites used."""
        self._add_counts(replies, self._check_evaluation)
        self._cohort.require_quorum(self._round.answered)
        self._tell_finished()
        return MetricRecord({"num-sites": len(self._round.answered)})

    def summary(self) -> None:
        """Print nothing: the run config and every event are recorded in the run directory."""

    def _exchange(self, grid: Grid) -> Exchange:
        return Exchange(grid=grid, deadline_s=self._cohort.deadline_s, traffic=self._traffic)

    def _sites_joined(self) -> SitesJoined:
        present = self._roster.present
        weights = {
            site: int(self._terms.weigh(member.num_examples)) if member.num_examples else 0
            for site, member in present.items()
        }
        absent = tuple(name for name in self._cohort.members if name not in present)
        return SitesJoined(
            sites=self._roster.sites, absent=absent, weights=weights, dim=self._roster.layout.dim
        )

    def _pool_statistics(self, grid: Grid, server_round: int) -> None:
        content = messages.question(self._terms.charter)
        asked = self._ask_sites(
            messages.STATISTICS, server_round, self._roster.sites, content, grid
        )
        self._add_counts(self._exchange(grid).replies(asked), self._terms.check_statistics)
        self._cohort.require_quorum(self._round.answered)
        self._observe(StatisticsPooled(pooled=self._round.tally))

    def _ask_sites(
        self, kind: str, server_round: int, sites: Iterable[str], content: RecordDict, grid: Grid
    ) -> Iterable[Message]:
        nodes = {self._roster.present[site].node: site for site in sites}
        size = (
            self._terms.statistics_size
            if kind == messages.STATISTICS
            else self._terms.evaluation_size
        )
        self._round = _Round(
            number=server_round,
            sites=nodes,
            began=time.monotonic(),
            tally=np.zeros(size, np.int64),
            traffic=ByteCount(self._traffic.down, self._traffic.up),
            # Once a round: where numbers are pruned, it is found from the whole model.
            form=self._form() if kind == messages.TRAIN else None,
        )
        self._observe(RoundStarted(server_round=server_round, cohort=tuple(nodes.values())))
        exchange = self._exchange(grid)
        return (exchange.message(kind, node, content, group=str(server_round)) for node in nodes)

    def _add_counts(self, replies: Iterable[Message], check: Callable[[Tally], None]) -> None:
        for reply in replies:
            with Quarantine(self._observe, self._round.number, self._site_of(reply)):
                self._take_counts(reply, check)
            del reply

    def _take_update(self, reply: Message, gathering: Gathering) -> None:
        sent = checked_contribution(
            reply,
            layout=self._progress.layout,
            tally_size=self._terms.counts_asked_in(self._round.number),
            max_examples=self._terms.max_examples,
            summed_size=self._terms.contribution.tally_size,
            form=self._round.form,
        )
        # `add` refuses before it changes anything, and the tally is added only after it: a reply
        # counts whole or not at all.
        self._check_evaluation(sent.tally)
        self._terms.contribution.check(sent.summed, sites=1)
        gathering.add(sent.summand, self._terms.weigh(sent.num_examples))
        self._accept(reply, sent.tally, released=sent.released)

    def _form(self) -> UpdateForm | None:
        return self._terms.form(self._progress.layout, self._progress.state)

    def _check_evaluation(self, tally: Tally) -> None:
        self._terms.check_counts(self._progress.score_bins, tally)

    def _take_counts(self, reply: Message, check: Callable[[Tally], None]) -> None:
        sent = checked_counts(reply, tally_size=self._round.tally.size)
        check(sent.tally)
        self._accept(reply, sent.tally, released=sent.released)

    def _site_of(self, reply: Message) -> str:
        return self._round.sites[reply.metadata.src_node_id]

    def _accept(self, reply: Message, tally: Tally, *, released: bool) -> None:
        site = self._site_of(reply)
        if tally.size:
            self._round.tally += tally
            self._round.counted = True
        self._round.answered.append(site)
        # A copy: an observer may keep it, and a view would keep the whole reply in memory.
        shown = tally.copy() if released and tally.size else None
        self._observe(SiteAnswered(server_round=self._round.number, site=site, released=shown))

    def _position(
        self, server_round: int, *, insists: bool = False
    ) -> tuple[ArrayRecord, ConfigRecord]:
        content = messages.position(
            messages.Position(
                charter=self._terms.charter,
                run=self._progress.run,
                server_round=server_round,
                state=self._progress.state.vector,
                statistics=self._progress.statistics,
                score_bins=self._progress.score_bins,
                insists=insists,
            )
        )
        return wire.arrays_and_facts(content)

    def _report_deviation(self, evidence: UpdateDeviation) -> None:
        self._observe(
            SitesCompared(
                server_round=self._round.number,
                sites=(*self._round.answered, *self._round.unchanged),
                norms=tuple(evidence.norms.tolist()),
                distances=tuple(evidence.distances.tolist()),
                cosines=tuple(evidence.cosines.tolist()),
            )
        )

    def _finish_round(self, moved: model_state.State) -> None:
        """Tell that a round of training is over, and keep the state after it."""
        self._tell_finished()
        done, before = self._round, self._progress
        bins = self._terms.bins.after(before.score_bins, done.tally)
        summed = tuple(sorted(done.answered)) if self._terms.contribution.exact else ()
        self._progress = replace(before, state=moved, score_bins=bins, summed=summed)
        self._keep(self._progress)

    def _tell_finished(self) -> None:
        done = self._round
        self._observe(
            RoundFinished(
                server_round=done.number,
                answered=tuple(done.answered),
                asked_in=tuple(done.asked_in),
                unchanged=tuple(done.unchanged),
                evaluation=done.tally,
                counted=done.counted,
                score_bins=self._progress.score_bins,
                bytes_down=self._traffic.down - done.traffic.down,
                bytes_up=self._traffic.up - done.traffic.up,
                seconds=time.monotonic() - done.began,
            )
        )


def train_content(arrays: ArrayRecord, config: ConfigRecord) -> RecordDict:
    """Return the content of a question to train or evaluate, from its two records."""
    return RecordDict({wire.ARRAYS: arrays, wire.FACTS: config})
