"""Hubs between institutions: what they show of themselves, and who trusts whom by which kit."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consortium.charter.addresses import door_for, own_door
from consortium.charter.document import BadCharter, Charter, OtherKeys
from consortium.charter.hubs import Hub
from consortium.provisioning.certificates import Authority, BadCertificate, Expired, pem_bytes
from consortium.provisioning.charter_drafts import revise_charter, with_hubs, with_hubs_to_come
from consortium.provisioning.hub_enrolment import HubHalf, hub_half, init_hub
from consortium.provisioning.installation import install_coordinator, install_site, read_nodes
from consortium.provisioning.kits import BadKit
from consortium.provisioning.public_halves import BadPublicHalf, create_node_key
from consortium.run.hub_directory import HubDirectory, require_leading
from consortium.run.party_directory import NotACoordinator, PartyDirectory
from consortium.site.directory import SiteDirectory
from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.storage.secret_files import SecretExists
from tests.consortium.founded import (
    BEHIND,
    HOST,
    NAMES,
    NOW,
    Founded,
    found,
    found_with_hubs,
    half_of,
    install_hubs,
    provide,
)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """Three sites behind two hubs; all kits are made."""
    founded = found_with_hubs(tmp_path_factory.mktemp("hubs"))
    provide(founded)
    return founded


def test_a_hub_shows_nothing_private_and_what_was_altered_is_refused(
    founded: Founded, tmp_path: Path
) -> None:
    half = half_of(founded, "alps")
    half.write(tmp_path / "alps.json")
    assert HubHalf.read(tmp_path / "alps.json") == half
    assert b"PRIVATE" not in (tmp_path / "alps.json").read_bytes()
    for name in ("address", "name"):
        said = json.loads(half.model_dump_json()) | {name: "other:1" if name == "address" else "o"}
        (tmp_path / "altered.json").write_text(json.dumps(said))
        with pytest.raises(BadSignature):
            HubHalf.read(tmp_path / "altered.json")
    for text in ("{}", "no JSON"):
        (tmp_path / "altered.json").write_text(text)
        with pytest.raises(BadPublicHalf):
            HubHalf.read(tmp_path / "altered.json")
    with pytest.raises(BadPublicHalf, match="certificate"):
        _ = half.model_copy(update={"authority": "none"}).certificate


def test_all_keys_of_a_hub_are_its_own_and_only_its_owner_reads_them(founded: Founded) -> None:
    hub = founded.path / "alps"
    assert hub.stat().st_mode & 0o077 == 0
    keys = [HubDirectory(hub).key, SiteDirectory(HubDirectory(hub).node).node_key]
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)
    with pytest.raises(SecretExists):
        init_hub(hub, name="alps", hosts=(HOST,), now=NOW)
    with pytest.raises(BadPublicHalf, match="small letter"):
        init_hub(founded.path / "other", name="The Alps", hosts=(HOST,), now=NOW)
    with pytest.raises(BadPublicHalf, match="address"):
        hub_half(hub, address="nowhere")


def test_an_address_at_which_no_member_would_accept_the_hub_is_refused_before_anybody_signs(
    founded: Founded,
) -> None:
    hub = founded.path / "alps"
    with pytest.raises(BadCertificate, match=rf"not for alps\.example, but for {HOST}"):
        hub_half(hub, address="alps.example:9444")
    for port in (0, 99_444):
        with pytest.raises(BadPublicHalf, match="a port from 1 to 65535"):
            hub_half(hub, address=f"{HOST}:{port}")


def test_no_hub_has_the_name_of_the_coordinators_kit(founded: Founded) -> None:
    with pytest.raises(BadPublicHalf, match="another name"):
        init_hub(founded.path / "other", name="coordinator", hosts=(HOST,), now=NOW)
    assert not (founded.path / "other").exists()
    hubs = [hub.model_dump() for hub in founded.charter.hubs]
    said = {**founded.charter.model_dump(), "hubs": [{**hubs[0], "name": "coordinator"}, hubs[1]]}
    signed = Charter.model_validate(said)  # who has signed one can still read it
    half = half_of(founded, "alps").model_copy(update={"name": "coordinator"})
    half = half.with_signature(SigningKey.read(HubDirectory(founded.path / "alps").key).sign)
    with pytest.raises(BadCharter, match="another name"):
        provide(replace(founded, charter=signed), hubs=(half, half_of(founded, "sea")))
    with pytest.raises(BadCharter, match="another name"):
        with_hubs(
            founded.charter.model_copy(update={"hubs": ()}),
            [(half, BEHIND["alps"]), (half_of(founded, "sea"), BEHIND["sea"])],
        )


def test_no_hub_is_drafted_or_gets_a_kit_at_the_coordinators_address(founded: Founded) -> None:
    there = hub_half(founded.path / "sea", address=founded.charter.coordinator)
    with pytest.raises(BadCharter, match="the coordinator and the hub sea have one address"):
        with_hubs(founded.charter, [(there, BEHIND["sea"])])
    moved = founded.charter.model_copy(update={"coordinator": f"{HOST}:9444"})
    with pytest.raises(BadCharter, match="the coordinator and the hub alps have one address"):
        provide(replace(founded, charter=moved))


def test_no_kits_with_an_authority_that_expired(founded: Founded) -> None:
    with pytest.raises(Expired, match="authority of the coordinator"):
        provide(founded, now=NOW + timedelta(days=4_000))
    old = Authority.create("old", now=NOW - timedelta(days=20), days=10).certificate
    hub = founded.path / "alps"
    authority, made = PartyDirectory(hub).authority, PartyDirectory(hub).authority.read_bytes()
    try:
        authority.write_bytes(pem_bytes(old))
        behind = [(half_of(founded, name), members) for name, members in BEHIND.items()]
        changed = replace(founded, charter=with_hubs(founded.charter, behind))
        with pytest.raises(Expired, match="authority of the hub alps"):
            provide(changed)
    finally:
        authority.write_bytes(made)


def test_a_hub_that_lost_a_key_installs_no_kit_for_it_and_makes_none(tmp_path: Path) -> None:
    """Every member would be absent for the whole run: the coordinator takes it for a stranger."""
    founded = found_with_hubs(tmp_path)
    provide(founded)
    hub = founded.path / "alps"
    key, node = HubDirectory(hub).key, SiteDirectory(HubDirectory(hub).node).node_key
    for path, kept, why in ((key, key.read_bytes(), "none"), (node, node.read_bytes(), "no read")):
        path.unlink()
        with pytest.raises(OtherKeys, match=f"{why}.*: bring the file back"):
            install_coordinator(hub, founded.kit("alps"), now=NOW)
        assert not path.exists()
        path.write_bytes(kept)
        path.chmod(0o600)
    install_coordinator(hub, founded.kit("alps"), now=NOW)
    node.unlink()
    create_node_key(HubDirectory(hub).node)
    with pytest.raises(OtherKeys, match="lets the hub alps in with the SuperNode key"):
        install_coordinator(hub, founded.kit("alps"), now=NOW)
    provide(founded)
    key.unlink()
    renewed = half_of(founded, "alps")
    with pytest.raises(OtherKeys, match="signs with the key"):
        install_coordinator(hub, founded.kit("alps"), now=NOW)
    revised = revise_charter(with_hubs_to_come(founded.charter, [(renewed, BEHIND["alps"])]))
    again = replace(founded, charter=revised)
    provide(again)
    assert install_coordinator(hub, again.kit("alps"), now=NOW) == revised


def test_a_hub_is_no_coordinator_of_runs_and_a_coordinator_is_no_hub(founded: Founded) -> None:
    with pytest.raises(NotACoordinator, match="of the hub alps"):
        require_leading(founded.path / "alps")
    require_leading(founded.coordinator)
    with pytest.raises(NotACoordinator, match="not the directory of a hub"):
        hub_half(founded.coordinator, address=f"{HOST}:1")


def test_members_come_to_their_hub_and_hubs_to_the_coordinator(founded: Founded) -> None:
    charter = founded.charter
    assert (own_door(charter).guests, own_door(charter).port) == (("alps", "sea"), 9_443)
    assert own_door(charter, "alps").guests == BEHIND["alps"]
    assert [door_for(charter, name).port for name in NAMES] == [9_444, 9_444, 9_445]
    assert door_for(charter, "sea").port == 9_443
    with pytest.raises(BadCharter, match="desert"):
        own_door(charter, "desert")


def test_everybody_trusts_the_authority_where_it_connects_and_admits_who_belongs_there(
    founded: Founded,
) -> None:
    install_hubs(founded)
    assert {*read_nodes(founded.coordinator)} == {*BEHIND}
    for name, members in BEHIND.items():
        hub = founded.path / name
        assert {*read_nodes(hub)} == {*members}
        own = (hub / "authority.pem").read_bytes()
        for member in members:
            assert PartyDirectory(founded.site(member)).authority.read_bytes() == own
        coordinators = (founded.coordinator / "authority.pem").read_bytes()
        assert HubDirectory(hub).node_authority.read_bytes() == coordinators != own
        assert Charter.read(HubDirectory(hub).node_charter) == founded.charter
        unit = (hub / f"consortium-hub-{name}.service").read_text()
        assert f"consortium coordinator up {hub}" in unit


def test_a_kit_of_another_party_is_refused(founded: Founded) -> None:
    for directory, kit in (("alps", "sea"), ("alps", "coordinator"), ("coordinator", "alps")):
        with pytest.raises(BadKit, match="this kit is for"):
            install_coordinator(founded.path / directory, founded.kit(kit), now=NOW)


def test_an_authority_that_nobody_signed_is_refused(founded: Founded) -> None:
    """Whoever makes kits could put another in: who holds its key would read a member's traffic."""
    try:
        altered = half_of(founded, "sea").model_copy(update={"name": "alps"})
        with pytest.raises(BadSignature):
            provide(founded, hubs=(altered, half_of(founded, "sea")))
        kit = founded.kit("east")
        (kit / "authority.pem").write_bytes((founded.coordinator / "authority.pem").read_bytes())
        said = json.loads((kit / "kit.json").read_text())
        said["files"]["authority.pem"] = json.loads(
            (founded.kit("coordinator") / "kit.json").read_text()
        )["files"]["authority.pem"]
        (kit / "kit.json").write_text(json.dumps(said))
        with pytest.raises(BadCertificate, match="ask the hub alps"):
            install_site(founded.site("east"), kit, now=NOW)
    finally:
        provide(founded)


