"""The folder that is the whole PATH of a site's or the coordinator's Flower."""

import shlex
import sys
from pathlib import Path

from consortium.deployment.processes import program_path

# Flower starts these by name. What is not run here at all ends at once.
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
    """Write the programs that a role may run, and stand-ins for those it may not.

    Guarantee: no program that would run a bundle's code unasked can be started by name: the
    folder has a stand-in under every name Flower 1.41 uses, and is the whole PATH.

    Args:
        folder: Where they go.
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
