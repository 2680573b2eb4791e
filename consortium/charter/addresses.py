"""Where parties reach one another: the address and the authority that all members signed.

Whoever connects needs both. The members behind a hub reach the hub; the hubs, and the members of a
charter without hubs, reach the coordinator.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from consortium.charter.document import BadCharter, Charter
from consortium.charter.hubs import Hub


@dataclass(frozen=True, kw_only=True)
class Door:
    """A port at which parties are let in.

    Args:
        whose: Whose it is, in words.
        host: A name or an address.
        port: The port.
        authority: SHA-256 of the certificate of its authority, hexadecimal; empty in charters of
            version 0.1.0.
        guests: The parties that come there: members, or hubs.
    """

    whose: str
    host: str
    port: int
    authority: str
    guests: tuple[str, ...]


def own_door(charter: Charter, hub: str = "") -> Door:
    """Return the door of a hub, or of the coordinator.

    Args:
        charter: The charter.
        hub: The hub's name; empty for the coordinator.

    Raises:
        BadCharter: The charter names no such hub, or no valid address.
    """
    guests = guests_of(charter, hub)
    if hub:
        found = hub_named(charter, hub)
        return _door(f"the hub {hub}", found.address, found.authority, guests)
    return _door("the coordinator", charter.coordinator, charter.authority, guests)


def door_for(charter: Charter, party: str) -> Door:
    """Return the door to which a member or a hub comes.

    Raises:
        BadCharter: The charter names no valid address of it.
    """
    return own_door(charter, hub_of(charter, party))


def guests_of(charter: Charter, hub: str = "") -> tuple[str, ...]:
    """Return who comes to a hub, or to the coordinator: members, or hubs.

    Raises:
        BadCharter: The charter names no such hub.
    """
    if hub:
        return hub_named(charter, hub).members
    return tuple(one.name for one in charter.hubs) or charter.names


def hub_of(charter: Charter, member: str) -> str:
    """Return the name of the hub behind which a member stands; empty if behind none."""
    return next((hub.name for hub in charter.hubs if member in hub.members), "")


def hub_named(charter: Charter, name: str) -> Hub:
    """Return the hub of a name.

    Raises:
        BadCharter: The charter names no such hub.
    """
    found = next((hub for hub in charter.hubs if hub.name == name), None)
    if found is None:
        raise BadCharter(
            f"the charter {charter.name} names no hub {name}: install the kit of one that does"
        )
    return found


def host_and_port(address: str) -> tuple[str, int]:
    """Return the host and the port of an address.

    Raises:
        ValueError: It is not HOST:PORT, or the port is none.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("it has to be HOST:PORT, with a port from 1 to 65535")
    return host.strip("[]"), int(port)


def require_own_addresses(charter: Charter) -> None:
    """Check that the coordinator and each hub, where the charter says how to reach them, differ.

    Raises:
        BadCharter: Two have one address, or the port of one is none.
    """
    held: dict[tuple[str, int], str] = {}
    hubs = ((f"the hub {hub.name}", hub.address) for hub in charter.hubs)
    for whose, address in (("the coordinator", charter.coordinator), *hubs):
        if not address:
            continue
        host, port = _reached(whose, address)
        other = held.setdefault((_one_spelling(host), port), whose)
        if other != whose:
            raise BadCharter(
                f"{other} and {whose} have one address, {address}, and each needs its own: give "
                "another port or host"
            )


def _door(whose: str, address: str, authority: str, guests: tuple[str, ...]) -> Door:
    host, port = _reached(whose, address)
    return Door(whose=whose, host=host, port=port, authority=authority, guests=guests)


def _reached(whose: str, address: str) -> tuple[str, int]:
    try:
        return host_and_port(address)
    except ValueError as error:
        raise BadCharter(
            f"a deployment needs the address of {whose} in the charter as HOST:PORT, with a port "
            f"from 1 to 65535, but this charter has '{address}'"
        ) from error


def _one_spelling(host: str) -> str:
    """Return a host as all its spellings are: names ignore case, addresses have short forms."""
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().removesuffix(".")
