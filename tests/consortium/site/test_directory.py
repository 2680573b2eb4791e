"""Every path of a party has one owner."""

import ast
from pathlib import Path

import pytest

from consortium.run.party_directory import CoordinatorDirectory, PartyDirectory
from consortium.site.directory import SiteDirectory

ROOT = Path(__file__).parents[3]
OWNERS = {"consortium/site/directory.py", "consortium/run/party_directory.py"}
# what lies within a store's own folder belongs to the store
NAMES = {
    "charter.json",
    "signatures.json",
    "authority.pem",
    "server.pem",
    "server.key",
    "nodes.json",
    "site.json",
    "site.log",
    "identity.secret",
    "node.key",
    "approved.json",
    "order.json",
    "last-run",
    "link.secret",
}


def test_a_site_of_version_0_1_0_has_its_files_where_they_are_looked_for() -> None:
    site = SiteDirectory(Path("north"))
    assert {
        str(path.relative_to("north"))
        for path in (site.config, site.policy, site.charter, site.identity, site.node_key)
    } == {"site.json", "policy.json", "charter.json", "secrets/identity.secret", "secrets/node.key"}
    assert site.last_answer_0_1_0 == Path("north/answers/last.bin")
    assert site.mistakes == Path("north/mistakes/last.jsonl")
    assert site.charter_secrets("ab") == Path("north/secrets/charter-ab")


def test_a_coordinator_of_version_0_1_0_has_its_files_where_they_are_looked_for() -> None:
    place = CoordinatorDirectory(Path("/srv/c"))
    assert place.server_key == Path("/srv/c/secrets/server.key")
    assert place.server_certificate == Path("/srv/c/server.pem")
    assert place.run("one") == Path("/srv/c/runs/one")
    assert place.authority == PartyDirectory(Path("/srv/c")).authority


@pytest.mark.parametrize("package", ["consortium", "scenarios", "privacy"])
def test_no_other_module_spells_the_name_of_a_partys_file(package: str) -> None:
    spelt = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value}"
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in OWNERS | {"consortium/run/directory.py"}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in NAMES
    ]
    assert spelt == []
