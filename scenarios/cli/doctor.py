"""`scenario doctor`: check whether this machine has what runs need."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import typer
from rich.table import Table

from scenarios.cli.terminal import FAILED, console

app = typer.Typer()

_PACKAGES = ("flwr", "pandas", "tenseal")
# What adds something, with what it adds and the extra that installs it.
_ADDED = {
    "torch": ("trains models", "train"),
    "transformers": ("learns from texts", "text"),
    "ray": ("runs the simulation engine", "simulation"),
    "pyreadstat": ("reads SAS, SPSS and Stata", "data"),
    "onnx": ("writes ONNX", "onnx"),
}
_PYTHON = ((3, 11), (3, 14))  # the oldest and the newest
_SYSTEMS = {
    "Linux": "",
    "Darwin": "not tested on macOS: runs in one process may work, deployments may not",
}
_OURS = ("consortium", "privacy", "scenarios", "sites", "strategies")
_INSTALL = "install consortium-fl again"
_GIB = 2**30
_MEMORY_GIB = 4.0
_DISK_GIB = 1.0
_LONGEST_SOCKET_FOLDER = 60  # the path of a Unix socket has at most 107 characters
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class MachineCheck:
    """The result of one check.

    Args:
        what: Name of what was checked.
        found: What there is.
        advice: What to do about it; empty if it is fine.
        needed: Whether runs fail without it.
    """

    what: str
    found: str
    advice: str = ""
    needed: bool = True

    @property
    def stops(self) -> bool:
        """Whether a run would fail because of it."""
        return self.needed and bool(self.advice)


@app.command("doctor")
def doctor() -> None:
    """Check whether this machine is ready, and say what to do if it is not."""
    findings = list(examine_machine())
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        mark = "ok" if not finding.advice else ("no" if finding.needed else "--")
        table.add_row(mark, finding.what, finding.found, finding.advice)
    console.print(table)
    if any(finding.stops for finding in findings):
        raise typer.Exit(FAILED)


def examine_machine() -> Iterator[MachineCheck]:
    """Check everything a run needs; yield one result each."""
    yield _system()
    yield _python()
    yield from (_package(name) for name in _PACKAGES)
    yield from (_added_package(name) for name in _ADDED)
    yield _own_names()
    yield from _waits()
    yield _program("flower-superlink")
    yield _memory()
    yield _disk()
    yield _port()
    yield _socket_folder()
    yield _browser()
    yield MachineCheck("cores", str(os.cpu_count()))


def _system() -> MachineCheck:
    name = platform.system()
    advice = _SYSTEMS.get(name, "needs Linux: on Windows, install it in WSL 2")
    return MachineCheck("system", name, advice, needed=name not in _SYSTEMS)


def _python() -> MachineCheck:
    oldest, newest = _PYTHON
    fits = oldest <= sys.version_info[:2] <= newest
    return MachineCheck(
        "Python", platform.python_version(), "" if fits else "install Python 3.11 to 3.14"
    )


def _package(name: str) -> MachineCheck:
    try:
        version = metadata.version(name)
        advice = _unfit_flower(version) if name == "flwr" else ""
        return MachineCheck(name, version, advice)
    except metadata.PackageNotFoundError:
        return MachineCheck(name, "absent", _INSTALL)


def _added_package(name: str) -> MachineCheck:
    use, extra = _ADDED[name]
    try:
        return MachineCheck(name, metadata.version(name), needed=False)
    except metadata.PackageNotFoundError:
        advice = f"optional, {use}: pip install 'consortium-fl[{extra}]'"
        return MachineCheck(name, "absent", advice, needed=False)


def _own_names() -> MachineCheck:
    """Return whether another package has a name that this one imports by."""
    owners = metadata.packages_distributions()
    others = {
        name: sorted({*owners.get(name, ())} - {"consortium-fl"})
        for name in _OURS
        if {*owners.get(name, ())} - {"consortium-fl"}
    }
    if not others:
        return MachineCheck("names of packages", "ours alone")
    shared = "; ".join(f"{name}: {', '.join(also)}" for name, also in others.items())
    return MachineCheck(
        "names of packages", shared, "install Consortium in an environment of its own"
    )


def _unfit_flower(version: str) -> str:
    """Return what to do about a Flower that a deployment would refuse."""
    from consortium.deployment.flower_entrypoints import (  # loads Flower, where it is needed
        REVIEWED,
        UnknownFlower,
        require_version,
    )

    try:
        require_version(version)
    except UnknownFlower:
        tested = " or ".join(f"{one}.x" for one in REVIEWED)
        return f"deployments need Flower {tested}: install such a version"
    return ""


def _waits() -> Iterator[MachineCheck]:
    """Yield whether deployed rounds are as quick as they can be, if there is a Flower."""
    from consortium.deployment.flower_entrypoints import WAITS_KNOWN, knows_waits

    try:
        known = knows_waits()
    except metadata.PackageNotFoundError:
        return
    versions = " or ".join(sorted(WAITS_KNOWN))
    yield MachineCheck(
        "waits of a site",
        "short" if known else "Flower's own",
        "" if known else f"optional: with flwr {versions} a deployed round is 3 s shorter",
        needed=False,
    )


def _program(name: str) -> MachineCheck:
    path = Path(sys.executable).parent / name
    return MachineCheck(
        name,
        str(path) if path.exists() else "absent",
        "" if path.exists() else _INSTALL,
    )


def _memory() -> MachineCheck:
    free = psutil.virtual_memory().available / _GIB
    advice = "" if free >= _MEMORY_GIB else f"free {_MEMORY_GIB:.0f} GiB for the simulation engine"
    return MachineCheck("free memory", f"{free:.1f} GiB", advice)


def _disk() -> MachineCheck:
    free = shutil.disk_usage(Path.cwd()).free / _GIB
    return MachineCheck(
        "free disk here", f"{free:.1f} GiB", "" if free >= _DISK_GIB else "free 1 GiB"
    )


def _port() -> MachineCheck:
    try:
        with socket.socket() as probe:
            # Port 0: the system chooses a free one.
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return MachineCheck("ports on 127.0.0.1", error.strerror or "refused", "allow local ports")
    return MachineCheck("ports on 127.0.0.1", "free")


def _socket_folder() -> MachineCheck:
    folder = tempfile.gettempdir()
    short = len(folder) <= _LONGEST_SOCKET_FOLDER
    return MachineCheck("temporary folder", folder, "" if short else "set TMPDIR to a shorter path")


def _browser() -> MachineCheck:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return MachineCheck(
        "browser for report tests",
        found or "absent",
        "" if found else "optional: install chromium",
        needed=False,
    )
