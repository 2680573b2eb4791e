"""The charter: the agreement of a consortium's members, and its fingerprint."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from consortium.charter.canonical_json import canonical_json
from consortium.charter.hubs import ADDRESS, Hub, check_hubs
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import (
    Agreement,
    PublicIdentity,
    is_degenerate_signing_key,
)
from privacy.storage.document_mistakes import document_mistakes
from privacy.storage.durable_files import write_atomically
from sites.schema.tables import NAME
from sites.schema.texts import AgreedTable

DIGEST = r"^[0-9a-f]{64}$"


_LATER_FIELDS = frozenset(  # those that came after 0.1.0
    {
        "authority",
        "continues",
        "continues_from",
        "coordinator_key",
        "hubs",
        "maps",
        "max_colluders",
        "sets_in_run",
        "statistics_of",
        "suite",
        "without_masks",
    }
)
_HYBRID = "mlkem768_x25519"


class BadCharter(ConsortiumError, ValueError, code="bad-charter"):
    """A file is not a charter, or a charter lacks something that is needed here."""


class UnknownMember(ConsortiumError, LookupError, code="unknown-member"):
    """A name is not that of a member of this consortium."""


class OtherKeys(ConsortiumError, PermissionError, code="other-keys"):
    """A charter's or a kit's keys for a party differ from the party's own."""


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Agreed):
    """One institution of the consortium.

    Args:
        name: Its name in every message and file.
        signing: Ed25519 public key, hexadecimal; empty if all runs are in the clear.
        receiving: X25519 public key, hexadecimal; empty if all runs are in the clear.
    """

    name: str = Field(pattern=NAME)
    signing: str = ""
    receiving: str = ""


class Floors(_Agreed):
    """Limits that every run must respect.

    Args:
        min_sites: Fewest sites in an aggregate.
        max_examples: Most training examples a site may claim, which caps its weight.
        full_class_examples: Training examples that earn weight class 8.
        min_others: Fewest sites, besides the reader itself, in an encrypted sum.
        smallest_scale: Smallest rounding step for an update under encryption.
        largest_scale: Largest rounding step for an update under encryption.
        encrypted: Whether every run must be encrypted; a coordinator cannot lower this.
    """

    min_sites: int = Field(default=2, ge=1)
    max_examples: int = Field(default=10_000_000, ge=1)
    full_class_examples: int = Field(default=1_000, ge=1)
    min_others: int = Field(default=2, ge=1)
    smallest_scale: float = Field(default=1e-8, gt=0)
    largest_scale: float = Field(default=1e4, gt=0)
    encrypted: bool = False


class AgreedMap(_Agreed):
    """The map by which a member reads its FHIR resources or its OMOP database.

    Args:
        member: Its name.
        sha256: Of what the map says (`sites.data.mapped.digests`), hexadecimal.
    """

    member: str = Field(pattern=NAME)
    sha256: str = Field(pattern=DIGEST)


