"""What a site checks before it opens anything: whose receipts came, and that nobody rolled it back.

docs/protocol.md, "One round".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from consortium.client.audit_trail import note_changed_statistics
from consortium.client.encrypted.session_parameters import SiteTerms
from consortium.protocol.aggregation import smallest_voters
from consortium.protocol.round_counts import check_pairs, check_saturation
from consortium.protocol.run_state import RunState
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.protocol.envelope import (
    EVALUATION,
    STATISTICS,
    TRAINING,
    Receipt,
    Slot,
    WrongAttempt,
)
from privacy.protocol.grouping import COUNTED, RECOUNTED
from privacy.protocol.receipts import (
    Expected,
    TooFewOthers,
    check_receipts,
    decode_receipts,
)
from privacy.secrets.roster_memory import CountedData, RosterMemory
from sites.statistics.contract import statistics_for
from sites.statistics.tally import TallyLayout


class RolledBack(ConsortiumError, ValueError, code="rolled-back"):
    """A state does not follow from the last one this site trained from."""


class RosterIncomplete(ConsortiumError, ValueError, code="roster-incomplete"):
    """A pooled tally does not hold every site of the run, so it is not opened."""


class SumsMissing(ConsortiumError, ValueError, code="sums-missing"):
    """The sums are not one for each bucket whose receipts came, or too few for the rule."""


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What must hold of a message before it is believed.

    Args:
        terms: Of the run, at this site.
    """

    terms: SiteTerms

    def receipts(
        self,
        encoded: bytes,
        purpose: str,
        server_round: int,
        *,
        buckets: Mapping[str, int],
        classes: Sequence[int],
        own_needed: bool = True,
    ) -> dict[int, tuple[Receipt, ...]]:
        """Return the receipts of a round by bucket, all of them checked.

        Args:
            encoded: The receipts.
            purpose: Of what.
            server_round: Of which round.
            buckets: The bucket of each site.
            classes: Weight classes that they may claim.
            own_needed: Whether this site's own must be among them, if it gave one.

        Raises:
            ConsortiumError: One is wrong, missing, or of another attempt than the last.
        """
        receipts = decode_receipts(encoded)
        if not receipts:
            raise TooFewOthers("there is no receipt of the last round", needed=1, came=0)
        # The first receipt says which attempt counts; `check_receipts` holds all others to it.
        slot = self.terms.slot(purpose, server_round, receipts[0].label.slot.attempt)
        self._require_last_attempt(slot)
        # From the site's own memory: what it gave is compared with what is said of it.
        own = self.terms.member.memory.answers.own_receipt(slot)
        name = self.terms.site.config.name
        if not own_needed and name not in {one.label.site for one in receipts}:
            own = None
        expected = Expected(
            slot=slot,
            roster=self.terms.roster,
            buckets=buckets,
            min_others=self.terms.site.min_others,
            site=name,
            own=Receipt.decode(own) if own else None,
            weight_classes=classes,
        )
        return check_receipts(receipts, expected)

    def _require_last_attempt(self, slot: Slot) -> None:
        # Two attempts can have different sites in them. Whoever has both sums opened gets their
        # difference, which may be one site's update.
        if max(self.terms.member.memory.answers.own_receipts(slot), default=0) > slot.attempt:
            raise WrongAttempt(
                f"this site took part in a later attempt at round {slot.server_round}: attempt "
                f"{slot.attempt} was void",
                came=slot.attempt,
            )

    def require_voters(self, num_buckets: int, num_sites: int) -> None:
        """Check that enough buckets came for the rule, and enough sites for the members."""
        config = self.terms.site.run_config
        needed = smallest_voters(config)
        if num_buckets < needed:
            raise SumsMissing(
                f"{config.rule.num_byzantine} liars are survived among {needed} buckets or more, "
                f"{num_buckets} came: the round is void",
                needed=needed,
                came=num_buckets,
            )
        if num_sites < self.terms.site.min_sites:
            raise TooFewOthers(
                f"charter and policy ask for {self.terms.site.min_sites} sites in every aggregate, "
                f"{num_sites} are in this one",
                needed=self.terms.site.min_sites,
                came=num_sites,
            )

    def require_possible(self, tally: Tally, purpose: str, bins: bytes) -> None:
        """Check that records of the run's sites can have this pooled tally.

        Args:
            tally: Statistics or evaluation counts.
            purpose: Which of the two.
            bins: By which scores were counted, if they follow them and that is known.

        Raises:
            ImpossibleTally: No records have it.
        """
        task, counts = self.terms.site.task, self.terms.round_counts
        if purpose == STATISTICS:
            return task.statistics.check(tally)
        if bins or not self.terms.bins.first:
            self.terms.bins.check(bins, counts.evaluation_of(tally))
        else:
            # The message that ends a run holds no state, so it does not say which bins these are.
            task.evaluation.layout.check(counts.evaluation_of(tally))
        values = len(self.terms.opened.roster) * task.layout.dim
        check_saturation(counts, tally, values=values)
        check_pairs(counts, tally, task.evaluation)
        return None

    def require_everyone(self, came: int) -> None:
        """Check that a sum of exact integers is one over all sites of the run.

        Raises:
            RosterIncomplete: Sums over several rosters would show single sites.
        """
        needed = len(self.terms.opened.roster)
        if came != needed:
            raise RosterIncomplete(
                f"a tally is opened over all {needed} sites of the run only, {came} are in it",
                needed=needed,
                came=came,
            )

    def require_chain(self, states: Sequence[bytes]) -> None:
        """Check the last state this site went by against the digests of S(0), S(1) and so on.

        It went by a state if it trained from it or, at the end, evaluated it.

        Raises:
            RolledBack: It is not the one in its place, nor the one that comes next.
        """
        answers, run = self.terms.member.memory.answers, self.terms.opened.run
        # The last state is evaluated only, and binds like those that were trained from.
        given = [answers.last_state(run, purpose=one) for one in (TRAINING, EVALUATION)]
        last = max(filter(None, given), key=lambda one: one.server_round, default=None)
        # What it trained from comes right after these states, so there is nothing to compare yet.
        if last is None or last.server_round == len(states) + 1:
            return
        if last.server_round > len(states) or states[last.server_round - 1] != last.state:
            raise RolledBack(
                f"this site went by another state in round {last.server_round}: the run "
                "was rolled back, or another one is shown to this site",
                last=last.server_round,
            )


