"""Run the SuperLink of a coordinator or a hub, with TLS, node authentication and a database."""

import errno
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consortium.charter.addresses import Door, own_door
from consortium.charter.document import Charter
from consortium.deployment.app_bundle import Bundle, stage_bundle
from consortium.deployment.processes import (
    FlowerService,
    LaunchFailed,
    end_processes,
    free_port,
    is_answering,
    start_program,
    wait_until,
)
from consortium.deployment.programs.path_shims import write_shims
from consortium.provisioning.installation import init_coordinator
from consortium.run.directory import COORDINATOR, TRACK
from consortium.run.hub_directory import hub_name
from consortium.run.party_directory import CoordinatorDirectory
from privacy.storage.secret_files import read_private

START_LIMIT_S = 60.0
ENROLLED, BEGUN = "enrolled.json", "begun.json"  # Flower's ids by node key, and by run directory
NUMBERS = (ENROLLED, BEGUN)
_LOOPBACK, _PORT, _DATABASE = "127.0.0.1", "port", "superlink.db"


@dataclass(frozen=True)
class SuperLink(FlowerService):
    """The SuperLink of a coordinator, or of a hub."""

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

    @property
    def hub(self) -> str:
        """The name of the hub whose SuperLink this is; empty for the coordinator."""
        return hub_name(self.directory)

    @property
    def door(self) -> Door:
        """Where the charter in force says that parties come in.

        Raises:
            BadCharter: It names no valid address.
        """
        return own_door(self.charter, self.hub)

    @property
    def loopback(self) -> CoordinatorDirectory:
        """The certificates with which the SuperLink speaks to this machine, new at each start."""
        return CoordinatorDirectory(self.home / "loopback")

    @property
    def loopback_address(self) -> str:
        """The SuperLink's own address, which only this machine reaches."""
        try:
            return f"{_LOOPBACK}:{(self.home / _PORT).read_text()}"
        except FileNotFoundError:  # it never started: nobody answers there
            return f"{_LOOPBACK}:1"

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of its processes; a run begins half a second after it was ordered."""
        tracked = {name: os.environ[name] for name in (TRACK,) if name in os.environ}
        return {**super().environment, **tracked, "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5"}

    def start(self, *, host: str | None = None) -> "subprocess.Popen[bytes]":
        """Start the SuperLink behind its gateway; return once it answers there.

        Args:
            host: The address to listen on; by default the one in the charter.

        Raises:
            BadCharter: The charter names no address.
            SecretMissing, ExposedSecret: Its key is not there, or not this user's alone.
            LaunchFailed: Another program listens at its port, or it did not start; the message
                names the port or the log.
        """
        door = self.door
        named, port = door.host, door.port
        read_private(self.paths.server_key)  # the gateway's server does not ask who else can
        _require_free_port(host or named, port, door.whose)
        self.home.mkdir(exist_ok=True)
        write_shims(self.paths.programs, "coordinator")
        stage_bundle(self.paths.app, Bundle())
        self._make_loopback_certificates()
        (self.home / _PORT).write_text(str(free_port()))
        command = [
            *(sys.executable, "-P", "-m", "consortium.deployment.site_gateway"),
            *(str(self.directory.resolve()), host or named, str(port)),
        ]
        process = start_program(command, cwd=self.home, environment=self.environment, log=self.log)
        if not wait_until(
            self.is_healthy, alive=lambda: process.poll() is None, limit_s=START_LIMIT_S
        ):
            end_processes(self.mark.marked_processes())
            process.wait()
            raise LaunchFailed(f"Flower's SuperLink did not start; see {self.log}")
        return process

    def flower_command(self) -> list[str]:
        """Return the command of Flower's own program, for the gateway to start."""
        host, _, port = self.loopback_address.partition(":")
        return [
            *(sys.executable, "-P", "-m", "consortium.deployment.flower_entrypoints"),
            "flower-superlink",
            *("--ssl-ca-certfile", str(self.loopback.authority)),
            *("--ssl-certfile", str(self.loopback.server_certificate)),
            *("--ssl-keyfile", str(self.loopback.server_key)),
            "--enable-supernode-auth",
            *("--host", host, "--port", port),
            *("--database", str(self.home / _DATABASE)),
            *("--isolation", "subprocess"),  # the SuperLink starts the ServerApp, through the shim
            "--disable-runtime-dependency-installation",
        ]

    def forget_registry(self) -> None:
        """Delete Flower's database, so that the next start registers every member's node anew.

        No node that was registered or unregistered before counts any longer. Runs keep their own
        directories, and are resumed from there.
        """
        for path in (*self.home.glob(f"{_DATABASE}*"), *(self.home / name for name in NUMBERS)):
            path.unlink(missing_ok=True)

    def _make_loopback_certificates(self) -> None:
        # Flower authenticates nodes over TLS only, also where a gateway ends the sites' TLS
        paths, now = self.loopback, datetime.now(UTC)
        shutil.rmtree(paths.path, ignore_errors=True)
        init_coordinator(paths.path, hosts=(_LOOPBACK,), now=now)

    def require_up(self) -> None:
        """Check that it runs.

        Raises:
            LaunchFailed: It does not answer; the message says how to start it.
        """
        if not self.is_healthy():
            raise LaunchFailed(
                f"the SuperLink of {self.door.whose} does not answer: start it with `consortium "
                f"coordinator up {self.directory} --detach`, then try again"
            )

    def is_healthy(self) -> bool:
        """Return whether it answers with a certificate that sites accept."""
        door = self.door
        context = ssl.create_default_context(cafile=str(self.paths.authority))
        url = f"https://{door.host}:{door.port}/health"
        return is_answering(url, timeout_s=2, context=context)


def _require_free_port(host: str, port: int, whose: str) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:  # the gateway says so
        return
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise LaunchFailed(
                    f"another program listens at {host}:{port}, the address of {whose} in the "
                    f"charter: end it (`ss -ltnp 'sport = {port}'` names it), then try again"
                ) from error
