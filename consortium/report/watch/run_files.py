"""Read the files of a run again and again, each as seldom as it changes."""

import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from consortium.charter.document import Charter
from consortium.config import RunConfig
from consortium.report.watch.page_state import AuditHead, RunFiles
from consortium.report.watch.run_so_far import RunSoFar
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.event_reader import EventReader
from consortium.run.leader_lock import is_led
from consortium.run.party_directory import PartyDirectory
from consortium.run.privacy_records import PrivacyCost
from consortium.run.records import Summary, read_record

COORDINATOR = "the coordinator"
_TAIL_BYTES = 65_536


@dataclass
class WatchedRun:
    """A run whose files are read while another process writes them. Nothing is written.

    Args:
        run: The directory of the run.
        charter: Its charter.
    """

    run: RunDirectory
    charter: Charter
    _so_far: RunSoFar = field(default_factory=RunSoFar, init=False)
    _events: EventReader = field(init=False)
    _config_at: tuple[int, int] = field(default=(0, 0), init=False)
    _config_then: RunConfig | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._events = EventReader(self.run.events)

    @classmethod
    def at(cls, path: Path) -> "WatchedRun":
        """Return the run in a directory, begun or not.

        Raises:
            BadRunDirectory: There is no run.
            BadCharter: Its charter is invalid.
        """
        run = RunDirectory(path)
        if not run.charter.is_file():
            raise BadRunDirectory(f"{path} holds no charter.json: name the directory of a run")
        return cls(run, Charter.read(run.charter))

    def read(self) -> RunFiles:
        """Return what the files say now.

        Raises:
            BadRunDirectory: A file is damaged.
        """
        for event in self._events.new_events():
            self._so_far.note(event)
        run = self.run
        summary = read_record(run.summary, Summary) if run.summary.exists() else None
        privacy = read_record(run.privacy, PrivacyCost) if run.privacy.exists() else None
        return RunFiles(
            name=run.path.resolve().name,
            consortium=self.charter.name,
            members=tuple(self.charter.names),
            so_far=self._so_far,
            config=self._config(),
            summary=summary,
            privacy=privacy,
            heads=tuple(self._heads()),
            is_led=summary is None and is_led(run.leader),
            quiet_s=_age_s(run.events),
            now=datetime.now(UTC),
        )

    def _config(self) -> RunConfig | None:
        """Return the run config, once it is written; it is parsed when it changes."""
        path = self.run.run_config
        if not path.exists():
            return None
        found = path.stat()
        if self._config_at != (written := (found.st_ino, found.st_mtime_ns)):
            self._config_then = RunConfig.parse(json.loads(path.read_bytes()))
            self._config_at = written
        return self._config_then

    def _heads(self) -> list[AuditHead]:
        """Return the ends of the logs that lie here: between institutions, the coordinator's."""
        logs = {COORDINATOR: self.run.coordinator}
        logs |= {name: self.run.site(name) for name in self.charter.names}
        found = (_head(whose, PartyDirectory(at).audit_log) for whose, at in logs.items())
        return [one for one in found if one is not None]


def _head(whose: str, log: Path) -> AuditHead | None:
    """Return the last whole entry of a log; None if there is none. Nothing is checked."""
    if not log.exists():
        return None
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        *_, last_line, _unfinished = (b"", *file.read().rsplit(b"\n", 2))
    if not last_line:
        return None
    last = json.loads(last_line)
    return AuditHead(whose=whose, entries=last["entry"]["n"], hash=last["hash"])


def _age_s(path: Path) -> float:
    return max(0.0, time.time() - path.stat().st_mtime) if path.exists() else 0.0
