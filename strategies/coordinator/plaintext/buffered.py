"""Buffered rounds in the clear: the model moves once so many updates came, whoever sent them.

FedBuff (Nguyen et al. 2022, arXiv:2106.06581, algorithm 1) with two bounds of our own: a buffer
holds one update of a site at most, so that a rule sees as many sites as it has rows; and a site is
asked once for each model, so that a round of its ledger of privacy is spent once.
"""

from dataclasses import dataclass

from flwr.serverapp import Grid

from privacy.compression.update_form import UpdateForm
from privacy.wire import messages
from privacy.wire.messages import Contribution
from strategies.coordinator.messaging.events import SiteAnswered
from strategies.coordinator.messaging.exchange import Exchange, Question
from strategies.coordinator.messaging.reply_validation import Quarantine, checked_contribution
from strategies.coordinator.plaintext.parameters import Progress
from strategies.coordinator.plaintext.strategy import Synchronous, train_content
from strategies.rules.inputs import check_values
from strategies.schedule import discounted


@dataclass(frozen=True)
class _OnItsWay:
    """What is known of a question that a site has not answered yet."""

    asked_in: int
    score_bins: bytes
    form: UpdateForm | None


class Buffered(Synchronous):
    """Rounds that end with the buffer: each free site trains on the newest model there is.

    Guarantee: a round moves the model by `buffer_size` updates of as many sites; by fewer, down to
    the quorum, only if no site is left that could send one. Each update is used once, or not at
    all: in the round in which it came, multiplied by `staleness_discount`. The round whose question
    it answers is told with it. Updates are added in the order of names, so that the same buffer
    gives the same bits; with all sites in it, the bits of `Synchronous`.

    The figures of a round are those of its model alone: counts that came with a late update, of an
    earlier model, are left out of them. Memory holds so many updates.
    """

    # Flower's `start`, as `Synchronous` overrides it.
    def start(  # type: ignore[override]
        self, grid: Grid, num_rounds: int, *, since: Progress | None = None
    ) -> Progress:
        """Run all rounds and a final evaluation; return the final progress.

        A resumed run asks all sites for the newest model that was kept. What was in the buffer, or
        on its way, is not used; a site that is asked the same again answers the same. At the end
        nobody waits for updates that are still on their way.

        Raises:
            QuorumNotReached: As `Synchronous.start` says.
            OtherLayout: The sites would now train another vector.
        """
        self._questions: dict[str, Question] = {}
        self._on_their_way: dict[str, _OnItsWay] = {}
        return super().start(grid, num_rounds, since=since)

    def _train(self, grid: Grid, server_round: int) -> None:
        exchange = self._exchange(grid)
        self._ask_free_sites(exchange, server_round)
        held = self._fill_buffer(exchange)
        self._round.answered = sorted(held)
        self._round.asked_in = [held[site][1].asked_in for site in sorted(held)]
        self._cohort.require_quorum(self._round.answered)
        gathering = self._gather.begin(self._progress.state)
        for site in sorted(held):
            sent, asked = held.pop(site)
            update = discounted(sent.update, server_round - asked.asked_in)
            gathering.add(update, self._terms.weigh(sent.num_examples))
        self._move(gathering)

    def _ask_free_sites(self, exchange: Exchange, server_round: int) -> None:
        """Send this round's model to every present site that is not at work on an earlier one."""
        present = self._roster.present
        # A site that is gone, or came back under another node, will not answer what it was asked.
        self._questions = {
            site: one
            for site, one in self._questions.items()
            if site in present and present[site].node == one.node
        }
        if len(present) < self._cohort.quorum:
            self._cohort.refuse(self._roster.sites)
        free = [site for site in self._roster.sites if site not in self._questions]
        content = train_content(*self._position(server_round))
        asked = self._ask_sites(messages.TRAIN, server_round, free, content, exchange.grid)
        self._questions |= dict(zip(free, exchange.ask(asked), strict=True))
        now = _OnItsWay(server_round, self._progress.score_bins, self._round.form)
        self._on_their_way |= dict.fromkeys(free, now)
        self._round.sites = {one.node: site for site, one in self._questions.items()}

    def _fill_buffer(self, exchange: Exchange) -> dict[str, tuple[Contribution, _OnItsWay]]:
        """Return the first updates that come, by site: as many as the buffer holds, if they do."""
        held: dict[str, tuple[Contribution, _OnItsWay]] = {}
        for site, reply in exchange.replies_as_they_come(self._questions):
            asked = self._on_their_way.pop(site)
            with Quarantine(self._observe, self._round.number, site):
                sent = checked_contribution(
                    reply,
                    layout=self._progress.layout,
                    tally_size=self._terms.counts_asked_in(asked.asked_in),
                    max_examples=self._terms.max_examples,
                    form=asked.form,
                )
                self._terms.check_counts(asked.score_bins, sent.tally)
                check_values(sent.update)
                held[site] = (sent, asked)
                self._note_answer(site, sent, asked)
            del reply
            if len(held) >= self._terms.buffer_size:
                break
        return held

    def _note_answer(self, site: str, sent: Contribution, asked: _OnItsWay) -> None:
        number = self._round.number
        fresh = asked.asked_in == number and sent.tally.size > 0
        if fresh:
            self._round.tally += sent.tally
            self._round.counted = True
        shown = sent.tally.copy() if fresh and sent.released else None
        self._observe(
            SiteAnswered(server_round=number, site=site, asked_in=asked.asked_in, released=shown)
        )
