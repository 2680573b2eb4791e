"""Control the SuperLink through Flower's `flwr` program: enrol nodes, start and stop runs."""

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from consortium.config import Scalar
from consortium.deployment.app_bundle import toml_lines
from consortium.deployment.processes import LaunchFailed, program_path
from consortium.deployment.run_orders import RunOrder
from consortium.deployment.superlink import BEGUN, ENROLLED, SuperLink
from consortium.provisioning.installation import read_nodes
from consortium.run.party_directory import CoordinatorDirectory
from privacy.storage.durable_files import write_atomically

_CALL_LIMIT_S = 60.0


class ControlRefused(LaunchFailed, code="control-refused"):
    """The SuperLink refused a request or failed; the message quotes its output."""


@dataclass(frozen=True)
class Control:
    """Requests of the coordinator's operator to its SuperLink.

    Args:
        superlink: The SuperLink, which must be running.
    """

    superlink: SuperLink

    def nodes(self) -> list[dict[str, Any]]:
        """Return the registered nodes as Flower lists them, without unregistered ones."""
        listed = self._call_flwr("supernode", "list")
        return [node for node in listed.get("nodes", []) if node["status"] != "unregistered"]

    def member_status(self) -> dict[str, tuple[str, float]]:
        """Return the status and the seconds online of each member's node."""
        names = {key: name for name, key in read_nodes(self.superlink.directory).items()}
        nodes = {int(node["node-id"]): node for node in self.nodes()}
        enrolled = self._read_numbers(ENROLLED).items()
        return {
            names[key]: (str(nodes[node]["status"]), float(nodes[node]["online-elapsed"] or 0))
            for key, node in enrolled
            if key in names and node in nodes
        }

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs as Flower lists them, the latest run first."""
        return list(self._call_flwr("list").get("runs", []))

    def active_runs(self) -> list[int]:
        """Return Flower's ids of the runs that have not finished."""
        return [
            int(one["run-id"])
            for one in self.runs()
            if not str(one["status"]).startswith("finished")
        ]

    def enrol_nodes(self) -> None:
        """Register the members' nodes from the kit and unregister all other nodes.

        Guarantee: afterwards the SuperLink admits exactly the node keys in the kit.
        """
        wanted = read_nodes(self.superlink.directory)
        folder = self.superlink.home / "nodes"
        folder.mkdir(exist_ok=True)
        enrolled = self._enrolled_nodes()
        for key, node in enrolled.items():
            if key not in wanted.values():
                self._call_flwr("supernode", "unregister", str(node))
        for name, key in wanted.items():
            if key not in enrolled:
                path = folder / f"{name}.pub"
                path.write_text(key)
                registered = self._call_flwr("supernode", "register", str(path), "--name", name)
                enrolled[key] = int(registered["node-id"])
        self._write_numbers(
            ENROLLED, {key: node for key, node in enrolled.items() if key in wanted.values()}
        )

    def submit_order(self, order: RunOrder) -> int:
        """Start or resume an ordered run; return Flower's id for it.

        To Flower, a resumed run is a new run. The run of the dead process is stopped, because
        the sites would otherwise wait most of a minute for messages it had begun to send.

        Raises:
            ControlRefused: Flower did not accept the run.
        """
        begun = self._read_numbers(BEGUN)
        order.write(self.superlink.directory)
        number = self.start_run(order.config)
        self._write_numbers(BEGUN, {**begun, str(order.run): number})
        if str(order.run) in begun:
            with suppress(ControlRefused):  # Flower has already marked it as finished
                self.stop_run(begun[str(order.run)])
        return number

    def start_run(self, config: Mapping[str, Scalar]) -> int:
        """Ask the SuperLink to start a run; return Flower's id for it.

        Anybody on this machine can do this. The ServerApp runs nothing without an order.

        Raises:
            ControlRefused: Flower did not accept the run.
        """
        overrides = self.superlink.home / "run-config.toml"
        overrides.write_text(toml_lines(config))
        app = str(CoordinatorDirectory(self.superlink.directory.resolve()).app)
        begun = self._call_flwr("run", app, more=("--run-config", str(overrides.resolve())))
        return int(begun["run-id"])

    def run_status(self, run: int) -> str:
        """Return Flower's status of a run, such as `finished:completed`."""
        for listed in self.runs():
            if int(listed["run-id"]) == run:
                return str(listed["status"])
        raise ControlRefused(f"the SuperLink knows no run {run}")

    def stop_run(self, run: int) -> None:
        """Stop a run, given Flower's id."""
        self._call_flwr("stop", str(run))

    def _enrolled_nodes(self) -> dict[str, int]:
        there = {int(node["node-id"]) for node in self.nodes()}
        return {key: node for key, node in self._read_numbers(ENROLLED).items() if node in there}

    def _read_numbers(self, name: str) -> Mapping[str, int]:
        path = self.superlink.home / name
        noted: Mapping[str, int] = json.loads(path.read_bytes()) if path.exists() else {}
        return noted

    def _write_numbers(self, name: str, numbers: Mapping[str, int]) -> None:
        write_atomically(self.superlink.home / name, json.dumps(numbers))

    def _call_flwr(self, *words: str, more: tuple[str, ...] = ()) -> dict[str, Any]:
        home = self.superlink.home
        self._write_connection()
        command = [program_path("flwr"), *words, "here", "--format", "json", *more]
        try:
            asked = subprocess.run(  # noqa: S603 -- Flower's own program, our own arguments
                command,
                cwd=home,
                env=dict(self.superlink.environment),
                capture_output=True,
                text=True,
                check=False,
                timeout=_CALL_LIMIT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise ControlRefused(
                f"flwr {words[0]}: no answer in {_CALL_LIMIT_S:.0f} seconds; see "
                f"{self.superlink.log}"
            ) from error
        said = _json_in(asked.stdout)
        if asked.returncode or not said.get("success"):
            why = str(said.get("error-message") or f"{asked.stdout}{asked.stderr}".strip())
            raise ControlRefused(f"flwr {words[0]}: {why}")
        return said

    def _write_connection(self) -> None:
        address, authority = self.superlink.loopback_address, self.superlink.loopback.authority
        (self.superlink.home / "config.toml").write_text(
            f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "{address}"\n'
            f"root-certificates = {json.dumps(str(authority))}\n"
        )


def _json_in(text: str) -> dict[str, Any]:
    """Return the JSON object in a program's output, which may print warnings before it."""
    start = text.find("{")
    try:
        parsed = json.loads(text[start:]) if start >= 0 else {}
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
