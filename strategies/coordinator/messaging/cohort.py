"""The cohort: who takes part in a round, how many must answer, and how long to wait."""

import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from privacy.errors import ConsortiumError, abbreviated_names, number_of
from privacy.identity.public_identity import PublicIdentity

_ROUNDING = 1e-9  # 0.07 of 100 sites is 7, not 7.000000000000001


class QuorumNotReached(ConsortiumError, RuntimeError, code="quorum-not-reached"):
    """Too few sites answered for the round to count; `missing` names those that did not."""

    missing: tuple[str, ...] = ()


class ImpossibleCohort(ConsortiumError, ValueError, code="impossible-cohort"):
    """The cohort could never reach its quorum."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """How the sites of a round are chosen, and how long to wait for them.

    Args:
        members: Names of all sites that may take part.
        quorum: Fewest accepted answers that make a round, at least 1.
        fraction: Share of the present sites that is asked, rounded up, never below `quorum`.
        deadline_s: Seconds that the sites have to answer.
        join_deadline_s: Seconds that the members have to join at the start.
        seed: Seed of the sampling.
        identities: Public keys by name; a member listed here must prove its membership.
        left_out: Members of the charter that this run leaves out by name.

    Raises:
        ImpossibleCohort: There are fewer members than the quorum.
    """

    members: tuple[str, ...]
    quorum: int
    fraction: float
    deadline_s: float
    join_deadline_s: float
    seed: int
    identities: Mapping[str, PublicIdentity] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 1 <= self.quorum <= len(self.members):
            raise ImpossibleCohort(
                f"quorum={self.quorum} can never be reached by "
                f"{number_of(len(self.members), 'member')}: "
                f"set quorum to at most {len(self.members)} or let more sites join",
                quorum=self.quorum,
                members=len(self.members),
            )

    def sample(self, server_round: int, present: Sequence[str]) -> tuple[str, ...]:
        """Return the sites to ask in a round, sorted by name.

        Guarantee: the choice depends only on the seed, the round and the present sites, and every
        present site is equally likely to be asked.

        Raises:
            QuorumNotReached: Fewer sites are present than the quorum; names the missing ones.
        """
        if len(present) < self.quorum:
            self.refuse(present)
        share = math.ceil(self.fraction * len(present) - _ROUNDING)
        wanted = max(self.quorum, share)
        key = (zlib.crc32(b"cohort"), server_round)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
        chosen = rng.choice(sorted(present), size=wanted, replace=False)
        return tuple(sorted(str(name) for name in chosen))

    def require_quorum(self, answered: Sequence[str]) -> None:
        """Check that enough sites answered.

        Raises:
            QuorumNotReached: Too few answered; names the missing members.
        """
        if len(answered) < self.quorum:
            self.refuse(answered)

    def can_reach_quorum(self, *, without: Collection[str]) -> bool:
        """Return whether enough members would be left without these."""
        return len(set(self.members) - set(without)) >= self.quorum

    def refuse(self, answered: Sequence[str]) -> None:
        """Raise `QuorumNotReached`, which names the members that did not answer."""
        missing = [name for name in self.members if name not in set(answered)]
        error = QuorumNotReached(
            f"the round needs {number_of(self.quorum, 'site')}, {len(answered)} answered; missing: "
            f"{abbreviated_names(missing)}. Bring them back, or lower quorum, and run again",
            needed=self.quorum,
            came=len(answered),
        )
        error.missing = tuple(missing)
        raise error
