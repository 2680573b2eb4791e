import socket
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from scenarios.cli.doctor import MachineCheck, examine_machine
from scenarios.cli.main import app


def checks_by_name() -> dict[str, MachineCheck]:
    return {finding.what: finding for finding in examine_machine()}


def test_a_machine_that_runs_these_tests_is_ready() -> None:
    findings = checks_by_name()
    for what in ("Python", "flwr", "ray", "torch", "tenseal", "flower-superlink", "cores"):
        assert findings[what].found
        assert not findings[what].stops


def test_only_a_needed_thing_with_advice_stops_a_run() -> None:
    assert MachineCheck("x", "absent", "install it").stops
    assert not MachineCheck("x", "absent", "optional: install it", needed=False).stops
    assert not MachineCheck("x", "there").stops


def old_python(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "version_info", (3, 10, 1, "final", 0))


def other_system(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("platform.system", lambda: "Windows")


def other_owner(patch: pytest.MonkeyPatch) -> None:
    owners = {"privacy": ["consortium-fl", "another-package"]}
    patch.setattr(metadata, "packages_distributions", lambda: owners)


def no_tenseal(patch: pytest.MonkeyPatch) -> None:
    leave_out(patch, "tenseal")


def leave_out(patch: pytest.MonkeyPatch, package: str) -> None:
    version = metadata.version

    def without(name: str) -> str:
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return version(name)

    patch.setattr(metadata, "version", without)


def other_flower(patch: pytest.MonkeyPatch) -> None:
    version = metadata.version
    patch.setattr(metadata, "version", lambda name: "1.43.0" if name == "flwr" else version(name))


def no_superlink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "executable", "/nowhere/python")


def little_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**30))


def little_disk(patch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    patch.setattr("shutil.disk_usage", lambda _path: usage(2**40, 2**40, 2**20))


def no_ports(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: Any) -> None:
        raise PermissionError(13, "Permission denied")

    patch.setattr(socket.socket, "bind", refuse)


def deep_folder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tempfile.gettempdir", lambda: "/" + "deep/" * 20)


TROUBLES = {
    "system": (other_system, "needs Linux"),
    "Python": (old_python, "install Python 3.11 to 3.14"),
    "tenseal": (no_tenseal, "install consortium-fl again"),
    "names of packages": (other_owner, "install Consortium in an environment of its own"),
    "flwr": (other_flower, "deployments need Flower 1.41.x or 1.42.x"),
    "flower-superlink": (no_superlink, "install consortium-fl again"),
    "free memory": (little_memory, "free 4 GiB"),
    "free disk here": (little_disk, "free 1 GiB"),
    "ports on 127.0.0.1": (no_ports, "allow local ports"),
    "temporary folder": (deep_folder, "set TMPDIR to a shorter path"),
}


@pytest.mark.parametrize("what", TROUBLES)
def test_whatever_would_fail_a_run_is_reported_with_advice(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble, advice = TROUBLES[what]
    with monkeypatch.context() as patch:
        trouble(patch)
        findings = checks_by_name()
        told = CliRunner().invoke(app, ["doctor"])
    assert findings[what].stops
    assert findings[what].advice.startswith(advice)
    assert told.exit_code == 1
    assert advice in " ".join(told.output.split())


def test_what_only_adds_something_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave_out(monkeypatch, "torch")
    found = checks_by_name()["torch"]
    assert not found.stops
    assert found.advice == "optional, trains models: pip install 'consortium-fl[train]'"


def test_on_macos_it_says_what_was_not_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    found = checks_by_name()["system"]
    assert found.advice.startswith("not tested on macOS")
    assert not found.stops


def test_a_flower_whose_waits_nobody_read_is_slower_and_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert checks_by_name()["waits of a site"].found == "short"
    version = metadata.version
    monkeypatch.setattr(
        metadata, "version", lambda name: "1.41.9" if name == "flwr" else version(name)
    )
    findings = checks_by_name()
    waits = findings["waits of a site"]
    assert (waits.found, waits.stops) == ("Flower's own", False)
    assert "with flwr 1.41.0 or 1.42.0 a deployed round is 3 s shorter" in waits.advice
    assert not findings["flwr"].stops


def test_a_machine_without_a_browser_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test of the report needs one."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    browser = checks_by_name()["browser for report tests"]
    assert (browser.found, browser.stops) == ("absent", False)
    assert browser.advice.startswith("optional")


def test_the_checks_leave_no_files_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    list(examine_machine())
    assert list(tmp_path.iterdir()) == []
