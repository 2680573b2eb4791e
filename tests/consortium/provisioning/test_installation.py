from datetime import timedelta
from pathlib import Path

import pytest

from consortium.charter.document import Charter, OtherKeys
from consortium.charter.signatures import Unsigned
from consortium.provisioning.certificates import (
    Authority,
    BadCertificate,
    Expired,
    pem_bytes,
    read_certificate,
    read_request,
    require_server_certificate,
)
from consortium.provisioning.charter_drafts import revise_charter, with_agreed_maps
from consortium.provisioning.enrolment import init_site
from consortium.provisioning.installation import (
    EarlierCharter,
    init_coordinator,
    install_coordinator,
    install_site,
    read_nodes,
    renew_server_certificate,
)
from consortium.provisioning.kits import BadKit, Manifest, read_kit, write_kit
from consortium.site.agreed_map import OtherMap
from consortium.site.policy_templates import strict
from privacy.policy.document import read_policy
from privacy.storage.secret_files import SecretExists
from sites.data.source import TableFile
from tests.consortium.founded import NAMES, NOW, Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    made = found(tmp_path)
    made.provision()
    return made


def rewritten(kit: Path, changes: dict[str, bytes | None]) -> Path:
    """Make the same kit with other files and a matching manifest."""
    role = "coordinator" if kit.name == "coordinator" else "site"
    party = "banks" if role == "coordinator" else kit.name
    manifest, files = read_kit(kit, role=role, party=party)  # type: ignore[arg-type]  # one of two
    for name, content in changes.items():
        files.pop(name, None)
        if content is not None:
            files[name] = content
    write_kit(kit, Manifest(**{**manifest.model_dump(), "files": {}}), files)
    return kit


def test_all_parties_take_over_the_charter(founded: Founded) -> None:
    founded.install()
    for directory in (founded.coordinator, *(founded.site(name) for name in NAMES)):
        assert Charter.read(directory / "charter.json") == founded.charter
    assert set(read_nodes(founded.coordinator)) == set(NAMES)


def test_a_packed_kit_is_as_good(founded: Founded) -> None:
    charter = install_site(founded.site("east"), founded.kit("east.tar.gz"), now=NOW)
    assert charter == founded.charter


@pytest.mark.parametrize("name", ["site.json", "policy.json", "approved.json", "identity.secret"])
def test_a_kit_does_not_bring_what_the_site_decides(founded: Founded, name: str) -> None:
    kit = rewritten(founded.kit("east"), {name: b"{}"})
    with pytest.raises(BadKit, match="exactly"):
        install_site(founded.site("east"), kit, now=NOW)
    assert not (founded.site("east") / "charter.json").exists()


def test_a_kit_without_one_of_its_files_is_refused(founded: Founded) -> None:
    kit = rewritten(founded.kit("east"), {"signatures.json": None})
    with pytest.raises(BadKit, match="exactly"):
        install_site(founded.site("east"), kit, now=NOW)


def test_a_charter_that_not_all_signed_is_not_taken_over(founded: Founded) -> None:
    kit = rewritten(founded.kit("east"), {"signatures.json": b'{"signatures": []}'})
    with pytest.raises(Unsigned):
        install_site(founded.site("east"), kit, now=NOW)


def test_a_site_that_reads_by_another_map_takes_no_charter_over(tmp_path: Path) -> None:
    made = found(tmp_path)
    made.provision(with_agreed_maps(made.charter, {"east": "a" * 64}))
    with pytest.raises(OtherMap, match="its records have no map"):
        install_site(made.site("east"), made.kit("east"), now=NOW)
    assert not (made.site("east") / "charter.json").exists()
    taken = install_site(made.site("north"), made.kit("north"), now=NOW)
    assert taken.map_of("east") == "a" * 64


def test_a_kit_with_another_charter_than_it_says_is_refused(founded: Founded) -> None:
    other = founded.charter.model_copy(update={"revision": 9})
    kit = rewritten(founded.kit("east"), {"charter.json": other.model_dump_json().encode()})
    with pytest.raises(BadKit, match="a charter other than"):
        install_site(founded.site("east"), kit, now=NOW)


def test_the_site_of_a_name_is_the_one_with_the_keys(founded: Founded, tmp_path: Path) -> None:
    """Another party that calls itself east cannot even install the kit of east."""
    init_site(tmp_path / "false", name="east", source=TableFile(path=Path("x.csv")))
    with pytest.raises(OtherKeys):
        install_site(tmp_path / "false", founded.kit("east"), now=NOW)


