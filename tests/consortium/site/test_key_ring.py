"""How a site comes by its keys, and which it goes by."""

import pickle
from pathlib import Path

import pytest

from consortium.site.key_ring import KeyRing, member_at
from privacy.encryption.parameters import PARAMETER_SETS
from privacy.protocol.envelope import WrongCharter
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import TooFewOthers
from privacy.secrets.epoch_files import NoEpoch
from privacy.secrets.key_exchange import NotAnOpener, WrongRecipient
from privacy.secrets.keys import SecretStays
from privacy.secrets.replay_guard import StaleEpoch
from privacy.storage.secret_files import SecretExists, SecretMissing
from tests.small_consortium import NAMES, Consortium, forget_processes

SMALL = PARAMETER_SETS["default"](4)


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path)


@pytest.fixture
def members(consortium: Consortium) -> dict[str, KeyRing]:
    return {name: at(consortium, name) for name in NAMES}


def at(consortium: Consortium, name: str) -> KeyRing:
    return member_at(consortium.run.site(name), name, consortium.charter)


def shared(members: dict[str, KeyRing], maker: str = "east", last: int = 0) -> None:
    for name, delivery in members[maker].rotate(last).items():
        members[name].accept(delivery)


def test_at_first_nobody_holds_an_epoch(members: dict[str, KeyRing]) -> None:
    assert {member.held_epoch() for member in members.values()} == {(0, b"")}
    with pytest.raises(NoEpoch):
        members["east"].epoch()


def test_one_makes_an_epoch_and_all_hold_it(members: dict[str, KeyRing]) -> None:
    deliveries = members["north"].rotate(0)
    assert set(deliveries) == set(NAMES) - {"north"}
    held = {members[name].accept(delivery) for name, delivery in deliveries.items()}
    assert held == {members["north"].held_epoch()}
    assert members["north"].held_epoch()[0] == 1


def test_an_epoch_is_newer_than_any_that_anybody_held(members: dict[str, KeyRing]) -> None:
    shared(members)
    shared(members, "north", last=41)
    assert {member.held_epoch()[0] for member in members.values()} == {42}
    shared(members, "south", last=0)
    assert {member.held_epoch()[0] for member in members.values()} == {43}
    assert len({member.held_epoch() for member in members.values()}) == 1


def test_who_says_that_epochs_are_far_ahead_is_believed_up_to_a_bound(
    members: dict[str, KeyRing],
) -> None:
    """Numbers are not used up by one lie, nor by a hundred."""
    for _ in range(3):
        shared(members, "north", last=2**63 - 1)
    assert {member.held_epoch()[0] for member in members.values()} == {3 * (2**20 + 1)}


def test_a_delivery_is_for_one_member_once(members: dict[str, KeyRing]) -> None:
    first = members["east"].rotate(0)
    second = members["east"].rotate(0)
    with pytest.raises(WrongRecipient):
        members["north"].accept(first["south"])
    members["north"].accept(second["north"])
    for stale in (first, second):
        with pytest.raises(StaleEpoch):
            members["north"].accept(stale["north"])


def test_a_process_that_starts_anew_holds_what_was_held(
    consortium: Consortium, members: dict[str, KeyRing]
) -> None:
    shared(members)
    before = members["south"].held_epoch()
    members["south"].memory.close()
    forget_processes()
    assert at(consortium, "south").held_epoch() == before


def test_a_process_has_one_member_a_site(consortium: Consortium) -> None:
    assert at(consortium, "east") is at(consortium, "east")
    assert at(consortium, "east") is not at(consortium, "west")


def test_another_charter_is_another_secret_and_no_old_number(
    consortium: Consortium, members: dict[str, KeyRing]
) -> None:
    """A member left: the charter changes, nobody goes by the old secret, and epochs go on."""
    shared(members)
    shorter = consortium.charter.model_copy(update={"members": consortium.charter.members[:3]})
    left = {name: member_at(consortium.run.site(name), name, shorter) for name in shorter.names}
    assert {member.held_epoch() for member in left.values()} == {(0, b"")}
    with pytest.raises(SecretMissing):
        left["east"].epoch()
    old = members["east"].rotate(1)
    with pytest.raises(WrongCharter):
        left["north"].accept(old["north"])
    shared(left)
    assert {member.held_epoch()[0] for member in left.values()} == {3}


def test_a_run_is_opened_by_one_and_accepted_by_all(members: dict[str, KeyRing]) -> None:
    shared(members)
    encoded = members["east"].open_run(
        label="small", roster=NAMES[::-1], lineage="", descriptor=bytes(32), parameters=SMALL
    )
    opening = Opening.decode(encoded)
    opened = [one.accept_run(opening, descriptor=bytes(32)) for one in members.values()]
    assert {one.run for one in opened} == {opening.run}
    assert {one.roster for one in opened} == {NAMES}
    assert len({one.scheme_secret for one in opened}) == 1
    assert len({one.keys.state for one in opened}) == 1


def test_every_opening_has_a_key_of_its_own(members: dict[str, KeyRing]) -> None:
    shared(members)
    opened = [
        members["east"].accept_run(
            Opening.decode(
                members["east"].open_run(
                    label="small",
                    roster=NAMES,
                    lineage="",
                    descriptor=bytes(32),
                    parameters=SMALL,
                )
            ),
            descriptor=bytes(32),
        )
        for _ in range(2)
    ]
    assert len({one.scheme_secret for one in opened}) == 2
    assert len({one.keys.checksum for one in opened}) == 2


def test_who_may_not_open_does_not(consortium: Consortium) -> None:
    charter = consortium.charter.model_copy(update={"openers": ("west",)})
    forget_processes()
    members = {name: member_at(consortium.run.site(name), name, charter) for name in NAMES}
    with pytest.raises(NotAnOpener):
        members["east"].rotate(0)
    shared(members, "west")
    plan = {"label": "small", "lineage": "", "descriptor": bytes(32), "parameters": SMALL}
    with pytest.raises(NotAnOpener):
        members["east"].open_run(roster=NAMES, **plan)  # type: ignore[arg-type]
    with pytest.raises(TooFewOthers):
        members["west"].open_run(roster=NAMES[2:], **plan)  # type: ignore[arg-type]


def test_a_site_that_was_never_made_is_no_member(consortium: Consortium, tmp_path: Path) -> None:
    with pytest.raises(SecretMissing):
        member_at(tmp_path / "nowhere", "east", consortium.charter)


def test_a_secret_is_never_overwritten(members: dict[str, KeyRing]) -> None:
    with pytest.raises(SecretExists):
        members["east"].identity.write(members["east"].directory.parent / "identity.secret")


def test_a_member_is_neither_pickled_nor_shown(members: dict[str, KeyRing]) -> None:
    shared(members)
    with pytest.raises(SecretStays):
        pickle.dumps(members["east"])
    secret = (members["east"].directory.parent / "identity.secret").read_text().split("\n")[1]
    text = repr(members["east"])
    assert secret not in text
    assert bytes.fromhex(secret)[:16].hex() not in text
