"""Human-readable status of a coordinator or a site."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from consortium.charter.document import Charter
from consortium.deployment.code_approval import read_approvals
from consortium.deployment.control_client import Control
from consortium.deployment.run_orders import last_run
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.deployment.supervisor import Service, read_supervisor_state
from consortium.run.absences import Absence, absences_in, absences_of, rounds_in_words
from consortium.run.directory import RunDirectory
from consortium.run.event_reader import EventReader
from consortium.run.hub_directory import HubDirectory
from consortium.run.leader_lock import is_led
from consortium.run.logs import last_error
from consortium.run.records import Summary, read_record
from privacy.errors import number_of
from strategies.coordinator.messaging.events import RoundFinished, SiteQuarantined, SitesJoined

_TAIL_BYTES = 65_536
# The answers of sites, which are most events of a run, are not told.
_TOLD = frozenset({SitesJoined.kind, SiteQuarantined.kind, RoundFinished.kind, "run-failed"})


def coordinator_status(directory: Path) -> list[str]:
    """Return the status of a coordinator: its nodes, the last run, its round and last error.

    Of a hub, that of its own SuperNode too, and no rounds: it does not lead the run.
    """
    superlink = SuperLink(directory)
    charter = superlink.charter
    lines = [
        *([f"hub          {superlink.hub}"] if superlink.hub else []),
        f"charter      {charter.name}, revision {charter.revision}, {charter.fingerprint[:16]}",
        f"SuperLink    {_service_text(superlink)}",
    ]
    if superlink.is_healthy():
        lines += _node_lines(Control(superlink))
    run = last_run(directory)
    if superlink.hub:
        return [*lines, *_hub_lines(directory, run)]
    return [*lines, *(_run_lines(run) if run is not None else ["run          none yet"])]


def site_status(directory: Path) -> list[str]:
    """Return the status of a site: its charter, SuperNode, approved code and last error."""
    node = SuperNode(directory)
    approvals = read_approvals(directory)
    code = (
        "the installed package"
        if approvals.runs_installed
        else number_of(len(approvals.bundles), "bundle")
    )
    lines = [
        f"site         {node.name}",
        f"charter      {_charter_text(node.paths.charter)}",
        f"SuperNode    {_service_text(node)}",
        f"runs         {code}",
    ]
    return [*lines, f"last error   {_last_error(node.paths.log)}"]


def _service_text(service: Service) -> str:
    up = read_supervisor_state(service)
    if up is None:
        return "down"
    health = "healthy" if service.is_healthy() else "NOT ANSWERING"
    return (
        f"up since {up.since:%Y-%m-%d %H:%M:%S} UTC, {health}, {number_of(up.restarts, 'restart')}"
    )


def _node_lines(control: Control) -> list[str]:
    lines = [
        f"node         {name:20} {status:12} {timedelta(seconds=round(online))}"
        for name, (status, online) in control.member_status().items()
    ]
    for run in control.runs()[:1]:
        lines.append(f"Flower       run {run['run-id']} {run['status']}")
    return lines


def _hub_lines(directory: Path, run: Path | None) -> list[str]:
    node = SuperNode.of_hub(directory)
    going = run is not None and is_led(RunDirectory(run).leader)
    lines = [
        f"SuperNode    {'healthy' if node.is_healthy() else 'NOT ANSWERING'}",
        f"run          {run.name if run else 'none yet'}{', goes on' if going else ''}",
    ]
    logs = [HubDirectory(directory).node_log, *([RunDirectory(run).log] if run else [])]
    wrong = [said for said in map(_last_error, logs) if said != "none"]
    return [*lines, f"last error   {wrong[-1] if wrong else 'none'}"]


def _run_lines(run: Path) -> list[str]:
    directory = RunDirectory(run)
    if directory.summary.exists():
        return _ended_run_lines(directory, read_record(directory.summary, Summary))
    events = [one for one in EventReader(directory.events).new_events() if one["event"] in _TOLD]
    rounds = [event["server_round"] for event in events if event["event"] == RoundFinished.kind]
    wrong = [
        f"{event.get('site', '')} {event.get('code', '')}".strip()
        for event in events
        if event["event"] in {SiteQuarantined.kind, "run-failed"}
    ]
    return [
        f"run          {run.name}",
        f"last round   {rounds[-1] if rounds else 'none'}",
        f"last error   {wrong[-1] if wrong else 'none'}",
        *_absence_lines(directory, absences_in(events), _rounds_asked(directory)),
    ]


def _ended_run_lines(run: RunDirectory, summary: Summary) -> list[str]:
    """Return what a run came to: the evaluation at its end is no round, and a site no error."""
    return [
        f"run          {run.path.name}, {summary.status}",
        f"last round   {summary.rounds} of {summary.config['num-server-rounds']}",
        f"last error   {summary.error or 'none'}",
        *([f"evaluation   {summary.withheld}"] if summary.withheld else []),
        *_absence_lines(run, absences_of(summary), int(summary.config["num-server-rounds"])),
    ]


def _rounds_asked(run: RunDirectory) -> int:
    """Return how many rounds a run that goes on has; 0 if that is not written yet."""
    asked = json.loads(run.run_config.read_bytes()) if run.run_config.exists() else {}
    return int(asked.get("num-server-rounds", 0))


def _absence_lines(run: RunDirectory, absences: Sequence[Absence], last_round: int) -> list[str]:
    lines = [f"left out     {_who(one, last_round)}: {one.reason}" for one in absences]
    return [*lines, f"its log      {run.log}"] if lines else []


def _who(one: Absence, last_round: int) -> str:
    """Return the site, with the rounds that it is left out of if it is in others."""
    if not one.joined or not one.rounds:
        return one.site
    return f"{one.site}, {rounds_in_words(one, last_round=last_round)}"


def _charter_text(path: Path) -> str:
    if not path.exists():
        return "none installed"
    charter = Charter.read(path)
    return f"{charter.name}, revision {charter.revision}, {charter.fingerprint[:16]}"


def _last_error(log: Path) -> str:
    return last_error(_last_lines(log)) or "none"


def _last_lines(path: Path) -> list[str]:
    """Return the last whole lines of a log, however long it is."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(0, 2)
        start = max(0, file.tell() - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return lines[1:] if start else lines