def test_a_kit_of_long_ago_is_refused(founded: Founded) -> None:
    with pytest.raises(Expired):
        founded.install(now=NOW + timedelta(days=400))


def test_the_coordinators_certificate_is_for_its_key(founded: Founded, tmp_path: Path) -> None:
    init_coordinator(tmp_path / "moved", hosts=("127.0.0.1",), now=NOW)
    with pytest.raises(BadCertificate, match="not issued by this authority"):
        install_coordinator(tmp_path / "moved", founded.kit("coordinator"), now=NOW)
    others = (founded.coordinator / "server.pem").read_bytes()
    kit = rewritten(founded.kit("coordinator"), {"server.pem": others})
    with pytest.raises(BadCertificate, match="not for the coordinator's key"):
        install_coordinator(tmp_path / "moved", kit, now=NOW)


def test_a_renewed_certificate_needs_no_kit_and_no_signature(founded: Founded) -> None:
    founded.install()
    held = {path: path.read_bytes() for path in founded.coordinator.glob("*.*")}
    first = read_certificate(founded.coordinator / "server.pem")
    second = renew_server_certificate(founded.coordinator, now=NOW + timedelta(days=300))
    assert second == read_certificate(founded.coordinator / "server.pem")
    assert second.not_valid_after_utc - first.not_valid_after_utc == timedelta(days=300)
    assert second.public_key() == first.public_key()
    changed = [path.name for path, content in held.items() if path.read_bytes() != content]
    assert changed == ["server.pem"]
    authority = read_certificate(founded.site("east") / "authority.pem")
    require_server_certificate(second, authority, host="127.0.0.1", now=NOW + timedelta(days=400))


def test_a_charter_of_0_1_0_names_no_authority_and_is_installed(founded: Founded) -> None:
    earlier = founded.charter.model_copy(update={"authority": ""})
    founded.provision(earlier)
    founded.install()
    assert Charter.read(founded.site("east") / "charter.json").authority == ""
    named = revise_charter(earlier, authority=founded.charter.authority)
    founded.provision(named)
    founded.install()
    assert Charter.read(founded.site("east") / "charter.json") == named


def test_the_coordinator_takes_over_no_other_authority(founded: Founded) -> None:
    other = Authority.create("consortium authority", now=NOW)
    request = read_request(founded.coordinator / "server.csr")
    changes = {
        "authority.pem": pem_bytes(other.certificate),
        "server.pem": pem_bytes(other.issue_certificate(request, now=NOW)),
    }
    kit = rewritten(founded.kit("coordinator"), dict(changes))
    with pytest.raises(BadCertificate, match="the members signed the authority"):
        install_coordinator(founded.coordinator, kit, now=NOW)


def test_a_coordinator_is_not_set_up_twice(founded: Founded) -> None:
    with pytest.raises(SecretExists):
        init_coordinator(founded.coordinator, hosts=("127.0.0.1",), now=NOW)


def test_without_a_kit_a_coordinator_knows_no_nodes(founded: Founded) -> None:
    with pytest.raises(BadKit):
        read_nodes(founded.coordinator)


def test_a_member_that_left_is_in_no_later_charter_and_nobody_goes_back(founded: Founded) -> None:
    """Revocation: a new charter with a new fingerprint, and no node of the member."""
    made = founded.charter.model_copy(
        update={"floors": founded.charter.floors.model_copy(update={"min_others": 1})}
    )
    with_three = Founded(founded.path, founded.halves, made)
    with_three.provision()
    with_three.install()
    with_two = revise_charter(made, without=["west"])
    old = {name: with_three.kit(name).rename(founded.path / f"old-{name}") for name in NAMES}
    with_three.provision(with_two)
    install_coordinator(founded.coordinator, founded.kit("coordinator"), now=NOW)
    install_site(founded.site("east"), founded.kit("east"), now=NOW)
    assert set(read_nodes(founded.coordinator)) == {"east", "north"}
    assert Charter.read(founded.site("east") / "charter.json").fingerprint != made.fingerprint
    with pytest.raises(EarlierCharter):
        install_site(founded.site("east"), old["east"], now=NOW)


def test_the_first_charter_brings_the_strict_policy_and_no_kit_touches_it_again(
    founded: Founded,
) -> None:
    founded.install()
    site = founded.site("east")
    assert read_policy(site) == strict(founded.charter)
    loosened = strict(founded.charter).model_copy(update={"min_examples": 7})
    loosened.write(site)
    install_site(site, founded.kit("east"), now=NOW)
    assert read_policy(site) == loosened
