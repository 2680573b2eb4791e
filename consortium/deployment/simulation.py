"""Run the app on Flower's simulation engine, with a SuperLink that lives as long as the run.

Flower writes only into the run directory. Nothing is fetched at run time, nothing is sent to
anybody, and no process stays behind, however the run ends.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from consortium.config import Scalar
from consortium.deployment.app_bundle import Bundle, stage_bundle, toml_lines
from consortium.deployment.processes import (
    QUIET,
    LaunchFailed,
    Mark,
    free_port,
    is_answering,
    program_path,
    start_program,
    stop_program,
    wait_until,
)
from consortium.run.directory import ENVIRONMENT, RunDirectory

_START_LIMIT_S = 60.0
_OBJECT_STORE_BYTES = 300_000_000


def simulate_run(
    run: RunDirectory,
    *,
    num_sites: int,
    run_config: Mapping[str, Scalar],
    bundle: Bundle | None = None,
    verbose: bool = False,
) -> None:
    """Run the staged consortium on Flower's simulation engine (Ray) and wait until it ends.

    Guarantee: no process started here is alive afterwards, even after Ctrl-C.

    Args:
        run: The staged run directory.
        num_sites: Number of sites to simulate, one process each up to the number of cores.
        run_config: Flower's run config.
        bundle: The code that Flower runs; by default the installed apps.
        verbose: Whether Flower's own log also goes to the terminal.

    Raises:
        LaunchFailed: Flower did not start, or the run failed; the message names the log.
    """
    home = run.path / "flower"
    home.mkdir(exist_ok=True)
    app = stage_bundle(run.path / "app", bundle or Bundle())
    overrides = home / "run-config.toml"
    overrides.write_text(toml_lines(run_config))
    with _ray_directory() as ray:
        environment = _environment(run, home, ray)
        with _running_superlink(home, environment) as address:
            (home / "config.toml").write_text(
                f'[superlink]\ndefault = "sim"\n\n[superlink.sim]\naddress = "{address}"\n'
                "insecure = true\n"
            )
            _call_flwr_run(
                app, overrides, _resource_options(num_sites), home, environment, verbose=verbose
            )
            _require_finished(home, environment)


def _resource_options(num_sites: int) -> str:
    cores = min(num_sites, os.cpu_count() or 1)
    return (
        f"num-supernodes={num_sites} client-resources-num-cpus=1 "
        f"client-resources-num-gpus=0.0 init-args-num-cpus={cores}"
    )


def _environment(run: RunDirectory, home: Path, ray: Path) -> dict[str, str]:
    programs = str(Path(sys.executable).parent)
    # gRPC asks a proxy for this machine's own ports too, unless it is told not to
    direct = ",".join([*_given_exceptions(), "127.0.0.1", "localhost"])
    return {
        **os.environ,
        "no_proxy": direct,
        "NO_PROXY": direct,
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        ENVIRONMENT: str(run.path.resolve()),
        "FLWR_HOME": str(home.resolve()),
        **QUIET,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(ray),
        "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": str(_OBJECT_STORE_BYTES),
    }


def _given_exceptions() -> list[str]:
    """Return what the environment already says that no proxy is asked for."""
    return [os.environ[name] for name in ("no_proxy", "NO_PROXY") if os.environ.get(name)][:1]


@contextmanager
def _ray_directory() -> Iterator[Path]:
    """Yield a temporary directory with a short path: Ray's socket paths hold at most 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp" if Path("/tmp").is_dir() else None))  # noqa: S108 -- short by need; made by mkdtemp
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running_superlink(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a SuperLink with the simulation runtime, yield its address, and stop it afterwards."""
    port = free_port()
    command = [
        program_path("flower-superlink"),
        "--insecure",
        "--simulation",
        "--isolation",
        "subprocess",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    superlink = start_program(
        command, cwd=home, environment=environment, log=home / "superlink.log"
    )
    try:
        healthy = wait_until(
            lambda: is_answering(f"http://127.0.0.1:{port}/health", timeout_s=1),
            alive=lambda: superlink.poll() is None,
            limit_s=_START_LIMIT_S,
        )
        if not healthy:
            raise LaunchFailed(f"Flower's SuperLink did not start; see {home / 'superlink.log'}")
        yield f"127.0.0.1:{port}"
    finally:
        stop_program(superlink, Mark(ENVIRONMENT, environment[ENVIRONMENT]))


def _call_flwr_run(
    app: Path,
    overrides: Path,
    resources: str,
    home: Path,
    environment: Mapping[str, str],
    *,
    verbose: bool,
) -> None:
    command = [
        program_path("flwr"),
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
        finally:  # after Ctrl-C the program is still running
            if process.poll() is None:
                process.kill()
                process.wait()


def _require_finished(home: Path, environment: Mapping[str, str]) -> None:
    """Ask the SuperLink how the run ended, because `flwr run` returns 0 even for a failed run."""
    command = [program_path("flwr"), "list", "sim", "--format", "json"]
    listed = subprocess.run(  # noqa: S603 -- Flower's own program, our own arguments
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    if "finished:completed" not in listed.stdout.replace('"', ""):
        raise LaunchFailed(f"the run did not finish; see {home / 'run.log'}")
