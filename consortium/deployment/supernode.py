"""A site's SuperNode: it reaches out over TLS, proves its key, and is reached by nobody."""

import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.document import Charter, coordinator_address
from consortium.deployment.path_shims import write_shims
from consortium.deployment.processes import (
    QUIET,
    LaunchFailed,
    Mark,
    free_port,
    inherited_environment,
    program_path,
    start_program,
    wait_until,
)
from consortium.run.directory import SITE
from consortium.site.directory import SiteDirectory, read_site_config

START_LIMIT_S = 60.0


@dataclass(frozen=True)
class SuperNode:
    """What is needed to run the SuperNode of a site.

    Args:
        directory: The site's.
    """

    directory: Path

    @property
    def paths(self) -> SiteDirectory:
        """Where everything in the directory is, whatever the working directory."""
        return SiteDirectory(self.directory.resolve())

    @property
    def name(self) -> str:
        """The site's name."""
        return read_site_config(self.directory).name

    @property
    def home(self) -> Path:
        """Where Flower keeps what is its own."""
        return self.paths.flower

    @property
    def mark(self) -> Mark:
        """What all its processes carry."""
        return Mark(SITE, str(self.directory.resolve()))

    @property
    def log(self) -> Path:
        """What the SuperNode says."""
        return self.paths.supernode_log

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes are told."""
        return {
            **inherited_environment(),
            **QUIET,
            "PATH": str(self.paths.programs),
            "FLWR_HOME": str(self.home.resolve()),
            self.mark.variable: self.mark.value,
        }

    def start(self) -> "subprocess.Popen[bytes]":
        """Start it and return when its own health endpoint, on this machine only, answers.

        Raises:
            BadCharter: No charter is installed, or it names no address.
            LaunchFailed: It did not start; names the log.
        """
        process = self.launch()
        try:
            self.wait_until_healthy(process)
        except LaunchFailed:
            process.kill()
            process.wait()
            raise
        return process

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it and return at once."""
        host, port = coordinator_address(Charter.read(self.paths.charter))
        self.home.mkdir(exist_ok=True)
        write_shims(self.paths.programs, "site")
        own = free_port()
        command = [
            program_path("flower-supernode"),
            *("--root-certificates", str(self.paths.authority)),
            *(
                "--auth-supernode-private-key",
                str(self.paths.node_key),
            ),
            *("--superlink", f"{host}:{port}"),
            *("--host", "127.0.0.1", "--port", str(own)),
            *("--node-config", f"site-dir={json.dumps(str(self.directory.resolve()))}"),
            *("--isolation", "subprocess"),
        ]
        process = start_program(command, cwd=self.home, environment=self.environment, log=self.log)
        (self.home / "port").write_text(str(own))
        return process

    def wait_until_healthy(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Return when it answers on this machine.

        Raises:
            LaunchFailed: It does not, in time; names the log.
        """

        def alive() -> bool:
            return process is None or process.poll() is None

        if not wait_until(self.is_healthy, alive=alive, limit_s=START_LIMIT_S):
            raise LaunchFailed(f"Flower's SuperNode did not start; see {self.log}")

    def is_healthy(self) -> bool:
        """Return whether it answers on this machine."""
        try:
            port = (self.home / "port").read_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False
