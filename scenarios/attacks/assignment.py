"""Which sites attack in a staged run, and how: kept in its directory, not in the run config."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from consortium.run.directory import RunDirectory
from consortium.run.records import read_record
from privacy.errors import ConsortiumError
from scenarios.attacks.registry import Attack, attack_named


class TooManyLiars(ConsortiumError, ValueError, code="too-many-liars"):
    """More liars were asked for than there are sites."""


class AttackAssignment(BaseModel):
    """The liars of a run and their attacks.

    Args:
        seed: Seed of their random draws.
        attacks: The attack of each liar, by site.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    seed: int = 0
    attacks: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def read(cls, run: RunDirectory) -> "AttackAssignment":
        """Read the assignment of a staged run."""
        return read_record(liars_path(run), cls)

    @property
    def malicious_senders(self) -> tuple[str, ...]:
        """The sites that alter their replies; other liars only poison their records."""
        return tuple(site for site in self.attacks if self.attack_of(site).lie)

    def attack_of(self, site: str) -> Attack:
        """Return the attack of a liar."""
        return attack_named(self.attacks[site])

    def rng(self, site: str, server_round: int) -> np.random.Generator:
        """Return the random generator of one liar in one round; round 0 is staging."""
        # One stream a site and round: what a liar draws does not depend on who else lies.
        key = (zlib.crc32(b"lie"), zlib.crc32(site.encode()), server_round)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


NOBODY = AttackAssignment()


def draw_liars(sites: Sequence[str], attack: str, *, liars: int, seed: int) -> AttackAssignment:
    """Draw `liars` of the sites by the seed, and give all of them the same attack.

    Guarantee: for one seed, the liars of a smaller draw are among those of a larger one, and the
    draw does not depend on the attack.

    Raises:
        UnknownAttack: There is no such attack.
        TooManyLiars: There are fewer sites than `liars`.
    """
    name = attack_named(attack).name
    if not 0 <= liars <= len(sites):
        raise TooManyLiars(
            f"{liars} liars were asked for, and there are {len(sites)} sites",
            wanted=liars,
            sites=len(sites),
        )
    key = (zlib.crc32(b"liars"),)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    # A prefix of one permutation, so that a larger draw contains every smaller one.
    drawn = [sites[index] for index in rng.permutation(len(sites))[:liars]]
    return AttackAssignment(seed=seed, attacks=dict.fromkeys(sorted(drawn), name))


def liars_path(run: RunDirectory) -> Path:
    """Return the path of the file that holds the assignment of a run."""
    return run.path / "liars.json"
