"""The opening of a run: an epoch, buckets and a key that its sites agree on, and its statistics."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from privacy.protocol.envelope import NO_STATE, STATISTICS
from privacy.protocol.key_messages import Opening
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.opening.bucket_draw import BucketDraw
from strategies.coordinator.encrypted.opening.key_setup import KeyExchange
from strategies.coordinator.encrypted.parameters import RoundVoid, SealedTerms
from strategies.coordinator.encrypted.progress import OPENING_FILE, STATE_FILE
from strategies.coordinator.encrypted.refusals import left_out_at_opening, opening_is_refused
from strategies.coordinator.encrypted.rounds.ciphertext_sums import Keep, UploadForm
from strategies.coordinator.encrypted.rounds.request import (
    SealedRequest,
    bound_sites,
    collect_state,
    finish_counts,
    missing_members,
    require_one_start,
    require_same_roster,
    too_few_confirmed_models,
    too_few_old_statistics,
)
from strategies.coordinator.messaging.cohort import Cohort
from strategies.coordinator.messaging.events import (
    Observer,
    RunEvent,
    SiteQuarantined,
    StatisticsRecounted,
)
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.roster import Roster

Ask: TypeAlias = Callable[
    [SealedRound, Sequence[str], Mapping[str, UploadForm], Observer], SealedRequest
]

_OPENINGS = 4  # sites refuse more openings of one lineage


class Begun(NamedTuple):
    """A run whose statistics are pooled.

    Args:
        opening: Its opening.
        request: The question of its first round.
    """

    opening: Opening
    request: SealedRound


class Tried(NamedTuple):
    """What came of one opening.

    Args:
        left_out: Who was left out, and why.
        there: The sites that did their part.
        question: That for the statistics, with its replies; None if it was not asked.
        begun: The run, if all sites did their part.
    """

    left_out: Mapping[str, SiteQuarantined]
    there: tuple[str, ...]
    question: SealedRequest | None = None
    begun: Begun | None = None


@dataclass(frozen=True, kw_only=True)
class RunOpening:
    """Opens a run for the sites that are present.

    Args:
        exchange: The message exchange.
        cohort: Who may take part, and how many must.
        terms: The agreed parameters.
        roster: Who is present.
        ask: Makes a question: from what is asked, the sites, the forms of their uploads, and who
            receives its events.
        keep: Stores a file of the coordinator durably.
        observe: Receives the events.
        num_rounds: Number of rounds of the run.
    """

    exchange: Exchange
    cohort: Cohort
    terms: SealedTerms
    roster: Roster
    ask: Ask
    keep: Keep
    observe: Observer
    num_rounds: int

    def open(self, compared: Collection[str]) -> Begun:
        """Agree on an epoch and buckets, open the run for sites that compared, pool statistics.

        If not all sites answer, open the run again with those that did: the statistics of a run
        must hold all its sites. If these counted for all, and hold no statistics of an earlier
        run, they refuse, because sums over two rosters would show single sites. Then the run is
        opened for all again.
        """
        keys = KeyExchange(
            exchange=self.exchange,
            agreement=self.terms.agreement,
            observe=self.observe,
            asked_last=self.terms.asked_last,
        )
        agreed = keys.agree_on_epoch(self.roster)
        everyone = sites = self._draw_buckets([site for site in agreed if site in compared])
        lineage, passed_over, openings, bound = "", set[str](), 0, False
        while openings < _OPENINGS:
            sites, listed = self._ready_sites(sites)
            self.cohort.require_quorum(sites)
            opening, encoded = keys.open_run(
                self.roster,
                sites,
                label=self.terms.label,
                lineage=lineage,
                passed_over=passed_over,
                listed=listed,
            )
            lineage = lineage or opening.run
            self.keep(OPENING_FILE, [encoded])
            tried = self._try_opening(opening, encoded, listed)
            if tried.begun:
                return tried.begun
            if opening_is_refused(tried.left_out, len(opening.terms.roster)):
                passed_over.add(opening.terms.opener)
                continue
            # Sites count the openings that they accepted; one that all refuse is none of them.
            openings += 1
            # Where nothing is counted nobody holds statistics: a site that says so is left out.
            if tried.question and self.terms.counts_statistics:
                if sites == everyone:
                    require_same_roster(tried.question, self._missing(everyone))
                else:
                    bound = bound or bool(bound_sites(tried.question))
            sites = everyone if bound else self._draw_buckets(tried.there)
        if bound:
            raise missing_members(self._missing(tried.there))
        raise RoundVoid(
            f"the statistics need every site of the run, and in {_OPENINGS} openings some were "
            "missing: see who was left out, bring them back, and run again",
            openings=_OPENINGS,
        )

    def _draw_buckets(self, sites: Sequence[str]) -> tuple[str, ...]:
        """Return those of these sites that drew their buckets together, each with all others."""
        there = tuple(sites)
        if self.terms.buckets == 1:
            return there
        draw = BucketDraw(
            exchange=self.exchange, agreement=self.terms.agreement, observe=self.observe
        )
        while True:
            self.cohort.require_quorum(there)
            holders = draw.carry(self.roster, there)
            if holders == there:
                return there
            there = holders  # fewer each time

    def _missing(self, there: Collection[str]) -> list[str]:
        return [name for name in self.cohort.members if name not in there]

    def _ready_sites(self, sites: Sequence[str]) -> tuple[tuple[str, ...], bytes]:
        """Return who of these sites can be in an opening, and what it says of their keys."""
        return tuple(sites), b""

    def _try_opening(self, opening: Opening, encoded: bytes, _listed: bytes) -> Tried:
        """Begin the run under an opening; `_listed` is what `_ready_sites` returned with it."""
        return self._pool_statistics(opening, encoded)

    def _pool_statistics(self, opening: Opening, encoded: bytes) -> Tried:
        """Ask for the statistics."""
        terms = opening.terms
        asked = SealedRound(charter=self.terms.charter, server_round=0, attempt=1, opening=encoded)
        # Named once all have answered: who refuses what the opener made is not at fault.
        form = self.terms.statistics_form(self.roster.layout)
        question = self.ask(asked, terms.roster, {STATISTICS: form}, self._observe_the_rest)
        sent = question.messages(messages.STATISTICS, self.exchange, reporter=min(question.nodes))
        question.gather(self.exchange.replies(sent))
        for event in left_out_at_opening(question.left_out, terms.opener, len(terms.roster)):
            self.observe(event)
        begun = self._begin(question, opening, asked)
        return Tried(question.left_out, tuple(question.replies), question, begun)

    def _begin(self, question: SealedRequest, opening: Opening, asked: SealedRound) -> Begun | None:
        """Return the run if the statistics came about, or stand."""
        floor = self.terms.floor
        statistics = question.sums[STATISTICS]
        if self.terms.continues:
            require_one_start(question, self.cohort.members)
        if statistics.withheld:
            return self._carry_statistics(question, opening, asked)
        if statistics.recounted:
            self.observe(StatisticsRecounted(recounted_by=statistics.recounted))
        everyone = len(opening.terms.roster)
        if len(statistics.added) == everyone:
            self.terms.claim_roster(opening.terms.roster)
        receipts, counted = finish_counts(question, STATISTICS, num_sites=everyone, floor=floor)
        if not receipts:
            return None
        first = replace(asked, server_round=1, count_receipts=receipts, count_sum=counted)
        return Begun(opening, first)

    def _observe_the_rest(self, event: RunEvent) -> None:
        if not isinstance(event, SiteQuarantined):
            self.observe(event)

    def _carry_statistics(
        self, question: SealedRequest, opening: Opening, asked: SealedRound
    ) -> Begun | None:
        """Go on from the statistics that were counted under this charter before."""
        floor, statistics = self.terms.floor, question.sums[STATISTICS]
        if statistics.agreed_state(floor=floor) in {None, NO_STATE}:
            # A run without rounds evaluates a model, and begins with it.
            if not self.num_rounds:
                raise too_few_confirmed_models(question)
            if self.terms.keeps_statistics:
                raise too_few_old_statistics(question)
            return None
        state = collect_state(question, self.exchange, purpose=STATISTICS, floor=floor)
        self.keep(f"round-0/{STATE_FILE}", [state])
        receipts, _ = statistics.finish_sums(floor=floor)
        first = replace(asked, server_round=1, count_receipts=receipts, state=state)
        return Begun(opening, first)