class AnotherRoster(ConsortiumError, PermissionError, code="another-roster"):
    """This site counts exactly for other sites than those of this run."""


@dataclass(frozen=True, kw_only=True)
class ExactCounts:
    """The exact counts of one site in one run.

    Args:
        terms: Of the run, at this site.
    """

    terms: SiteTerms

    @property
    def of_statistics(self) -> bool:
        """Whether training records are counted in this run at all."""
        return self.terms.site.run_config.privacy.counts_statistics

    @property
    def evaluated_model(self) -> str:
        """Digest of the model that this run only evaluates; empty if it trains."""
        return self.terms.site.run_config.evaluate_model

    @property
    def of_whole_roster(self) -> bool:
        """Whether every member takes part that the run config does not leave out by name."""
        site = self.terms.site
        return {*self.terms.opened.roster} == {*site.charter.names} - site.run_config.left_out

    def claim_roster(self) -> bool:
        """Return whether this site counts exactly for the roster of this run.

        This is the moment at which a roster is chosen: before anything but statistics is sealed.
        """
        roster = self.terms.opened.roster
        before = self._rosters.counts_for(self._counted, roster)
        # Who has no records of a period yet, or too few, is in the count of the next one.
        if before is None and (self.of_whole_roster or self.terms.site.run_config.period):
            return self._rosters.claim_roster(self._counted, roster)
        return bool(before)

    def counts_statistics(self) -> bool:
        """Return whether this site seals what it counted of its training records in this run."""
        if self.evaluated_model or self.terms.site.run_config.continues:
            return False
        if not self.of_statistics:
            return True  # there is nothing in them
        if self.terms.site.charter.statistics_of:
            return False  # all who signed it let those of an earlier revision stand
        before = self._rosters.counts_for(self._counted, self.terms.opened.roster)
        return self.of_whole_roster if before is None else before

    def note_sealed_statistics(self) -> None:
        """Remember for whom statistics are sealed, before they are; no roster is chosen yet."""
        if self.of_statistics:
            self._rosters.seal_statistics_for(self._counted, self.terms.opened.roster)

    def require_statistics_of_roster(self) -> None:
        """Check that the statistics of this roster may be opened; from now on it is the only one.

        Raises:
            AnotherRoster: This site sealed for another roster since, or was given its statistics.
        """
        roster = self.terms.opened.roster
        if self.of_statistics and not self._rosters.open_statistics_of(self._counted, roster):
            raise AnotherRoster(
                "this site sealed its statistics for another roster since, or holds those of "
                "another one: the sum of this one is not opened"
            )

    def claim_evaluation(self) -> bool:
        """Return whether this site evaluates exactly in this run, as roster and policy say."""
        evaluated = self.terms.site.policy.releases.evaluation_rosters
        # What is counted of a period is of one roster, whatever the policy says of evaluations.
        any_roster = evaluated == "any" and not self.terms.site.run_config.period
        return any_roster or self.claim_roster()

    def require_roster(self) -> None:
        """Check that this site counts exactly for the roster of this run.

        Raises:
            AnotherRoster: It does not.
        """
        if not self.claim_roster():
            raise AnotherRoster(
                "this site counts exactly for one roster under a charter, and this run has "
                "another one: run with the same sites as before (the first time, with all members "
                "but those left out by name), or let all who remain or join sign the next revision "
                "of the charter"
            )

    def statistics(self) -> Tally | None:
        """Return what this site counted of its training records before, or None."""
        held = self._rosters.own_statistics(self._counted)
        return None if held is None else self._layout.fitted(held)

    def keep_statistics(self, tally: Tally) -> Tally:
        """Keep what this site counted of its training records; return what it counted first."""
        return self._layout.fitted(self._rosters.keep_own_statistics(self._counted, tally))

    def evaluation(self, count: Callable[[], Tally]) -> Tally | None:
        """Return the evaluation of the final state as it is sealed, or None if it is withheld.

        Guarantee: a model that is only evaluated is counted once. Two evaluations of one model
        would differ by the records that came in between.

        Args:
            count: Evaluates the state, and keeps the model of a run that trained it.
        """
        if not self.evaluated_model:
            counted = count()
            return counted if self.claim_evaluation() else None
        if not self.claim_evaluation():
            return None
        place = (self._counted, self.evaluated_model)
        kept = self._rosters.own_evaluation(*place)
        return self._rosters.keep_own_evaluation(*place, count()) if kept is None else kept

    @property
    def statistics_class(self) -> int:
        """The class of this site's statistics: whether its operator had them counted again."""
        again = self.of_statistics and self._rosters.recounts(self._counted)
        return RECOUNTED if again else COUNTED

    def keep_opened(self, statistics: Tally, receipts: bytes) -> None:
        """Keep the statistics that this site opened, to carry them into later runs.

        They are those of an earlier run under this charter, unless a receipt says that a site's
        operator had them counted again; then the site's log says whose.

        Args:
            statistics: As they were opened.
            receipts: Of all sites' statistics, checked before.

        Raises:
            AnotherRoster: It holds others, and nobody had theirs counted again, or it is not one of
                those who counted for this roster.
        """
        if not self.of_statistics:
            return
        signed = [receipt.label for receipt in decode_receipts(receipts)]
        recounted = [label.site for label in signed if label.weight_class == RECOUNTED]
        counts = self._rosters.counts_for(self._counted, self.terms.opened.roster)
        # A site that was given the statistics of others may have evaluated for this roster since.
        if not (counts and recounted):
            self.take_statistics(statistics)
        if not counts:
            self._rosters.claim_roster(self._counted, self.terms.opened.roster)
        charter = self.terms.site.fingerprint
        before = self._rosters.pooled_statistics(charter)
        if before is not None and not self._are_same(before, statistics):
            note_changed_statistics(self.terms.site, recounted)
        self._rosters.keep_pooled_statistics(charter, statistics)

    def forget_sealed_statistics(self) -> None:
        """Open no sum of statistics that this site sealed for: it starts from those of others."""
        if self._rosters.counts_for(self._counted, self.terms.opened.roster) is None:
            self._rosters.forget_sealed_statistics(self._counted)

    def carried_start(self) -> RunState | None:
        """Return S(0) with what this site holds of earlier runs under this charter.

        That is the statistics that were pooled or, in a run that only evaluates, the model. None
        if this site has no statistics because nothing was counted with it yet, or no such model
        because most sites did not confirm it here.

        Raises:
            AnotherRoster: It counted for another roster, and never saw the sum.
        """
        if self.evaluated_model:
            return self._confirmed_start()
        pooled = self._pooled_statistics()
        if pooled is not None:
            return self.terms.step.start(pooled)
        if self._rosters.counts_for(self._counted, self.terms.opened.roster) is not None:
            self.require_roster()
        return None

    def take_statistics(self, statistics: Tally) -> None:
        """Keep the statistics in a state that this site is given; it holds no others.

        Raises:
            AnotherRoster: It does: the difference would be that of the sites between.
        """
        held = self._pooled_statistics()
        if not self.of_statistics:
            return
        if held is None:
            self._rosters.keep_pooled_statistics(self.terms.site.fingerprint, statistics)
        elif not self._are_same(held, statistics):
            raise AnotherRoster(
                "this run has other statistics than this site holds under this charter: run with "
                "all its sites, let a site whose records changed say so (`consortium site "
                "recount`), or let them sign the next revision of the charter"
            )

    def _pooled_statistics(self) -> Tally | None:
        """Return the statistics of all sites that stand under this charter, if this site has some.

        Of an earlier revision, if the charter says so and this site took part in it.
        """
        charter = self.terms.site.charter
        held = self._rosters.pooled_statistics(self.terms.site.fingerprint)
        if held is None and charter.statistics_of:
            held = self._rosters.pooled_statistics(charter.statistics_of)
        return None if held is None else self._layout.fitted(held)

    def _are_same(self, one: Tally, other: Tally) -> bool:
        """Return whether two pooled tallies are of the same count, by class or without."""
        base = statistics_for(self.terms.site.charter.table).layout
        rest = one[base.size :], other[base.size :]
        counted_so = all(part.any() for part in rest)
        return np.array_equal(base.fitted(one), base.fitted(other)) and (
            not counted_so or np.array_equal(*rest)
        )

    @property
    def _layout(self) -> TallyLayout:
        # What was kept by a run that counted without classes goes on with zeros in their place.
        return self.terms.site.task.statistics.layout

    def _confirmed_start(self) -> RunState | None:
        from consortium.model.files import read_confirmed  # no other answer needs it

        site = self.terms.site
        held = read_confirmed(site.directory, site.fingerprint, site.task.layout)
        # What lies in `model/` was signed by more than half of the sites of its run.
        if held is None or site.task.layout.digest_of(held.vector) != self.evaluated_model:
            return None
        return self.terms.step.start_from(held.vector, self._layout.fitted(held.statistics))

    @property
    def _rosters(self) -> RosterMemory:
        return self.terms.member.memory.rosters

    @property
    def _counted(self) -> CountedData:
        site = self.terms.site
        return CountedData(charter=site.fingerprint, data_set=site.config.data_set)
