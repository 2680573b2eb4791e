"""docs/operate.md, followed word by word, by the commands of a checkout or of an installation."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from consortium.deployment.processes import free_port
from consortium.run.directory import COORDINATOR, SITE
from tests.docs.pages import HUBS, OPERATE, ROOT, shell_lines
from tests.typed import lines

PORT = "9443"
PORTS_OF_HUBS = ("9444", "9445")
ENTRY = "from {0}.cli.main import main; main()"


def with_programs(folder: Path) -> dict[str, str]:
    """Return this environment with a folder, made here, in which the two commands are found."""
    folder.mkdir()
    for name, package in (("consortium", "consortium"), ("scenario", "scenarios")):
        path = folder / name
        path.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{ENTRY.format(package)}' \"$@\"\n")
        path.chmod(0o700)
    searched = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": searched, "PYTHONPATH": str(ROOT)}


def follow_page(folder: Path, environment: Mapping[str, str]) -> None:
    """Type every command of the page, in its order, and hold it to what the page says.

    Args:
        folder: An empty one, in which they are typed.
        environment: In which a shell finds `consortium` and `scenario`.
    """
    port = str(free_port())
    try:
        for command in shell_lines(OPERATE):
            said = type_command(command.replace(PORT, port), folder, environment)
            if command.startswith("consortium resume"):
                assert "finished: 30 rounds, model" in said
    finally:
        left = end_all_under(folder)
    assert left == []
    require_what_the_page_says(folder)


def follow_page_of_hubs(folder: Path, environment: Mapping[str, str]) -> None:
    """Type every command of the page about hubs that is between institutions, in its order.

    Args:
        folder: An empty one, in which they are typed.
        environment: In which a shell finds `consortium` and `scenario`.
    """
    ports = {port: str(free_port()) for port in (PORT, *PORTS_OF_HUBS)}
    said: dict[str, str] = {}
    try:
        for shown in shell_lines(HUBS):
            command = shown
            for port, free in ports.items():
                command = command.replace(port, free)
            said[shown] = said.get(shown, "") + type_command(command, folder, environment)
    finally:
        left = end_all_under(folder)
    assert left == []
    require_what_the_page_of_hubs_says(folder, said)


def require_what_the_page_of_hubs_says(folder: Path, said: Mapping[str, str]) -> None:
    """Check what the page left in the folder, and what the programs said."""
    assert "finished: 6 rounds, model" in said["consortium wait coordinator"]
    for site in ("cleveland", "va", "hungary", "switzerland"):
        assert (folder / site / "model").exists()
    happened = lines(folder / "coordinator" / "runs" / "first" / "events.jsonl")
    missing = {
        (event["site"], event["code"]) for event in happened if event["event"] == "site-quarantined"
    }
    assert {site for site, code in missing if code == "hub-away"} <= {"hungary", "switzerland"}
    # its death fell into a round, or between the questions about a sum, which were then repeated
    again = [one for one in happened if one["event"] == "sum-confirmed" and one["exchanges"] > 1]
    assert "hub-away" in {code for _, code in missing} or again
    (audited,) = [one for command, one in said.items() if command.startswith("scenario audit-sum")]
    assert "added correctly" in audited
    assert "not decided" not in audited.split("earlier rounds")[0]
    for hub in ("america", "europe"):
        (run,) = (folder / hub / "runs").iterdir()
        assert run.name.startswith("first-")
    assert not (folder / "coordinator" / "runs" / "first" / "model").exists()


def type_command(command: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Return what a command says that is typed into a shell; it must not fail."""
    done = subprocess.run(  # noqa: S602 -- the page's own commands, in a shell as there
        command,
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def end_all_under(path: Path) -> list[int]:
    """Kill the processes of the parties whose directories are there; return their numbers."""
    left = alive_under(path)
    for pid in left:
        psutil.Process(pid).kill()
    return left


def require_what_the_page_says(folder: Path) -> None:
    """Check what the page left in the folder: the models, the run and the members."""
    for site in ("cleveland", "hungary", "va"):
        assert (folder / site / "model").exists()
    happened = lines(folder / "coordinator" / "runs" / "first" / "events.jsonl")
    assert any(was_missed(event) for event in happened)
    assert "run-resumed" in {event["event"] for event in happened}
    second = json.loads((folder / "coordinator" / "charter.json").read_text())
    assert [member["name"] for member in second["members"]] == [
        "cleveland",
        "hungary",
        "switzerland",
    ]
    assert not (folder / "coordinator" / "runs" / "first" / "model").exists()


def alive_under(path: Path) -> list[int]:
    """Return the processes of the parties whose directories are there."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if (environment.get(SITE) or environment.get(COORDINATOR) or "").startswith(str(path)):
            found.append(process.pid)
    return found


def was_missed(event: dict[str, Any]) -> bool:
    """Whether the machine that died was missing: its part, or its confirmation of a sum."""
    if event["event"] == "site-quarantined":
        return bool(event["site"] == "va")
    return bool(event["event"] == "sum-confirmed" and event["exchanges"] > 1)
