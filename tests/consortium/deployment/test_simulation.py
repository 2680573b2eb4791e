"""Stand-ins for Flower's programs; tests/scenarios/test_simulation.py has the real ones."""

import os
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import consortium
import scenarios
from consortium.config import RunConfig
from consortium.deployment.app_bundle import (
    CLIENT_APP,
    RUNTIME_PACKAGES,
    SERVER_APP,
    Bundle,
    stage_bundle,
)
from consortium.deployment.processes import LaunchFailed
from consortium.deployment.simulation import simulate_run
from consortium.run.directory import ENVIRONMENT, RunDirectory

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["flwr"]["app"]

HEALTHY = """
import http.server, sys
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Healthy).serve_forever()
"""
STUBBORN = (
    """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
"""
    + HEALTHY
)
COMPLETED = """
import json, sys
if sys.argv[1] == "list":
    print(json.dumps({"runs": [{"status": "finished:completed"}]}))
"""
FAILED = COMPLETED.replace("completed", "failed")
INTERRUPTING = """
import os, signal, time
while True:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(20)  # one in a destructor is lost
"""
TELLING = (
    COMPLETED
    + """
else:
    print(json.dumps({"arguments": sys.argv[1:], "environment": dict(__import__("os").environ)}))
"""
)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where Flower's programs are looked up: the one of the Python interpreter."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def program(folder: Path, name: str, code: str) -> None:
    path = folder / name
    path.write_text(f"#!{PYTHON}\n{code}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


PYTHON = sys.executable


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    folder = tmp_path / "run"
    folder.mkdir()
    yield RunDirectory(folder)
    assert started_for(folder) == [], "a process stayed behind"


def started_for(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(ENVIRONMENT) == str(folder):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_run_that_flower_completes_ends_without_a_word(
    programs: Path, run: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", TELLING)
    simulate_run(run, num_sites=3, run_config=RunConfig().flat())
    assert capfd.readouterr() == ("", "")
    assert "num-supernodes=3" in (run.path / "flower" / "run.log").read_text()


def test_flowers_own_log_is_shown_when_asked_for(
    programs: Path, run: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", TELLING)
    simulate_run(run, num_sites=3, run_config=RunConfig().flat(), verbose=True)
    assert "num-supernodes=3" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, ""), ({"no_proxy": "intranet"}, "intranet,"), ({"NO_PROXY": "ward"}, "ward,")],
)
def test_no_proxy_is_asked_for_this_machines_own_ports(
    given: dict[str, str],
    expected: str,
    programs: Path,
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GRPC would ask the one that the environment names."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", TELLING)
    simulate_run(run, num_sites=3, run_config=RunConfig().flat())
    told = (run.path / "flower" / "run.log").read_text()
    for name in ("no_proxy", "NO_PROXY"):
        assert f'"{name}": "{expected}127.0.0.1,localhost"' in told


def test_everything_flower_writes_stays_in_the_run_directory_and_nothing_is_sent(
    programs: Path, run: RunDirectory
) -> None:
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", TELLING)
    simulate_run(run, num_sites=3, run_config=RunConfig().flat())
    told = (run.path / "flower" / "run.log").read_text()
    for setting in (
        f'"FLWR_HOME": "{run.path}/flower"',
        f'"{ENVIRONMENT}": "{run.path}"',
        '"FLWR_TELEMETRY_ENABLED": "0"',
        '"FLWR_DISABLE_UPDATE_CHECK": "1"',
        '"FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1"',
        '"RAY_USAGE_STATS_ENABLED": "0"',
    ):
        assert setting in told


def test_the_run_config_reaches_flower_as_it_is(programs: Path, run: RunDirectory) -> None:
    """It goes through a file, because `--run-config` on the command line loses types and quotes."""
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", TELLING)
    config = RunConfig.parse({"learning-rate": 1e-3, "seed": 2**53 + 1, "rule.clip-norm": 2.5})
    simulate_run(run, num_sites=3, run_config=config.flat())
    written = tomllib.loads((run.path / "flower" / "run-config.toml").read_text())
    flat = {key: value for key, value in written.items() if not isinstance(value, dict)}
    for head, part in written.items():
        if isinstance(part, dict):
            flat.update({f"{head}.{key}": value for key, value in part.items()})
    assert flat == config.flat()
    assert {key: type(value) for key, value in flat.items()} == {
        key: type(value) for key, value in config.flat().items()
    }


def test_a_superlink_that_does_not_start_is_reported_with_its_log(
    programs: Path, run: RunDirectory
) -> None:
    program(programs, "flower-superlink", "raise SystemExit('no port')")
    with pytest.raises(LaunchFailed, match=r"did not start; see .*superlink.log"):
        simulate_run(run, num_sites=3, run_config={})
    assert "no port" in (run.path / "flower" / "superlink.log").read_text()


@pytest.mark.parametrize("flwr", [FAILED, "raise SystemExit(1)"], ids=["failed", "crashed"])
def test_a_run_that_flower_does_not_complete_is_reported_with_its_log(
    flwr: str, programs: Path, run: RunDirectory
) -> None:
    """`flwr run` itself returns 0 for a run that failed."""
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", flwr)
    with pytest.raises(LaunchFailed, match=r"did not finish; see .*run.log"):
        simulate_run(run, num_sites=3, run_config={})


def test_not_even_what_ignores_a_polite_request_stays_behind(
    programs: Path, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SuperLink that ignores SIGTERM, with a child that left its session, as Ray's do."""
    monkeypatch.setattr("consortium.deployment.processes.STOP_LIMIT_S", 0.3)
    program(programs, "flower-superlink", STUBBORN)
    program(programs, "flwr", COMPLETED)
    simulate_run(run, num_sites=3, run_config={})


def test_an_interruption_stops_all_of_it_and_goes_on_to_whoever_started_it(
    programs: Path, run: RunDirectory
) -> None:
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", INTERRUPTING)
    with pytest.raises(KeyboardInterrupt):
        simulate_run(run, num_sites=3, run_config={})


def test_processes_of_another_run_are_left_alone(
    programs: Path, run: RunDirectory, tmp_path: Path
) -> None:
    program(programs, "flower-superlink", HEALTHY)
    program(programs, "flwr", COMPLETED)
    other = subprocess.Popen(
        [PYTHON, "-c", "import time; time.sleep(600)"],
        env={**os.environ, ENVIRONMENT: str(tmp_path / "other")},
    )
    try:
        simulate_run(run, num_sites=3, run_config={})
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_bundle_is_what_the_project_file_says(tmp_path: Path) -> None:
    """The bundle has the same files as one built by `flwr build` at the root."""
    folder = stage_bundle(tmp_path / "app", Bundle())
    staged = tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert staged == PROJECT
    assert staged["components"] == {"serverapp": SERVER_APP, "clientapp": CLIENT_APP}


def test_a_bundle_holds_every_python_file_of_its_packages_and_nothing_else(
    tmp_path: Path,
) -> None:
    folder = stage_bundle(tmp_path / "app", Bundle())
    for package in RUNTIME_PACKAGES:
        source = Path(package.__path__[0])
        expected = {path.relative_to(source) for path in source.rglob("*.py")}
        copied = folder / package.__name__
        found = {path.relative_to(copied) for path in copied.rglob("*") if path.is_file()}
        assert found == expected
    assert {path.name for path in folder.iterdir()} == {
        "pyproject.toml",
        *(package.__name__ for package in RUNTIME_PACKAGES),
    }


def test_staging_again_leaves_nothing_of_the_last_bundle(tmp_path: Path) -> None:
    folder = stage_bundle(
        tmp_path / "app",
        Bundle(packages=(scenarios,), client_app="scenarios.attacks.malicious_client:app"),
    )
    assert (
        'clientapp = "scenarios.attacks.malicious_client:app"'
        in (folder / "pyproject.toml").read_text()
    )
    stage_bundle(folder, Bundle(packages=(consortium,)))
    assert not (folder / "scenarios").exists()
    assert CLIENT_APP in (folder / "pyproject.toml").read_text()
