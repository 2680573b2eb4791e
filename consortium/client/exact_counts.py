"""What a site counts exactly, and for whom: for one roster under a charter.

docs/protocol.md, "One roster".
"""

from dataclasses import dataclass

from consortium.client.sealed_session_parameters import SiteTerms
from consortium.protocol.run_state import RunState
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.secrets.roster_memory import CountedData, RosterMemory


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

    def claim_roster(self) -> bool:
        """Return whether this site counts exactly for the roster of this run.

        This is the moment at which a roster is chosen: before anything exact is sealed for it.
        """
        return self._rosters.claim_roster(self._counted, self.terms.opened.roster)

    def claim_evaluation(self) -> bool:
        """Return whether this site evaluates exactly in this run, as roster and policy say."""
        evaluated = self.terms.site.policy.releases.evaluation_rosters
        return evaluated == "any" or self.claim_roster()

    def require_roster(self) -> None:
        """Check that this site counts exactly for the roster of this run.

        Raises:
            AnotherRoster: It does not.
        """
        if not self.claim_roster():
            raise AnotherRoster(
                "this site counts exactly for one roster under a charter, and this run has "
                "another one: run with the same sites as before, or let all who remain or join "
                "sign the next revision of the charter"
            )

    def statistics(self) -> Tally | None:
        """Return what this site counted of its training records before, or None."""
        return self._rosters.own_statistics(self._counted)

    def keep_statistics(self, tally: Tally) -> Tally:
        """Keep what this site counted of its training records; return what it counted first."""
        return self._rosters.keep_own_statistics(self._counted, tally)

    def keep_pooled(self, statistics: Tally) -> None:
        """Keep the pooled statistics, to carry them into later runs."""
        if self.of_statistics:
            self._rosters.keep_pooled_statistics(self.terms.site.fingerprint, statistics)

    def carried_start(self) -> RunState:
        """Return S(0) with the statistics that were pooled under this charter before.

        Raises:
            AnotherRoster: This site holds none.
        """
        pooled = self._rosters.pooled_statistics(self.terms.site.fingerprint)
        if pooled is None:
            self.require_roster()
            raise AnotherRoster("this site holds no statistics of this charter")
        return self.terms.step.start(pooled)

    @property
    def _rosters(self) -> RosterMemory:
        return self.terms.member.memory.rosters

    @property
    def _counted(self) -> CountedData:
        site = self.terms.site
        return CountedData(charter=site.fingerprint, data_set=site.config.data_set)
