"""The charter: what the members of a consortium agreed on, and its fingerprint."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from privacy.errors import ConsortiumError
from sites.schema import NAME, Schema


class BadCharter(ConsortiumError, ValueError):
    """A charter file cannot be read as a charter."""


class UnknownMember(ConsortiumError, LookupError):
    """A site is not a member of this consortium."""


class _Agreed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(_Agreed):
    """One institution of the consortium."""

    name: str = Field(pattern=NAME)


class Floors(_Agreed):
    """What no run may fall below.

    Args:
        min_sites: Sites in every aggregate.
        max_examples: Most training examples one site may claim: the cap on its weight.
        full_class_examples: Training examples that earn weight class 8.
    """

    min_sites: int = Field(default=2, ge=1)
    max_examples: int = Field(default=10_000_000, ge=1)
    full_class_examples: int = Field(default=1_000, ge=1)


class Charter(_Agreed):
    """The agreement every message of a run is bound to by its fingerprint.

    Args:
        name: Of the consortium.
        task: The use case the members train.
        table: What every column means; the same at all members.
        members: The institutions, with distinct names.
        floors: What no run may fall below.
    """

    version: Literal[1] = 1
    name: str = Field(pattern=NAME)
    task: str
    table: Schema
    members: tuple[Member, ...] = Field(min_length=1, max_length=10_000)
    floors: Floors = Floors()

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
            return cls.model_validate_json(path.read_text())
        except OSError as error:
            raise BadCharter(f"no charter can be read at {path}: {error.strerror}") from error
        except ValidationError as error:
            raise BadCharter(f"{path} is not a charter: {error}") from error
