"""docs/operate.md, followed word by word, by the commands of a checkout or of an installation."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from consortium.deployment.processes import free_port
from consortium.run.directory import COORDINATOR, SITE
from tests.docs.pages import OPERATE, shell_lines
from tests.typed import lines

PORT = "9443"


def follow_page(folder: Path, environment: Mapping[str, str]) -> None:
    """Type every command of the page, in its order, and hold it to what the page says.

    Args:
        folder: An empty one, in which they are typed.
        environment: In which a shell finds `consortium` and `scenario`.
    """
    port = str(free_port())
    try:
        for command in shell_lines(OPERATE):
            done = subprocess.run(  # noqa: S602 -- the page's own commands, in a shell as there
                command.replace(PORT, port),
                shell=True,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            if command.startswith("consortium resume"):
                assert "finished: 30 rounds, model" in done.stdout
    finally:
        left = alive_under(folder)
        for pid in left:
            psutil.Process(pid).kill()
    assert left == []
    require_what_the_page_says(folder)


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
