"""A health check of a site and of a coordinator, against the real programs."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from click.testing import Result
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.deployment.control_client import Control
from consortium.deployment.health import party_trouble
from consortium.deployment.processes import FlowerService, end_processes, free_port, wait_until
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.run.party_directory import NotACoordinator
from consortium.site.last_answer import LastAnswer
from tests.consortium.founded import Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    made = found(tmp_path, port=free_port())
    made.provision()
    made.install()
    return made


@contextmanager
def supervised(
    service: FlowerService, start: Callable[[], "subprocess.Popen[bytes]"]
) -> Iterator[None]:
    """Run a service as its supervisor does, in place of whom this process stands."""
    service.home.mkdir(exist_ok=True)
    note_supervisor(service)
    process = start()
    try:
        yield
    finally:
        end_processes(service.mark.marked_processes())
        process.wait()


def note_supervisor(service: FlowerService) -> None:
    note = {
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
        "since": "2026-01-02T03:04:05+00:00",
        "restarts": 0,
    }
    service.home.mkdir(exist_ok=True)
    (service.home / "supervisor.json").write_text(json.dumps(note))


def asked(directory: Path) -> Result:
    return CliRunner().invoke(app, ["status", str(directory), "--healthy"])


def test_what_is_down_is_not_healthy_and_the_sentence_says_how_to_start_it(
    founded: Founded,
) -> None:
    for party, verb in ((founded.site("east"), "site"), (founded.coordinator, "coordinator")):
        result = asked(party)
        assert result.exit_code == 1
        assert f"`consortium {verb} up {party}`" in result.output


def test_what_does_not_answer_is_not_healthy(founded: Founded) -> None:
    link, node = SuperLink(founded.coordinator), SuperNode(founded.site("east"))
    for service in (link, node):
        note_supervisor(service)
    assert "does not answer on this machine" in party_trouble(founded.site("east"))
    assert f"does not answer at {founded.charter.coordinator}" in party_trouble(founded.coordinator)


def test_a_directory_without_a_party_is_refused_and_never_healthy(tmp_path: Path) -> None:
    with pytest.raises(NotACoordinator):
        party_trouble(tmp_path)
    assert asked(tmp_path).exit_code == 1


def test_both_are_healthy_once_they_speak_and_neither_when_the_line_is_cut(
    founded: Founded, tmp_path: Path
) -> None:
    """A site that runs and hears nobody is not healthy: a restart would not help, a look would."""
    link, site = SuperLink(founded.coordinator), founded.site("east")
    node = SuperNode(site)
    with supervised(link, link.start):
        assert asked(founded.coordinator).exit_code == 0
        Control(link).enrol_nodes()
        with supervised(node, node.start):
            healthy = wait_until(lambda: not party_trouble(site), alive=lambda: True, limit_s=60)
            assert healthy, node.log.read_text()
            assert (asked(site).exit_code, asked(site).output) == (0, "healthy\n")
            long_ago = time.time() - 100
            os.utime(LastAnswer(node.home).path, (long_ago, long_ago))
            assert "has not answered site east for 100 s" in asked(site).output
            assert asked(site).exit_code == 1
        other = found(tmp_path / "other", port=free_port())
        shutil.copy(other.coordinator / "authority.pem", link.paths.authority)
        assert "with a certificate that sites accept" in party_trouble(founded.coordinator)


def test_what_an_earlier_supernode_heard_is_forgotten(founded: Founded) -> None:
    node = SuperNode(founded.site("east"))
    node.home.mkdir()
    LastAnswer(node.home).path.touch()  # answered a moment ago
    with supervised(node, node.start):
        assert "since it started" in party_trouble(founded.site("east"))


def test_a_check_of_a_site_loads_no_library_that_takes_long(founded: Founded) -> None:
    """It runs every minute, beside the training."""
    code = (
        "import sys; from pathlib import Path; "
        "from consortium.deployment.health import party_trouble; party_trouble(Path(sys.argv[1])); "
        "print(*[name for name in ('torch', 'pandas', 'flwr', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(founded.site("east"))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
