"""Addresses in a charter: one for each party, however it is spelt."""

import pytest

from consortium.charter.addresses import host_and_port, require_own_addresses
from consortium.charter.document import BadCharter, Charter, Member
from consortium.charter.hubs import Hub
from tests.small_consortium import TABLE


def reached_at(coordinator: str, alps: str, sea: str) -> Charter:
    """Return a charter with a coordinator and two hubs at these addresses."""
    hubs = (("alps", alps, "11" * 32, "east"), ("sea", sea, "22" * 32, "west"))
    return Charter(
        name="small",
        task="diagnosis",
        table=TABLE,
        members=(Member(name="east"), Member(name="west")),
        coordinator=coordinator,
        hubs=tuple(
            Hub(
                name=name,
                members=(member,),
                signing=signing,
                address=address,
                authority="33" * 32 if address else "",
            )
            for name, address, signing, member in hubs
        ),
    )


def test_parties_have_addresses_of_their_own_or_none_as_in_a_simulation() -> None:
    for one in (("host:1", "host:2", "host:3"), ("host:1", "a:1", "[::1]:1"), ("", "", "")):
        require_own_addresses(reached_at(*one))


@pytest.mark.parametrize(
    ("addresses", "who"),
    [
        (("host:1", "host:1", "host:2"), "the coordinator and the hub alps"),
        (("host:1", "host:2", "HOST.:01"), "the coordinator and the hub sea"),
        (("host:1", "[::1]:2", "[0:0::1]:2"), "the hub alps and the hub sea"),
    ],
)
def test_an_address_of_two_parties_is_refused(addresses: tuple[str, str, str], who: str) -> None:
    with pytest.raises(BadCharter, match=f"{who} have one address"):
        require_own_addresses(reached_at(*addresses))


@pytest.mark.parametrize("address", ["host:0", "host:65536", "nowhere", ":1"])
def test_a_port_is_one(address: str) -> None:
    with pytest.raises(ValueError, match="a port from 1 to 65535"):
        host_and_port(address)
    assert host_and_port("[::1]:65535") == ("::1", 65_535)


def test_a_port_of_a_hub_that_is_none_is_refused() -> None:
    with pytest.raises(BadCharter, match=r"address of the hub sea .* a port from 1 to 65535"):
        require_own_addresses(reached_at("host:1", "host:2", "host:99444"))
