"""The commands with which a hub is set up, and what they refuse."""

from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from consortium.charter.document import Charter
from consortium.cli.main import app
from privacy.errors import ConsortiumError
from tests.consortium.founded import NAMES, TABLE, Founded, found


@pytest.fixture
def founded(tmp_path: Path) -> Founded:
    """Three sites and a coordinator, with what they sent each other."""
    founded = found(tmp_path)
    (tmp_path / "table.json").write_text(TABLE.model_dump_json())
    for half in founded.halves:
        half.write(tmp_path / f"{half.name}.json")
    return founded


def typed(*words: object) -> str:
    """Return what a command prints; it must succeed."""
    done = _run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words: object) -> str:
    """Return the sentence with which a command refuses."""
    done = _run(*words)
    assert isinstance(done.exception, ConsortiumError), done.output
    return f"{done.exception.code}: {done.exception}"


def _run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def drafted(founded: Founded, *hubs: str) -> list[object]:
    """Return the words that draft a charter."""
    path = founded.path
    members = [word for half in founded.halves for word in ("--member", path / f"{half.name}.json")]
    return [
        *("charter", "new", path / "charter.json", "--name", "banks", "--task", "credit"),
        *("--table", path / "table.json", "--coordinator", "127.0.0.1:9443", *members),
        *("--authority", path / "coordinator" / "authority.pem", "--without-masks"),
        *(word for hub in hubs for word in ("--hub", hub)),
    ]


def test_two_hubs_are_set_up_named_in_the_charter_and_get_their_kits(founded: Founded) -> None:
    path = founded.path
    for name, port in (("alps", 9_444), ("sea", 9_445)):
        init = ("coordinator", "init", path / name, "--host", "127.0.0.1", "--hub", name)
        assert "authority" in typed(*init)
        half = ("coordinator", "public", path / name, "--address", f"127.0.0.1:{port}")
        typed(*half, "--out", path / f"{name}.json")
        assert f'"name": "{name}"' in typed(*half)
    behind = [f"east,north={path / 'alps.json'}", f"west={path / 'sea.json'}"]
    typed(*drafted(founded, *behind))
    shown = typed("charter", "show", path / "charter.json")
    assert "alps                 127.0.0.1:9444: east and north" in shown
    for name in NAMES:
        typed("charter", "sign", path / "charter.json", path / name)
    members = [word for half in founded.halves for word in ("--member", path / f"{half.name}.json")]
    provision = [
        *("provision", path / "provisioned", "--charter", path / "charter.json", *members),
        *("--authority", path / "coordinator" / "authority.pem"),
    ]
    assert "missing, or of no hub: alps, sea" in refused(*provision)
    hubs = [word for name in ("alps", "sea") for word in ("--hub", path / f"{name}.json")]
    assert "alps.tar.gz" in typed(*provision, *hubs)
    typed("coordinator", "install", path / "alps", path / "provisioned/kits/alps.tar.gz")
    status = typed("status", path / "alps")
    for line in ("hub          alps", "SuperLink    down", "run          none yet"):
        assert line in status
    assert "the hub alps is down" in _run("status", path / "alps", "--healthy").output
    assert Charter.read(path / "alps" / "charter.json").hubs[0].members == ("east", "north")


@pytest.mark.parametrize("command", ["run", "resume", "wait", "watch", "evaluate"])
def test_a_hub_leads_no_run(founded: Founded, command: str) -> None:
    hub = founded.path / "alps"
    typed("coordinator", "init", hub, "--host", "127.0.0.1", "--hub", "alps")
    said = refused(command, hub)
    assert "not-a-coordinator" in said
    assert "of the hub alps" in said


@pytest.mark.parametrize("hub", ["east", "=alps.json", "east,north="])
def test_who_stands_behind_a_hub_is_said_in_one_way(founded: Founded, hub: str) -> None:
    assert "--hub needs NAMES=FILE" in refused(*drafted(founded, hub))


def test_a_coordinator_has_no_half_of_a_hub(founded: Founded) -> None:
    said = refused("coordinator", "public", founded.coordinator, "--address", "127.0.0.1:1")
    assert "not the directory of a hub" in said
