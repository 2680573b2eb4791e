"""Who lies in a staged run, and how: written into its directory, never into the run config."""

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


class TooManyLiars(ConsortiumError, ValueError):
    """There are fewer sites than liars are wanted."""

    code = "too-many-liars"


class AttackAssignment(BaseModel):
    """The liars of a run.

    Args:
        seed: Of what they draw.
        attacks: The attack of each liar, by site.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    seed: int = 0
    attacks: Mapping[str, str] = Field(default_factory=dict)

    @classmethod
    def read(cls, run: RunDirectory) -> "AttackAssignment":
        """Read who lies in a staged run."""
        return read_record(path_in(run), cls)

    @property
    def answering(self) -> tuple[str, ...]:
        """The sites whose answers are altered; the others' records at most."""
        return tuple(site for site in self.attacks if self.attack_of(site).lie)

    def attack_of(self, site: str) -> Attack:
        """Return the attack of a liar."""
        return attack_named(self.attacks[site])

    def rng(self, site: str, server_round: int) -> np.random.Generator:
        """Return the generator of one liar in one round; round 0 is the staging."""
        key = (zlib.crc32(b"lie"), zlib.crc32(site.encode()), server_round)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


NOBODY = AttackAssignment()


def draw_liars(sites: Sequence[str], attack: str, *, liars: int, seed: int) -> AttackAssignment:
    """Return so many liars among the sites, drawn by the seed, all with the same attack.

    Guarantee: with one seed, the liars of a smaller number are among those of a larger one, and
    the attack does not change who they are.

    Raises:
        UnknownAttack: There is no such attack.
        TooManyLiars: There are not so many sites.
    """
    name = attack_named(attack).name
    if not 0 <= liars <= len(sites):
        raise TooManyLiars(
            f"{liars} liars are wanted among {len(sites)} sites", wanted=liars, sites=len(sites)
        )
    key = (zlib.crc32(b"liars"),)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
    drawn = [sites[index] for index in rng.permutation(len(sites))[:liars]]
    return AttackAssignment(seed=seed, attacks=dict.fromkeys(sorted(drawn), name))


def path_in(run: RunDirectory) -> Path:
    """Return where it is written who lies in a run."""
    return run.path / "liars.json"
