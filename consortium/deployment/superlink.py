"""Run the coordinator's SuperLink: with TLS, node authentication and a database on disk."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.document import Charter, coordinator_address
from consortium.deployment.app_bundle import Bundle, stage_bundle
from consortium.deployment.path_shims import write_shims
from consortium.deployment.processes import (
    FlowerService,
    LaunchFailed,
    is_answering,
    program_path,
    start_program,
    wait_until,
)
from consortium.run.directory import COORDINATOR
from consortium.run.party_directory import CoordinatorDirectory

START_LIMIT_S = 60.0


@dataclass(frozen=True)
class SuperLink(FlowerService):
    """The SuperLink of a coordinator."""

    role = COORDINATOR

    @property
    def paths(self) -> CoordinatorDirectory:
        """The paths in the directory, independent of the working directory."""
        return CoordinatorDirectory(self.directory.resolve())

    @property
    def log(self) -> Path:
        """The file for the SuperLink's output."""
        return self.paths.superlink_log

    @property
    def charter(self) -> Charter:
        """The charter in force."""
        return Charter.read(self.paths.charter)

    def start(self, *, host: str | None = None) -> "subprocess.Popen[bytes]":
        """Start the SuperLink and return once it answers.

        Args:
            host: The address to listen on; by default the one in the charter.

        Raises:
            BadCharter: The charter names no address.
            LaunchFailed: It did not start; the message names the log.
        """
        named, port = coordinator_address(self.charter)
        self.home.mkdir(exist_ok=True)
        write_shims(self.paths.programs, "coordinator")
        stage_bundle(self.paths.app, Bundle())
        command = [
            program_path("flower-superlink"),
            *("--ssl-ca-certfile", str(self.paths.authority)),
            *("--ssl-certfile", str(self.paths.server_certificate)),
            *("--ssl-keyfile", str(self.paths.server_key)),
            "--enable-supernode-auth",
            *("--host", host or named, "--port", str(port)),
            *("--database", str(self.home / "superlink.db")),
            *("--isolation", "subprocess"),  # the SuperLink starts the ServerApp, through the shim
            "--disable-runtime-dependency-installation",
        ]
        process = start_program(command, cwd=self.home, environment=self.environment, log=self.log)
        if not wait_until(
            self.is_healthy, alive=lambda: process.poll() is None, limit_s=START_LIMIT_S
        ):
            process.kill()
            process.wait()
            raise LaunchFailed(f"Flower's SuperLink did not start; see {self.log}")
        return process

    def is_healthy(self) -> bool:
        """Return whether it answers with a certificate that sites accept."""
        host, port = coordinator_address(self.charter)
        context = ssl.create_default_context(cafile=str(self.paths.authority))
        url = f"https://{host}:{port}/health"
        return is_answering(url, timeout_s=2, context=context)
