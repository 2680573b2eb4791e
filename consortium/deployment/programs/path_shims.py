"""Write the folder of shims that is the entire PATH of Flower's processes at a party."""

import shlex
import sys
from pathlib import Path

from consortium.deployment.processes import program_path

# What Flower 1.41 and 1.42 start by name. Those a role does not run get a shim that exits.
STARTED = (
    "flwr-clientapp",
    "flwr-serverapp",
    "flwr-agentapp",
    "flwr-connector",
    "flwr-model",
    "flwr-simulation",
)
_STARTER = "flower-superexec"
_RUN: dict[str, tuple[str, ...]] = {
    "site": (_STARTER, "flwr-clientapp"),
    "coordinator": ("flwr-serverapp",),
}


def write_shims(folder: Path, role: str) -> Path:
    """Write a shim for each program a role may run, and one that exits for every other program.

    Guarantee: Flower cannot start, by name, a program that would run unapproved code of a bundle:
    the folder has a shim under every name that Flower 1.41 or 1.42 uses, and is the entire PATH.

    Args:
        folder: Where to write the shims.
        role: `site` or `coordinator`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    gate = f"exec {shlex.quote(sys.executable)} -P -m consortium.deployment.flower_entrypoints"
    _write_script(folder / _STARTER, f'exec {shlex.quote(program_path(_STARTER))} "$@"')
    for name in STARTED:
        _write_script(folder / name, f"{gate} refused")
    for name in _RUN[role]:
        _write_script(folder / name, f'{gate} {name} "$@"')
    return folder


def _write_script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o700)
