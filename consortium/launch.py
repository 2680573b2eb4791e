"""Run the app on Flower's simulation engine: a SuperLink of our own, started and stopped.

Everything Flower writes stays in the run directory; nothing is fetched at run time, nothing is
sent to anybody, and no process stays behind, whatever ends the run.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType

import psutil

import consortium
import privacy
import sites
import strategies
from consortium.config import KEYS, Scalar
from consortium.run_directory import ENVIRONMENT, RunDirectory
from privacy.errors import ConsortiumError

RUNTIME_PACKAGES = (consortium, sites, strategies, privacy)
CLIENT_APP = "consortium.client_app:app"
SERVER_APP = "consortium.server_app:app"

_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 5.0
_PAUSE_S = 0.1
_OBJECT_STORE_BYTES = 300_000_000


class LaunchFailed(ConsortiumError, RuntimeError):
    """Flower could not be started, or the run did not finish; the log says why."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What Flower runs.

    Args:
        packages: Packages whose Python files are in the bundle.
        client_app: Where the ClientApp is, as `module:attribute`.
    """

    packages: tuple[ModuleType, ...] = RUNTIME_PACKAGES
    client_app: str = CLIENT_APP


def simulate(
    run: RunDirectory,
    *,
    num_sites: int,
    run_config: Mapping[str, Scalar],
    bundle: Bundle | None = None,
    verbose: bool = False,
) -> None:
    """Run the staged consortium on Flower's simulation engine (Ray) and wait for its end.

    Guarantee: no process started here is alive afterwards, also after Ctrl-C.

    Args:
        run: The staged run directory.
        num_sites: Sites to simulate, one process each up to the number of cores.
        run_config: Flower's run config.
        bundle: What Flower runs; by default the installed apps.
        verbose: Whether Flower's own log goes to the terminal too.

    Raises:
        LaunchFailed: Flower did not start, or the run failed; names the log.
    """
    home = run.path / "flower"
    home.mkdir(exist_ok=True)
    app = stage_bundle(run.path / "app", bundle or Bundle())
    overrides = home / "run-config.toml"
    overrides.write_text(_toml(run_config))
    with _ray_directory() as ray:
        environment = _environment(run, home, ray)
        with _superlink(home, environment) as address:
            (home / "config.toml").write_text(
                f'[superlink]\ndefault = "sim"\n\n[superlink.sim]\naddress = "{address}"\n'
                "insecure = true\n"
            )
            _flwr_run(app, overrides, _resources(num_sites), home, environment, verbose=verbose)
            _require_finished(home, environment)


def stage_bundle(folder: Path, bundle: Bundle) -> Path:
    """Copy the bundle's Python files with a project file that Flower can build; return it."""
    shutil.rmtree(folder, ignore_errors=True)
    for package in bundle.packages:
        source = Path(package.__path__[0])
        shutil.copytree(source, folder / package.__name__, ignore=_only_python)
    includes = [f"{package.__name__}/**/*.py" for package in bundle.packages]
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "consortium-fl"\nversion = "{metadata.version("consortium-fl")}"\n\n'
        f'[tool.flwr.app]\npublisher = "consortium"\nfab-include = {json.dumps(includes)}\n\n'
        f'[tool.flwr.app.components]\nserverapp = "{SERVER_APP}"\n'
        f'clientapp = "{bundle.client_app}"\n\n'
        f"[tool.flwr.app.config]\n{_toml(KEYS)}"
    )
    return folder


def _only_python(folder: str, names: list[str]) -> set[str]:
    kept = {name for name in names if name.endswith(".py") or (Path(folder) / name).is_dir()}
    return set(names) - kept | {"__pycache__"}


def _toml(values: Mapping[str, Scalar]) -> str:
    return "".join(
        f'"{key}" = {json.dumps(value)}\n' if "." not in key else f"{key} = {json.dumps(value)}\n"
        for key, value in values.items()
    )


def _resources(num_sites: int) -> str:
    cores = min(num_sites, os.cpu_count() or 1)
    return (
        f"num-supernodes={num_sites} client-resources-num-cpus=1 "
        f"client-resources-num-gpus=0.0 init-args-num-cpus={cores}"
    )


def _environment(run: RunDirectory, home: Path, ray: Path) -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        ENVIRONMENT: str(run.path.resolve()),
        "FLWR_HOME": str(home.resolve()),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(ray),
        "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": str(_OBJECT_STORE_BYTES),
        "PYTHONWARNINGS": "ignore",
    }


@contextmanager
def _ray_directory() -> Iterator[Path]:
    """Yield a directory with a short name: Ray's socket paths hold at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 -- short by need; made by mkdtemp
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _superlink(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a SuperLink with the simulation runtime; yield its address; stop all of it."""
    port = _free_port()
    command = [
        _program("flower-superlink"),
        "--insecure",
        "--simulation",
        "--isolation",
        "subprocess",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with (home / "superlink.log").open("w") as log:
        superlink = subprocess.Popen(  # noqa: S603 -- Flower's own program, our own arguments
            command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _await_health(superlink, port, home)
        yield f"127.0.0.1:{port}"
    finally:
        _stop(superlink, environment)


def _await_health(superlink: "subprocess.Popen[bytes]", port: int, home: Path) -> None:
    until = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < until and superlink.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_PAUSE_S)
    raise LaunchFailed(f"Flower's SuperLink did not start; see {home / 'superlink.log'}")


def _stop(superlink: "subprocess.Popen[bytes]", environment: Mapping[str, str]) -> None:
    """Stop a SuperLink and all that came of it: children first, so that Ray can tidy up."""
    run = environment[ENVIRONMENT]
    _end([process for process in _family(run) if process.pid != superlink.pid])
    superlink.terminate()
    try:
        superlink.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        superlink.kill()
        superlink.wait()
    _end(_family(run))


def _family(run: str) -> list[psutil.Process]:
    """Return every process that was started for a run, also one that left its parent."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and process.environ().get(ENVIRONMENT) == run:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _end(family: list[psutil.Process]) -> None:
    for process in family:
        _signal(process, signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=_STOP_LIMIT_S)
    for process in alive:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=_STOP_LIMIT_S)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def _flwr_run(
    app: Path,
    overrides: Path,
    resources: str,
    home: Path,
    environment: Mapping[str, str],
    *,
    verbose: bool,
) -> None:
    command = [
        _program("flwr"),
        "run",
        str(app.resolve()),
        "sim",
        "--stream",
        "--run-config",
        str(overrides.resolve()),
        "--federation-config",
        resources,
    ]
    with (home / "run.log").open("w") as log:
        output = None if verbose else log
        process = subprocess.Popen(  # noqa: S603 -- Flower's own program, our own arguments
            command, cwd=home, env=environment, stdout=output, stderr=output
        )
        try:
            process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _require_finished(home: Path, environment: Mapping[str, str]) -> None:
    """Ask the SuperLink how the run ended: `flwr run` returns 0 even when it failed."""
    command = [_program("flwr"), "list", "sim", "--format", "json"]
    listed = subprocess.run(  # noqa: S603 -- Flower's own program, our own arguments
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    if "finished:completed" not in listed.stdout.replace('"', ""):
        raise LaunchFailed(f"the run did not finish; see {home / 'run.log'}")


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
