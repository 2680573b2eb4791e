"""Wait for a run of the coordinator: for a round to start, or for the end."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed
from consortium.modes.registry import recorded_mode
from consortium.run.absences import code_and_counts
from consortium.run.directory import RunDirectory
from consortium.run.event_reader import EventReader, tracker_failure_text
from consortium.run.leader_lock import is_led
from consortium.run.records import Summary, read_record
from consortium.wording.formatting import name_list
from privacy.errors import number_of
from strategies.coordinator.messaging.events import SiteQuarantined, SitesJoined

_LOOK_S = 0.25
_GOES_ON = "the run goes on without"
_MAY_BE_WITHHELD = (
    "its evaluation may be withheld: a site counts held-out records exactly for one roster. Once "
    "all are back, `consortium evaluate` counts them"
)
_ASK_EVERY = 80  # looks; asking the SuperLink starts a process and takes seconds


@dataclass(frozen=True)
class Waiting:
    """Waits for one run, by looking at its directory.

    Args:
        control: Control of the SuperLink that executes the run.
        run: The directory of the run.
        tell: Receives a line as soon as a site is left out or does not join.
        sleep: Pauses for a number of seconds; tests pass their own.
    """

    control: Control
    run: RunDirectory
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda _line: None

    def wait_for_end(self) -> Summary:
        """Wait for the end of the run; return its summary.

        Raises:
            LaunchFailed: It was parked, failed or died; the message says how to resume it.
        """
        self._wait_until(self.run.summary.exists)
        summary = read_record(self.run.summary, Summary)
        if summary.status != "finished":
            raise LaunchFailed(
                f"the run ended as {summary.status}: {summary.error}. When that is put right, "
                f"`consortium resume` resumes it. The coordinator's log is {self.run.log}"
            )
        return summary

    def wait_for_round(self, server_round: int) -> None:
        """Wait until a round has started.

        Raises:
            LaunchFailed: The run ended before that round.
        """
        self._wait_until(
            lambda: self.last_started_round() >= server_round or self.run.summary.exists()
        )
        if self.last_started_round() < server_round:
            self.wait_for_end()
            raise LaunchFailed(f"the run has finished and has no round {server_round}")

    def last_started_round(self) -> int:
        """Return the last round that has started, or -1 before the first."""
        events = EventReader(self.run.events).new_events()
        begun = [one["server_round"] for one in events if one["event"] == "round-started"]
        return max(begun, default=-1)

    def _wait_until(self, came: Callable[[], bool]) -> None:
        looks, news = 0, _News(EventReader(self.run.events))
        while True:
            there = came()  # asked before the events are read, so that the last ones are told
            for line in news.lines():
                self.tell(f"{line}; see {self.run.log}")
                if line.startswith(_GOES_ON) and self._counts_for_one_roster():
                    self.tell(_MAY_BE_WITHHELD)
            if there:
                return
            looks += 1
            ask = looks % _ASK_EVERY == 0 and not is_led(self.run.leader)
            if ask and not self.control.active_runs() and not came():
                raise LaunchFailed(
                    f"the run ended without a summary; see {self.control.superlink.log}. Resume it "
                    "with `consortium resume`"
                )
            self.sleep(_LOOK_S)

    def _counts_for_one_roster(self) -> bool:
        """Return whether sites may withhold what a run without one of them counts."""
        config = (
            json.loads(self.run.run_config.read_bytes()) if self.run.run_config.exists() else {}
        )
        return not recorded_mode(config).coordinator_reads


@dataclass
class _News:
    """Which sites were left out since the last look, each reason once."""

    events: EventReader
    told: set[str] = field(default_factory=set)

    def lines(self) -> Iterator[str]:
        """Yield the lines to tell."""
        for event in self.events.new_events():
            for line in _lines_about(event):
                if line not in self.told:
                    self.told.add(line)
                    yield line


def _lines_about(event: Mapping[str, Any]) -> Iterator[str]:
    match event:
        case {"event": SitesJoined.kind, "sites": sites, "absent": [*absent]} if absent:
            yield f"{_GOES_ON} {name_list(absent)}, with {number_of(len(sites), 'site')}"
        case {"event": SiteQuarantined.kind, "site": site, "code": code}:
            yield f"left out: {site}, {code_and_counts(code, event.get('counts', {}))}"
        case {"event": "tracker-failed", "tracker": tracker, "why": why}:
            yield tracker_failure_text(tracker, why)