class Charter(_Agreed):
    """The agreement of the members. Its fingerprint binds every message of a run to it.

    Args:
        name: The consortium's name.
        task: The task that the members train.
        table: The schema of the records, of a table or of texts; the same at all members.
        members: The institutions, with distinct names.
        coordinator: The coordinator's address, as HOST:PORT; empty in simulations.
        revision: Number of this charter of the consortium; a site never goes back to a lower one.
        floors: Limits that every run must respect.
        openers: Members that may create epoch secrets and open encrypted runs, in order of
            succession; if empty, all members in their order.
        release_pooled: Whether the sites of an encrypted run release evaluation counts, pooled
            over all of them, to the coordinator.
        authority: SHA-256 of the certificate of the authority that the sites trust for TLS,
            hexadecimal. Empty in charters of version 0.1.0: no member signed which one it is.
        coordinator_key: Ed25519 public key of the coordinator, hexadecimal: it signs every
            question of an encrypted run. Empty in charters of version 0.1.0: what their sites were
            shown cannot be proven.
        statistics_of: Fingerprint of the earlier revision whose pooled statistics stand in
            encrypted runs; empty if this one counts its own.
        max_colluders: Members that may be in league with the coordinator, and still open nothing
            of a run with masks. 0 where the charter says nothing: then 1.
        sets_in_run: How many sets of sites a run with masks may sum in one bucket, over its
            rounds. Empty where the charter says nothing: then `one`, and `any` with noise.
        suite: Key exchange for the secrets that pairs of sites share. Empty where the charter says
            nothing: then ML-KEM-768 with X25519. With `x25519` alone there are no masks. A charter
            that names ML-KEM-768 asks for masks in every encrypted run, but for `without_masks`.
        without_masks: Whether encrypted runs may do without masks all the same.
        continues: The run, with masks, that goes on under this revision without the members that
            left; empty if none does.
        continues_from: Digest of the sealed state that it goes on from, hexadecimal.
        maps: The maps by which members read their records. Who is not named reads as it chooses.
        hubs: Regional coordinators, and the members behind each; empty if there are none.
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
    authority: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    coordinator_key: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    statistics_of: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    max_colluders: int = Field(default=0, ge=0, le=10)
    sets_in_run: Literal["", "one", "any"] = ""
    suite: Literal["", "mlkem768_x25519", "x25519"] = ""
    without_masks: bool = False
    continues: str = Field(default="", pattern=r"^([a-z][a-z0-9_.-]{0,62}-[0-9a-f]{64})?$")
    continues_from: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    maps: tuple[AgreedMap, ...] = ()
    hubs: tuple[Hub, ...] = ()

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Charter":
        repeated = [name for name, times in Counter(self.names).items() if times > 1]
        if repeated:
            raise ValueError(f"members need distinct names; {repeated} are used more than once")
        return self

    @model_validator(mode="after")
    def _coordinator_key_is_usable(self) -> "Charter":
        if self.coordinator_key and is_degenerate_signing_key(bytes.fromhex(self.coordinator_key)):
            raise ValueError("anybody could sign for the coordinator: its key is degenerate")
        return self

    @model_validator(mode="after")
    def _maps_are_of_members(self) -> "Charter":
        named = [one.member for one in self.maps]
        strangers = sorted({*named} - {*self.names})
        if strangers:
            raise ValueError(f"maps are those of members, and {strangers} are none")
        if len({*named}) < len(named):
            raise ValueError("maps names a member twice")
        return self

    @model_validator(mode="after")
    def _hubs_are_of_members(self) -> "Charter":
        check_hubs(self.hubs, self.names)
        return self

    @model_validator(mode="after")
    def _what_goes_on_is_whole(self) -> "Charter":
        if bool(self.continues) != bool(self.continues_from):
            raise ValueError("a run goes on from a state: name both, or neither")
        if self.continues and not self.statistics_of:
            raise ValueError("a run goes on with the statistics that it began with: let them stand")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in the charter's order."""
        return tuple(member.name for member in self.members)

    @property
    def num_colluders(self) -> int:
        """The members that may be in league with the coordinator: 1 if the charter says nothing."""
        return self.max_colluders or 1

    @property
    def pair_suite(self) -> str:
        """The key exchange between pairs of sites: the hybrid one if the charter says nothing."""
        return self.suite or _HYBRID

    @property
    def asks_for_masks(self) -> bool:
        """Whether the members agreed that every encrypted run has masks."""
        return self.suite == _HYBRID and not self.without_masks

    @property
    def has_keys_for_masks(self) -> bool:
        """Whether pairs of sites exchange keys that a run with masks may use."""
        return self.pair_suite == _HYBRID

    def sums_one_set(self, *, noise: bool) -> bool:
        """Return whether a bucket of a run with masks sums one set of sites, in all its rounds.

        Args:
            noise: Whether the sites' updates carry noise of differential privacy.
        """
        return self.sets_in_run == "one" or (self.sets_in_run == "" and not noise)

    def map_of(self, member: str) -> str | None:
        """Return the SHA-256 of the map by which a member reads; None if it reads as it chooses."""
        return next((one.sha256 for one in self.maps if one.member == member), None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the charter's canonical JSON, hexadecimal.

        A field that came after version 0.1.0 is part of it only where it is set, so that charters
        signed before keep their fingerprint.
        """
        return _fingerprint_of(_ThisCharter(self))

    @property
    def identities(self) -> Mapping[str, PublicIdentity]:
        """Public keys by name, of the members that have keys in the charter.

        Raises:
            BadIdentity: A key is invalid or weak.
        """
        return {
            member.name: PublicIdentity.from_description(member.model_dump())
            for member in self.members
            if member.signing
        }

    @property
    def agreement(self) -> Agreement:
        """The agreement that keys and encrypted runs are bound to.

        Raises:
            BadCharter: A member has no keys in the charter.
            BadAgreement: Keys or openers contradict each other, or the floor cannot be met.
        """
        return _agreement_of(_ThisCharter(self))

    def write(self, path: Path) -> None:
        """Write the charter as JSON."""
        write_atomically(path, self.model_dump_json(indent=1))

    @classmethod
    def read(cls, path: Path) -> "Charter":
        """Read a charter.

        Raises:
            BadCharter: The file does not exist or is not a charter.
        """
        try:
            return _parse_charter(path.read_bytes())
        except FileNotFoundError as error:
            raise BadCharter(
                f"there is no charter at {path}: name the file, or install the kit that holds it "
                "with `consortium site install` or `consortium coordinator install`"
            ) from error
        except OSError as error:
            raise BadCharter(f"the charter {path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise BadCharter(
                f"{path} is not a charter: {document_mistakes(error, Charter)}"
            ) from error


@dataclass(frozen=True, eq=False)
class _ThisCharter:
    """A charter as a key: only the same object is the same, because 0.0 equals -0.0."""

    charter: Charter

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ThisCharter) and other.charter is self.charter

    def __hash__(self) -> int:
        return id(self.charter)


@lru_cache(maxsize=16)
def _fingerprint_of(this: _ThisCharter) -> str:
    """Return the fingerprint of a charter, computed once: each message of a run is bound to it."""
    charter = this.charter
    unset = {name for name in _LATER_FIELDS if not getattr(charter, name)}
    described = canonical_json(charter.model_dump(mode="json", exclude=unset))
    return hashlib.sha256(described.encode()).hexdigest()


@lru_cache(maxsize=16)
def _agreement_of(this: _ThisCharter) -> Agreement:
    """Return the agreement of a charter, made once: it grows with the members."""
    charter = this.charter
    keyless = [member.name for member in charter.members if not member.signing]
    if keyless:
        raise BadCharter(
            f"encrypted runs need the public keys of all members; {keyless} have none in "
            "the charter",
            keyless=len(keyless),
        )
    return Agreement(
        charter=bytes.fromhex(charter.fingerprint),
        members=tuple(
            PublicIdentity.from_description(member.model_dump()) for member in charter.members
        ),
        openers=charter.openers or charter.names,
        min_others=charter.floors.min_others,
    )


@lru_cache(maxsize=16)
def _parse_charter(text: bytes) -> Charter:
    """Parse a charter, once per text: in a simulation many sites of a process share one."""
    return Charter.model_validate_json(text)
