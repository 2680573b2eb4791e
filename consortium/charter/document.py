"""The charter: what the members of a consortium agreed on, and its fingerprint."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, PublicIdentity
from sites.schema.tables import NAME
from sites.schema.texts import AgreedTable

ADDRESS = r"^$|^[A-Za-z0-9_.:\[\]-]{1,253}:[0-9]{1,5}$"


class BadCharter(ConsortiumError, ValueError):
    """A charter file cannot be read as a charter."""

    code = "bad-charter"


class UnknownMember(ConsortiumError, LookupError):
    """A site is not a member of this consortium."""

    code = "unknown-member"


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Agreed):
    """One institution of the consortium.

    Args:
        name: What it is called in every message and file.
        signing: Ed25519 public key, hexadecimal; empty where runs are in the clear only.
        receiving: X25519 public key, likewise.
    """

    name: str = Field(pattern=NAME)
    signing: str = ""
    receiving: str = ""


class Floors(_Agreed):
    """What no run may fall below.

    Args:
        min_sites: Sites in every aggregate.
        max_examples: Most training examples one site may claim: the cap on its weight.
        full_class_examples: Training examples that earn weight class 8.
        min_others: Sites besides any one reader in every encrypted sum.
        smallest_scale: Least value that an update may be rounded by, under encryption.
        largest_scale: Greatest such value.
        encrypted: Whether every run must be encrypted: a coordinator cannot ask for less.
    """

    min_sites: int = Field(default=2, ge=1)
    max_examples: int = Field(default=10_000_000, ge=1)
    full_class_examples: int = Field(default=1_000, ge=1)
    min_others: int = Field(default=2, ge=1)
    smallest_scale: float = Field(default=1e-8, gt=0)
    largest_scale: float = Field(default=1e4, gt=0)
    encrypted: bool = False


class Charter(_Agreed):
    """The agreement every message of a run is bound to by its fingerprint.

    Args:
        name: Of the consortium.
        task: The use case the members train.
        table: What every column means, of a table or of texts; the same at all members.
        members: The institutions, with distinct names.
        coordinator: Where the sites reach the coordinator, as HOST:PORT; empty in simulations.
        revision: Counts the charters of a consortium: a site never goes back to an earlier one.
        floors: What no run may fall below.
        openers: Members that may make epoch secrets and open encrypted runs, in the order in
            which they succeed each other; all members in their order if none is named.
        release_pooled: Whether evaluation counts, pooled over all sites of an encrypted run,
            are released to the coordinator.
    """

    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    task: str
    table: AgreedTable
    members: tuple[Member, ...] = Field(min_length=1, max_length=10_000)
    coordinator: str = Field(default="", pattern=ADDRESS)
    revision: int = Field(default=1, ge=1, lt=2**31)
    floors: Floors = Floors()
    openers: tuple[str, ...] = ()
    release_pooled: bool = True

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Charter":
        repeated = [name for name, times in Counter(self.names).items() if times > 1]
        if repeated:
            raise ValueError(f"members need distinct names; {repeated} stand there twice")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members, in the charter's order."""
        return tuple(member.name for member in self.members)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def identities(self) -> Mapping[str, PublicIdentity]:
        """Public keys of the members that have some, by name.

        Raises:
            BadIdentity: A key protects nothing.
        """
        return {
            member.name: PublicIdentity.from_description(member.model_dump())
            for member in self.members
            if member.signing
        }

    @property
    def agreement(self) -> Agreement:
        """What keys are bound to.

        Raises:
            BadCharter: A member has no keys in the charter.
            BadAgreement: Keys or openers contradict each other, or the floor cannot be met.
        """
        keyless = [member.name for member in self.members if not member.signing]
        if keyless:
            raise BadCharter(
                f"encrypted runs need the public keys of all members; {keyless} have none in "
                "the charter",
                keyless=len(keyless),
            )
        return Agreement(
            charter=bytes.fromhex(self.fingerprint),
            members=tuple(
                PublicIdentity.from_description(member.model_dump()) for member in self.members
            ),
            openers=self.openers or self.names,
            min_others=self.floors.min_others,
        )

    def write(self, path: Path) -> None:
        """Write the charter as JSON."""
        path.write_text(self.model_dump_json(indent=1))

    @classmethod
    def read(cls, path: Path) -> "Charter":
        """Read a charter.

        Raises:
            BadCharter: There is no such file, or it is not a charter.
        """
        try:
            return _parse_charter(path.read_text())
        except OSError as error:
            raise BadCharter(f"no charter can be read at {path}: {error.strerror}") from error
        except ValidationError as error:
            raise BadCharter(f"{path} is not a charter: {error}") from error


@lru_cache(maxsize=16)
def _parse_charter(text: str) -> Charter:
    """Return the charter that a text is: the sites of one process hold the same."""
    return Charter.model_validate_json(text)


def coordinator_address(charter: Charter) -> tuple[str, int]:
    """Return host and port that sites reach the coordinator by.

    Raises:
        BadCharter: The charter names none.
    """
    host, _, port = charter.coordinator.rpartition(":")
    if not host or not 0 < int(port) < 65_536:
        raise BadCharter(
            f"a deployment needs a charter with the coordinator's HOST:PORT, this one has "
            f"'{charter.coordinator}'"
        )
    return host.strip("[]"), int(port)
