"""What a mode is: how what sites send becomes one model, and who can read what on the way.

A mode is a type, and this is all that the rest of the project asks of one. What only a site
does lies in `consortium.client.site_modes`, what only a coordinator does in
`consortium.coordinator.coordinator_modes`: neither end may load the code of the other.

To add a mode: write its class in a module of this folder, and name it in `registry`. A mode
that refines another one is its subclass, and runs by the same two halves. A mode that changes
what is sent also needs a half at each end with its entry in the two tables; and if it asks a
question of a new kind, a message in `privacy.wire` and a route in `consortium.client_app`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from consortium.charter.document import Charter
from consortium.config import RunConfig
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.policy.document import Releases
from strategies.rules.registry import RuleSpec

Half = TypeVar("Half")
# Why `continues` is for runs with masks.
NO_WAITING = (
    "only a run with masks waits for members that are gone, and goes on without them: leave "
    "continues empty"
)


class OutsideCharter(ConsortiumError, ValueError, code="outside-charter"):
    """A run config is beyond what the members agreed on."""


@dataclass(frozen=True, kw_only=True)
class LeagueTerms:
    """What a report says of the coordinator in league with members.

    Args:
        closed: What they could not read, a sentence each.
        not_closed: What they could, and what is not claimed, a sentence each.
    """

    closed: tuple[str, ...] = ()
    not_closed: tuple[str, ...] = ()


class Mode(Protocol):
    """One mode.

    Guarantee: it holds nothing; all it says is a function of what it is given.

    Args:
        name: What a run config calls it, under `aggregation`.
        coordinator_reads: Whether the coordinator reads what each site sends. A policy may allow
            only runs where it does not.
        needs_identities: Whether every member must have keys.
        keeps_signed_sums: Whether the coordinator keeps sums that anybody can add again.
        masks_uploads: Whether pairs of sites close each upload once more, with masks that cancel.
        voter: What the rule takes a vote from, in singular.
        who_reads: For a model card: what the coordinator read.
        hidden_figure: For a report: what stands in the place of a figure of one site.
    """

    name: ClassVar[str]
    coordinator_reads: ClassVar[bool]
    needs_identities: ClassVar[bool]
    keeps_signed_sums: ClassVar[bool]
    masks_uploads: ClassVar[bool]
    voter: ClassVar[str]
    who_reads: ClassVar[str]
    hidden_figure: ClassVar[str]

    def why_hidden(self, noun: str) -> str:
        """Return why a report lacks figures of one site.

        Args:
            noun: What a member is called, in singular.
        """
        ...

    def league_terms(self, charter: Charter, *, noun: str, nouns: str, noise: bool) -> LeagueTerms:
        """Return what a report says of the coordinator in league with members.

        Args:
            charter: The members, and what they agreed on.
            noun: What a member is called, in singular.
            nouns: The same in plural.
            noise: Whether the updates carry noise of differential privacy.
        """
        ...

    # What run config and charter must fulfil.

    def contradiction(self, config: RunConfig) -> str:
        """Return what in a run config contradicts the mode and what to do; empty if nothing."""
        ...

    def require_agreed(self, config: RunConfig, charter: Charter) -> None:
        """Check that a run config keeps to the charter's floors: at both ends.

        Raises:
            OutsideCharter: It does not.
        """
        ...

    def require_rule(self, config: RunConfig, charter: Charter, spec: RuleSpec) -> None:
        """Check that the mode can run a rule.

        Raises:
            ConsortiumError: It cannot, in this run or among these members.
        """
        ...

    def notes(self, config: RunConfig, charter: Charter) -> Sequence[str]:
        """Return what the members must know before a run that is allowed, a sentence each."""
        ...

    # Who votes, and what a sum hides.

    def voters(self, config: RunConfig, charter: Charter) -> int:
        """Return how many votes the rule sees in a full round."""
        ...

    def voters_are_equal(self, config: RunConfig) -> bool:
        """Return whether every vote counts the same, whatever the sites weigh."""
        ...

    def smallest_consortium(self, config: RunConfig, charter: Charter, *, voters: int) -> int:
        """Return the fewest members that give the rule so many votes."""
        ...

    def crowd(self, config: RunConfig, charter: Charter) -> int:
        """Return the fewest sites in any sum that the run allows."""
        ...

    def buckets(self, config: RunConfig) -> int:
        """Return how many sums hide the sites; 0 if each one is read by itself."""
        ...

    def bytes_down(self, config: RunConfig, charter: Charter, *, dim: int, vectors: int) -> int:
        """Return the bytes of model and sums that a site downloads in a round.

        Args:
            config: The coordinator's choices.
            charter: The members.
            dim: Numbers in the model that travels.
            vectors: Vectors of that size in the whole state of the run.
        """
        ...

    # What a site tells of how many records it has.

    def told_examples(self, examples: int, releases: Releases) -> int:
        """Return a number of training examples as a site may tell it with an update."""
        ...

    def introduced_examples(self, examples: int, releases: Releases) -> int:
        """Return the number of training examples that a site tells when it joins."""
        ...

    def pooled_tally(self, tally: Tally, *, records: int, releases: Releases) -> Tally:
        """Return counts as a site may add them to the pool.

        Args:
            tally: The counts.
            records: How many records they are of.
            releases: What the site's policy lets out.
        """
        ...


def half_of(mode: Mode, halves: Mapping[type[Mode], Half]) -> Half:
    """Return what one end does in a mode: by its type, or the nearest type that it refines.

    Raises:
        LookupError: Neither has an entry.
    """
    for kind in type(mode).__mro__:
        if kind in halves:
            return halves[kind]
    raise LookupError(f"no entry for {type(mode).__name__}: add one to the table of this end")
