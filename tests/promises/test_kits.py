"""A kit that was altered on its way installs nothing that its sender did not sign."""

import hashlib
import json
from contextlib import suppress
from pathlib import Path

import pytest

from consortium.provisioning.certificates import Authority, pem_bytes
from consortium.provisioning.installation import install_coordinator, install_site
from consortium.provisioning.kits import MANIFEST
from privacy.errors import ConsortiumError
from tests.consortium.founded import NOW, Founded, found

STRANGE_UNIT = "[Service]\nExecStart=/bin/true\n"


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    """Three sites and a coordinator; the kits are made, and on their way."""
    made = found(tmp_path / "c")
    made.provision()
    return made


def passed_on(kit: Path) -> None:
    """List a kit's files anew, as who carries it can: the list is nobody's signature."""
    manifest = json.loads((kit / MANIFEST).read_text())
    files = [path for path in kit.iterdir() if path.name != MANIFEST]
    manifest["files"] = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
    (kit / MANIFEST).write_text(json.dumps(manifest))


def install_west(founded: Founded) -> None:
    """Let west take over what came, if it does."""
    passed_on(founded.kit("west"))
    with suppress(ConsortiumError):
        install_site(founded.site("west"), founded.kit("west"), now=NOW)


def test_no_site_takes_over_another_authority(founded: Founded) -> None:
    stranger = pem_bytes(Authority.create("consortium authority", now=NOW).certificate)
    (founded.kit("west") / "authority.pem").write_bytes(stranger)
    install_west(founded)
    taken_over = founded.site("west") / "authority.pem"
    assert not taken_over.exists() or taken_over.read_bytes() != stranger


@pytest.mark.parametrize("name", ["consortium-site-west.service", "another.service"])
def test_no_site_takes_over_a_unit_that_came(founded: Founded, name: str) -> None:
    (founded.kit("west") / name).write_text(STRANGE_UNIT)
    install_west(founded)
    units = founded.site("west").rglob("*.service")
    assert STRANGE_UNIT not in [unit.read_text() for unit in units]


def test_the_coordinator_takes_over_nodes_of_members_only(founded: Founded) -> None:
    """The name of a node is the name of a file in the end."""
    kit, stranger = founded.kit("coordinator"), "../../../stranger"
    nodes = json.loads((kit / "nodes.json").read_text())
    (kit / "nodes.json").write_text(json.dumps({**nodes, stranger: nodes["west"]}))
    passed_on(kit)
    with suppress(ConsortiumError):
        install_coordinator(founded.coordinator, kit, now=NOW)
    taken_over = founded.coordinator / "nodes.json"
    assert not taken_over.exists() or stranger not in json.loads(taken_over.read_text())
