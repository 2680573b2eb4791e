"""Run the SuperNode of a site or a hub: it connects out over TLS, and nobody connects to it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consortium.charter.addresses import Door, door_for
from consortium.charter.document import Charter
from consortium.deployment.processes import (
    FlowerService,
    LaunchFailed,
    free_port,
    is_answering,
    start_program,
    wait_until,
)
from consortium.deployment.programs.path_shims import write_shims
from consortium.run.directory import COORDINATOR, SITE
from consortium.run.hub_directory import HubDirectory, hub_name
from consortium.site.agreed_map import require_agreed_map
from consortium.site.directory import SiteDirectory, read_site_config
from consortium.site.last_answer import LastAnswer
from privacy.storage.secret_files import read_private

START_LIMIT_S = 60.0


@dataclass(frozen=True)
class SuperNode(FlowerService):
    """The SuperNode of a site, or of a hub.

    Args:
        directory: The directory of the site; of a hub, the folder for its SuperNode.
        hub: The directory of the hub whose SuperNode it is; None for a site.
    """

    hub: Path | None = None

    role = SITE

    @classmethod
    def of_hub(cls, directory: Path) -> "SuperNode":
        """Return the SuperNode with which a hub comes to the coordinator of the run."""
        return cls(HubDirectory(directory).node, hub=directory)

    @property
    def paths(self) -> SiteDirectory:
        """The paths in the directory, independent of the working directory."""
        return SiteDirectory(self.directory.resolve())

    @property
    def log(self) -> Path:
        """The file for the SuperNode's output."""
        return self.paths.supernode_log

    @property
    def name(self) -> str:
        """The name of the site, or of the hub."""
        return hub_name(self.hub) if self.hub else read_site_config(self.directory).name

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of its processes; those of a hub have the mark of its SuperLink too."""
        mark = {COORDINATOR: str(self.hub.resolve())} if self.hub else {}
        return {**super().environment, **mark}

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the SuperNode and return once its health endpoint on the loopback address answers.

        Raises:
            BadCharter: No charter is installed, or it names no address.
            LaunchFailed: It did not start; the message names the log.
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
        """Start the SuperNode and return at once.

        Raises:
            BadSite: The site's configuration cannot be read.
            OtherMap: Its records are read by a map other than the charter's.
            SecretMissing, ExposedSecret: Its key is not there, or not this user's alone.
        """
        door = self._usable_door()
        read_private(self.paths.node_key)  # Flower reads it, and does not ask who else can
        self.home.mkdir(exist_ok=True)
        LastAnswer(self.home).forget()
        write_shims(self.paths.programs, "site")
        own = free_port()
        command = [
            *(sys.executable, "-P", "-m", "consortium.deployment.flower_entrypoints"),
            "flower-supernode",
            *("--root-certificates", str(self.paths.authority)),
            *(
                "--auth-supernode-private-key",
                str(self.paths.node_key),
            ),
            *("--superlink", f"{door.host}:{door.port}"),
            *("--host", "127.0.0.1", "--port", str(own)),  # for local health checks only
            *("--node-config", f"site-dir={json.dumps(str(self.directory.resolve()))}"),
            *("--isolation", "subprocess"),
        ]
        process = start_program(command, cwd=self.home, environment=self.environment, log=self.log)
        (self.home / "port").write_text(str(own))
        return process

    def _usable_door(self) -> Door:
        """Return where it connects to: what is wrong is said here, and not in a log."""
        charter = Charter.read(self.paths.charter)
        if self.hub is None:
            config = read_site_config(self.directory)
            require_agreed_map(charter, config.name, config.source)
        return door_for(charter, self.name)

    def wait_until_healthy(self, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Wait until it answers on this machine.

        Raises:
            LaunchFailed: It did not answer in time; the message names the log.
        """

        def alive() -> bool:
            return process is None or process.poll() is None

        if not wait_until(self.is_healthy, alive=alive, limit_s=START_LIMIT_S):
            raise LaunchFailed(f"Flower's SuperNode did not start; see {self.log}")

    def is_healthy(self) -> bool:
        """Return whether it answers on this machine."""
        try:
            port = (self.home / "port").read_text()
        except OSError:
            return False
        return is_answering(f"http://127.0.0.1:{port}/health", timeout_s=2)
