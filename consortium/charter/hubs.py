"""Hubs: regional coordinators that the members agreed on, and who of them stands behind which.

They are part of the charter, so all members sign who sums for whom.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
)

from privacy.identity.public_identity import is_degenerate_signing_key
from sites.schema.tables import NAME

ADDRESS = r"^$|^[A-Za-z0-9_.:\[\]-]{1,253}:[0-9]{1,5}$"
_OF_EVERY_HUB = frozenset({"name", "members", "signing"})


class Hub(BaseModel):
    """A regional coordinator: it stands between its members and the coordinator of the run.

    Args:
        name: Its name, which no member has.
        members: The members behind it, in the charter's order.
        signing: Ed25519 public key, hexadecimal: the hub signs each sum that it passes on.
        address: Where its members reach it, as HOST:PORT; empty in simulations.
        authority: SHA-256 of the certificate of the authority that its members trust for TLS,
            hexadecimal; empty in simulations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME)
    members: tuple[str, ...] = Field(min_length=1)
    signing: str = Field(pattern=r"^[0-9a-f]{64}$")
    address: str = Field(default="", pattern=ADDRESS)
    authority: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")

    @model_serializer(mode="wrap")
    def _without_what_is_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing, so that charters of before keep their fingerprint."""
        said: dict[str, Any] = handler(self)
        return {name: one for name, one in said.items() if one or name in _OF_EVERY_HUB}

    @field_validator("signing")
    @classmethod
    def _key_is_usable(cls, signing: str) -> str:
        if is_degenerate_signing_key(bytes.fromhex(signing)):
            raise ValueError("anybody could sign for the hub: its key is degenerate")
        return signing


def check_hubs(hubs: Sequence[Hub], members: Sequence[str]) -> None:
    """Check that every member stands behind exactly one hub, if there are hubs.

    Raises:
        ValueError: It does not; or two hubs share a name, a key or an address; or a hub has a
            member's name; or some hubs have an address, with an authority, and others do not.
    """
    if not hubs:
        return
    behind = Counter(name for hub in hubs for name in hub.members)
    twice = sorted(name for name, times in behind.items() if times > 1)
    if twice:
        raise ValueError(f"a member stands behind one hub; {twice} stand behind several")
    if {*behind} != {*members}:
        odd = sorted({*behind} ^ {*members})
        raise ValueError(f"all members stand behind a hub, and nobody else does: {odd} differ")
    if len({hub.name for hub in hubs} - {*members}) < len(hubs):
        raise ValueError("hubs need names of their own")
    if len({hub.signing for hub in hubs}) < len(hubs):
        raise ValueError("each hub needs a key of its own")
    reached = [hub.address for hub in hubs if hub.address]
    if reached and (len({*reached}) < len(hubs) or not all(hub.authority for hub in hubs)):
        raise ValueError("hubs that members reach need an address and an authority each")


def dealt(members: Sequence[str], num_hubs: int) -> list[tuple[str, ...]]:
    """Return the members in so many groups of about the same size, each in the members' order."""
    share, more = divmod(len(members), num_hubs)
    sizes = [share + (at < more) for at in range(num_hubs)]
    starts = [sum(sizes[:at]) for at in range(num_hubs)]
    return [tuple(members[start : start + size]) for start, size in zip(starts, sizes, strict=True)]