def test_no_kits_without_the_public_half_that_the_charter_was_drafted_from(
    founded: Founded,
) -> None:
    with pytest.raises(BadCharter, match="sea"):
        provide(founded, hubs=(half_of(founded, "alps"),))
    elsewhere = hub_half(founded.path / "sea", address=f"{HOST}:1")
    with pytest.raises(BadCharter, match="says something else of the hub sea"):
        provide(founded, hubs=(half_of(founded, "alps"), elsewhere))


def test_no_kits_for_a_charter_whose_hubs_have_no_address(founded: Founded) -> None:
    """As that of a simulation: nobody is to wait for a hub that cannot be reached."""
    hubs = tuple(
        Hub(name=hub.name, members=hub.members, signing=hub.signing) for hub in founded.charter.hubs
    )
    changed = replace(founded, charter=founded.charter.model_copy(update={"hubs": hubs}))
    with pytest.raises(BadCharter, match="says something else"):
        provide(changed)
    with pytest.raises(BadCharter, match="the address of the hub alps"):
        own_door(changed.charter, "alps")


def test_a_draft_places_every_member_behind_one_hub(founded: Founded) -> None:
    half = half_of(founded, "alps")
    for members in (("east",), ("east", "north", "desert")):
        with pytest.raises(BadCharter, match="stand behind a hub"):
            with_hubs(founded.charter.model_copy(update={"hubs": ()}), [(half, members)])


def test_a_member_that_joins_stands_behind_the_hub_that_is_named(
    founded: Founded, tmp_path: Path
) -> None:
    joining = found(tmp_path / "others").halves[0].model_copy(update={"name": "new"})
    half = half_of(founded, "sea")
    to_come = with_hubs_to_come(founded.charter, [(half, ["west", "new"])])
    revised = revise_charter(to_come, joining=[joining])
    assert [hub.members for hub in revised.hubs] == [("east", "north"), ("west", "new")]
    assert revised.statistics_of == ""
    kept = revise_charter(to_come, joining=[joining], keep_statistics=True)
    assert kept.statistics_of == founded.charter.fingerprint
    with pytest.raises(BadCharter, match="stand behind a hub"):
        revise_charter(founded.charter, joining=[joining])


def test_a_member_that_leaves_leaves_its_hub(founded: Founded) -> None:
    floors = founded.charter.floors.model_copy(update={"encrypted": False})
    charter = founded.charter.model_copy(update={"floors": floors})
    assert [hub.name for hub in revise_charter(charter, without=["west"]).hubs] == ["alps"]
    smaller = revise_charter(charter, without=["east"])
    assert [hub.members for hub in smaller.hubs] == [("north",), ("west",)]
