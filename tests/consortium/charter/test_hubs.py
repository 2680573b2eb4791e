"""Hubs in a charter: who stands behind which, signed by all members."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consortium.charter.document import Charter, Member
from consortium.charter.hubs import Hub, dealt
from tests.small_consortium import TABLE

KEY, OTHER = "11" * 32, "22" * 32
BASE = Charter(
    name="small",
    task="diagnosis",
    table=TABLE,
    members=tuple(Member(name=name) for name in ("east", "north", "west")),
)


def with_hubs(*hubs: Hub) -> Charter:
    return Charter.model_validate({**BASE.model_dump(), "hubs": hubs})


def test_where_a_hub_is_reached_is_signed_and_a_charter_of_before_keeps_its_fingerprint() -> None:
    hubs = (
        Hub(name="hub-a", members=("east", "west"), signing=KEY),
        Hub(name="hub-b", members=("north",), signing=OTHER),
    )
    assert with_hubs(*hubs).fingerprint == (
        "6a9a9c659fc3a0995b9acba899c6767b7b9061650594672bbfd507248eeead48"
    )
    doors = [{"address": f"host:{port}", "authority": "33" * 32} for port in (1, 2)]
    reached = [hub.model_copy(update=door) for hub, door in zip(hubs, doors, strict=True)]
    moved = reached[0].model_copy(update={"address": "other:1"})
    told = with_hubs(*reached)
    assert Charter.model_validate_json(told.model_dump_json()) == told
    prints = {with_hubs(*hubs).fingerprint, told.fingerprint}
    assert len(prints | {with_hubs(moved, reached[1]).fingerprint}) == 3


@pytest.mark.parametrize(
    "doors",
    [
        ({"address": "host:1", "authority": "33" * 32}, {}),
        ({"address": "host:1", "authority": "33" * 32}, {"address": "host:2"}),
        ({"address": "host:1", "authority": "33" * 32},) * 2,
    ],
)
def test_all_hubs_are_reached_at_addresses_of_their_own_or_none_is(
    doors: tuple[dict[str, str], dict[str, str]],
) -> None:
    with pytest.raises(ValidationError, match="an address and an authority each"):
        with_hubs(
            Hub(name="hub-a", members=("east", "west"), signing=KEY, **doors[0]),
            Hub(name="hub-b", members=("north",), signing=OTHER, **doors[1]),
        )


def test_hubs_are_in_the_fingerprint_and_a_charter_without_keeps_its_own() -> None:
    hubs = (
        Hub(name="hub-a", members=("east", "west"), signing=KEY),
        Hub(name="hub-b", members=("north",), signing=OTHER),
    )
    swapped = (
        Hub(name="hub-a", members=("east", "north"), signing=KEY),
        Hub(name="hub-b", members=("west",), signing=OTHER),
    )
    assert with_hubs().fingerprint == BASE.fingerprint
    assert len({one.fingerprint for one in (BASE, with_hubs(*hubs), with_hubs(*swapped))}) == 3


@pytest.mark.parametrize(
    "hubs",
    [
        (Hub(name="hub-a", members=("east", "west"), signing=KEY),),
        (Hub(name="hub-a", members=("east", "west", "north", "south"), signing=KEY),),
        (Hub(name="east", members=("east", "west", "north"), signing=KEY),),
        (
            Hub(name="hub-a", members=("east", "west"), signing=KEY),
            Hub(name="hub-b", members=("north", "west"), signing=OTHER),
        ),
        (
            Hub(name="hub-a", members=("east", "west"), signing=KEY),
            Hub(name="hub-a", members=("north",), signing=OTHER),
        ),
        (
            Hub(name="hub-a", members=("east", "west"), signing=KEY),
            Hub(name="hub-b", members=("north",), signing=KEY),
        ),
    ],
    ids=["a-member-of-none", "a-stranger", "a-members-name", "of-two", "one-name", "one-key"],
)
def test_every_member_stands_behind_one_hub_with_a_name_and_a_key_of_its_own(
    hubs: tuple[Hub, ...],
) -> None:
    with pytest.raises(ValidationError):
        with_hubs(*hubs)


def test_a_key_under_which_anybody_can_sign_is_refused() -> None:
    with pytest.raises(ValidationError, match="degenerate"):
        Hub(name="hub-a", members=("east",), signing="00" * 32)


@given(num_sites=st.integers(1, 60), num_hubs=st.integers(1, 60))
def test_sites_are_dealt_evenly_and_in_their_order(num_sites: int, num_hubs: int) -> None:
    names = [f"site-{at}" for at in range(num_sites)]
    groups = dealt(names, num_hubs)
    assert [name for group in groups for name in group] == names
    assert len(groups) == num_hubs
    assert max(map(len, groups)) - min(map(len, groups)) <= 1
