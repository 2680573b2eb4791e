"""The folder that is the whole PATH of a site's or the coordinator's Flower."""

import shlex
import sys
from pathlib import Path

from consortium.processes import program

# Flower starts these by name. What is not run here at all ends at once.
STARTED = (
    "flwr-clientapp",
    "flwr-serverapp",
    "flwr-agentapp",
    "flwr-connector",
    "flwr-model",
    "flwr-simulation",
)
_RUN: dict[str, tuple[str, ...]] = {
    "site": ("flwr-clientapp",),
    "coordinator": ("flwr-serverapp",),
}


def write_programs(folder: Path, role: str) -> Path:
    """Write the programs that a role may run, and stand-ins for those it may not.

    Guarantee: no program that would run a bundle's code unasked can be started by name: the
    folder has a stand-in under every name Flower 1.41 uses, and is the whole PATH.

    Args:
        folder: Where they go.
        role: `site` or `coordinator`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    for name in STARTED:
        gate = name if name in _RUN[role] else "refused"
        _write(folder / name, f'exec {python} -P -m consortium.flower_gate {gate} "$@"')
    superexec = shlex.quote(program("flower-superexec"))
    _write(folder / "flower-superexec", f'exec {superexec} "$@"')
    return folder


def _write(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o700)
