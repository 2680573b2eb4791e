"""What a site derives from a run's opening: who takes part, and what is sealed where and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from consortium.protocol.evaluation_bins import bin_steps
from consortium.protocol.learning import learner_of
from consortium.protocol.parameters import (
    count_placement,
    step_of,
    update_placement,
    weight_classes,
)
from consortium.protocol.round_counts import (
    FEWEST_SITES_FOR_PAIRS,
    asks_for_counts,
    round_counts,
)
from consortium.protocol.run_state import Step
from consortium.site.key_ring import KeyRing
from consortium.site.site import Site
from privacy.contribution import Contribution
from privacy.encryption.parameters import Placement
from privacy.identity.public_identity import PublicIdentity
from privacy.layout import Tally
from privacy.protocol.envelope import STATISTICS, Slot
from privacy.protocol.grouping import assign_buckets, weight_class
from privacy.secrets.key_exchange import OpenedRun
from privacy.secrets.sealer import BfvSecret, Sealer, exchange_checksum
from sites.evaluation.contract import pair_counts
from strategies.round_counts import RoundCounts
from strategies.score_bins import BinSteps


@dataclass(frozen=True, eq=False, kw_only=True)
class SiteTerms:
    """One run at one site: everything that stays the same from its opening to its end.

    Args:
        site: The site.
        member: Its keys and memory.
        opened: What the opening gave it.
    """

    site: Site
    member: KeyRing
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
    def bins(self) -> BinSteps:
        """How the score bins of the run follow one another."""
        return bin_steps(self.site.run_config, self.site.charter)

    @cached_property
    def contribution(self) -> Contribution:
        """What a site sends in a round."""
        return learner_of(self.site.charter, self.site.run_config).contribution

    @property
    def updates(self) -> Placement:
        """Where what is sent after the first round stands in its ciphertexts."""
        return self.updates_in(2)

    def updates_in(self, server_round: int) -> Placement:
        """Return where what is sent in a round stands in its ciphertexts."""
        site = self.site
        return update_placement(site.run_config, site.charter, site.task.layout, server_round)

    def counts(self, purpose: str) -> Placement:
        """Return where a tally stands in its ciphertexts."""
        size = self.site.task.statistics.layout.size
        if purpose != STATISTICS:
            size = self.round_counts.size
        return count_placement(self.site.run_config, self.site.charter, size)

    @cached_property
    def round_counts(self) -> RoundCounts:
        """What is counted in a round: the evaluation, and what stands beside it."""
        site = self.site
        return round_counts(site.run_config, site.charter, site.task.evaluation.layout.size)

    def asks_for_counts(self, server_round: int) -> bool:
        """Return whether a round of training asks for evaluation counts."""
        return asks_for_counts(self.site.run_config, self.site.charter, server_round)

    def joined_counts(self, evaluation: Tally, *, saturated: int = 0) -> Tally:
        """Return what this site counts in a round, as it is sealed.

        Its pairs of records follow from the evaluation counts. Zeros stand in their place where
        the run has so few sites that another one could tell this site's records of each class.
        """
        pairs = None
        if self.round_counts.pairs and len(self.opened.roster) >= FEWEST_SITES_FOR_PAIRS:
            pairs = pair_counts(self.site.task.evaluation, evaluation).entries
        return self.round_counts.join(evaluation, saturated=saturated, pairs=pairs)

    @cached_property
    def buckets(self) -> Mapping[str, int]:
        """The bucket of each site, the same in every run of these sites under the charter.

        Raises:
            NoBucketDraw: There are several, and the sites did not draw them.
        """
        roster, num_buckets = self.opened.roster, self.site.run_config.buckets
        if num_buckets == 1:
            return dict.fromkeys(roster, 0)
        # Drawn once for these sites under the charter: buckets drawn anew each round would let one
        # site's own direction show through, and so would other buckets for the same updates.
        return assign_buckets(self.member.draws.seed(roster), roster, num_buckets=num_buckets)

    @property
    def sites_by_bucket(self) -> list[list[str]]:
        """The sites of each bucket."""
        return [
            [name for name, of in self.buckets.items() if of == bucket]
            for bucket in sorted(set(self.buckets.values()))
        ]

    @cached_property
    def secret(self) -> BfvSecret:
        """The run's key."""
        # One key serves updates and counts: their places differ, the ciphertexts' parameters do
        # not.
        return BfvSecret.from_material(self.updates.parameters, self.opened.scheme_secret)

    @cached_property
    def roster(self) -> dict[str, PublicIdentity]:
        """The public keys of the sites of the run."""
        return self.member.agreement.roster(self.opened.roster)

    def weight_class(self, num_examples: int) -> int:
        """Return the weight class of an update, among those that the run allows."""
        allowed = weight_classes(self.site.run_config, self.site.charter)
        full = self.site.charter.floors.full_class_examples
        earned = weight_class(num_examples, full_class_examples=full)
        # Runs of equal weight, and tallies, allow a single class.
        return earned if earned in allowed else allowed[-1]

    def sealer(self, purpose: str, server_round: int, placement: Placement) -> Sealer:
        """Return what seals and opens one kind of upload in one round."""
        checksum = exchange_checksum(
            self.opened.keys, purpose=purpose, server_round=server_round, placement=placement
        )
        return Sealer(self.secret, placement, checksum)
