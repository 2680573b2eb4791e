import stat
from pathlib import Path

import pytest

from consortium.charter.document import BadCharter
from consortium.deployment.processes import LaunchFailed, Mark, end_processes, free_port
from consortium.deployment.supernode import SuperNode
from consortium.provisioning.charter_drafts import with_agreed_maps
from consortium.site.agreed_map import OtherMap
from consortium.site.directory import BadSite
from tests.consortium.founded import Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    made = found(tmp_path, port=free_port())
    made.provision()
    made.install()
    return made


def test_a_site_without_an_address_starts_nothing(founded: Founded) -> None:
    charter = founded.charter.model_copy(update={"coordinator": ""})
    charter.write(founded.site("east") / "charter.json")
    with pytest.raises(BadCharter):
        SuperNode(founded.site("east")).start()


def test_a_site_with_a_word_too_many_in_its_configuration_starts_nothing(founded: Founded) -> None:
    config = founded.site("east") / "site.json"
    config.write_text(config.read_text().replace("{", '{"shortest_pauses_s": 1.0,', 1))
    with pytest.raises(BadSite, match="shortest_pause_s"):
        SuperNode(founded.site("east")).start()


def test_a_site_that_reads_by_another_map_starts_nothing(founded: Founded) -> None:
    with_agreed_maps(founded.charter, {"east": "a" * 64}).write(
        founded.site("east") / "charter.json"
    )
    with pytest.raises(OtherMap, match="its records have no map"):
        SuperNode(founded.site("east")).start()


def test_its_processes_know_their_site_and_find_no_program_but_the_gate(founded: Founded) -> None:
    node = SuperNode(founded.site("east"))
    assert node.name == "east"
    environment = dict(node.environment)
    assert environment["PATH"] == str(node.home / "programs")
    assert environment[node.mark.variable] == str(founded.site("east").resolve())
    assert "AWS_SECRET_ACCESS_KEY" not in environment


def test_it_starts_while_the_coordinator_is_away_and_is_reached_by_this_machine_only(
    founded: Founded,
) -> None:
    """A site that starts before the coordinator waits for it."""
    node = SuperNode(founded.site("east"))
    assert not node.is_healthy()
    process = node.start()
    try:
        assert node.is_healthy()
        listening = [
            one for family in node.mark.marked_processes() for one in family.net_connections()
        ]
        hosts = {one.laddr.ip for one in listening if one.status == "LISTEN"}
        assert hosts <= {"127.0.0.1"}
    finally:
        end_processes(node.mark.marked_processes())
        process.wait()
    assert not node.is_healthy()
    assert stat.S_IMODE((node.home / "programs" / "flwr-clientapp").stat().st_mode) == 0o700


def test_one_that_dies_at_once_is_an_error_that_names_its_log(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consortium.deployment.supernode.sys.executable", "/bin/false")
    with pytest.raises(LaunchFailed, match=r"supernode\.log"):
        SuperNode(founded.site("east")).start()


def test_the_mark_of_a_site_is_its_directory(founded: Founded) -> None:
    there = Mark("CONSORTIUM_SITE_DIR", str(founded.site("east").resolve()))
    assert SuperNode(founded.site("east")).mark == there
