"""From events to files: what happens in a run is written down as it happens."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from consortium.run_directory import RunDirectory
from consortium.summary import (
    EvaluationRecord,
    MetricValue,
    QuarantineRecord,
    SiteSummary,
    read_record,
    write_atomically,
    write_record,
)
from privacy.layout import Tally
from sites.evaluation import Evaluation
from strategies.events import (
    Event,
    Observer,
    RoundFinished,
    SiteAnswered,
    SiteQuarantined,
    SitesCompared,
    SitesJoined,
    StatisticsPooled,
)


@dataclass
class Recorder:
    """Writes `events.jsonl` and `metrics.jsonl` line by line, and remembers what a summary needs.

    Guarantee: a figure of one site is written only where the strategy marks it as released.

    Args:
        run: The run's directory.
        evaluation: Turns evaluation tallies into metrics.
        witness: Told of each event as well.
    """

    run: RunDirectory
    evaluation: Evaluation
    witness: Observer = field(default=lambda _event: None)
    began: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    joined: SitesJoined | None = None
    statistics: StatisticsPooled | None = None
    last_round: RoundFinished | None = None
    quarantined: list[QuarantineRecord] = field(default_factory=list)
    answers: set[tuple[int, str]] = field(default_factory=set)
    bytes_down: int = 0
    bytes_up: int = 0

    def __call__(self, event: Event) -> None:
        """Record one event."""
        self.witness(event)
        match event:
            case SitesJoined():
                self.joined = event
                self._line(event, asdict(event))
            case StatisticsPooled():
                self.statistics = event
                self.write_evaluation()
                self._line(event, {"sites": sorted(event.by_site)})
            case SiteQuarantined():
                self.quarantined.append(QuarantineRecord.model_validate(asdict(event)))
                self._line(event, asdict(event))
            case SiteAnswered():
                self.answers.add((event.server_round, event.site))
                self._line(event, asdict(event))
            case SitesCompared():
                self._append(self.run.evidence, asdict(event))
            case RoundFinished():
                self._round(event)
            case _:
                self._line(event, asdict(event))

    def begin(self) -> None:
        """Record that the run begins."""
        self._append(self.run.events, {"event": "run-started", "started": self.started})

    def go_on(self, through: int) -> None:
        """Take up the record of a run that was interrupted, and record that it goes on.

        Guarantee: what happened stays in `events.jsonl`; figures of rounds after `through`,
        which will be done again, leave the other files, so that each round is there once.

        Args:
            through: The last round whose result is kept.
        """
        past = _lines(self.run.events)
        self._recall(past)
        for path in (self.run.metrics, self.run.evidence):
            kept = [line for line in _lines(path) if line["server_round"] <= through]
            if path.exists():
                write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept))
        for line in _lines(self.run.metrics):
            self.bytes_down += line["bytes_down"]
            self.bytes_up += line["bytes_up"]
        self.began -= max((line["at_s"] for line in past), default=0.0)
        self._append(self.run.events, {"event": "run-resumed", "server_round": through + 1})

    def _recall(self, past: list[dict[str, Any]]) -> None:
        for line in past:
            match line["event"]:
                case "run-started":
                    self.started = line["started"]
                case "site-answered":
                    self.answers.add((line["server_round"], line["site"]))
                case "site-quarantined":
                    fields = {name: line[name] for name in QuarantineRecord.model_fields}
                    self.quarantined.append(QuarantineRecord.model_validate(fields))
        if self.run.evaluation.exists():
            record = read_record(self.run.evaluation, EvaluationRecord)
            by_site = {site: np.array(one) for site, one in record.site_statistics.items()}
            self.statistics = StatisticsPooled(pooled=np.array(record.statistics), by_site=by_site)

    def failed(self, code: str, text: str) -> None:
        """Record that the run ended with an error."""
        self._append(self.run.events, {"event": "run-failed", "code": code, "text": text})

    def metrics_of(self, tally: Tally) -> dict[str, MetricValue]:
        """Return the metrics that a tally defines."""
        return {
            name: MetricValue(value=metric.value, error_bound=metric.error_bound)
            for name, metric in self.evaluation.metrics(tally).items()
        }

    def seconds(self) -> float:
        """Return the seconds since the recording began."""
        return time.monotonic() - self.began

    def site_summaries(self, members: tuple[str, ...]) -> list[SiteSummary]:
        """Return each member as the run saw it."""
        weights = self.joined.weights if self.joined else {}
        answers = Counter(site for server_round, site in self.answers if server_round > 0)
        return [
            SiteSummary(
                name=name,
                present=name in weights,
                weight=weights.get(name, 0),
                answered=answers[name],
            )
            for name in members
        ]

    def write_evaluation(self) -> None:
        """Write the tallies from which the report draws, as far as the run released any."""
        counted, last = self.statistics, self.last_round
        record = EvaluationRecord(
            statistics=_plain(counted.pooled) if counted else [],
            site_statistics=_by_site(counted.by_site) if counted else {},
            evaluation=_plain(last.evaluation) if last else [],
            site_evaluation=_by_site(last.by_site) if last else {},
        )
        write_record(self.run.evaluation, record)

    def _round(self, event: RoundFinished) -> None:
        self.last_round = event
        self.bytes_down += event.bytes_down
        self.bytes_up += event.bytes_up
        metrics = {name: m.model_dump() for name, m in self.metrics_of(event.evaluation).items()}
        site_metrics = {
            site: {name: m.model_dump() for name, m in self.metrics_of(tally).items()}
            for site, tally in event.by_site.items()
        }
        line = {
            "server_round": event.server_round,
            "sites": len(event.answered),
            "metrics": metrics,
            "bytes_down": event.bytes_down,
            "bytes_up": event.bytes_up,
            "seconds": round(event.seconds, 6),
        }
        self._append(self.run.metrics, {**line, "site_metrics": site_metrics})
        self._line(event, {**line, "answered": event.answered})

    def _line(self, event: Event, values: dict[str, Any]) -> None:
        self._append(self.run.events, {"event": _kebab(type(event).__name__), **values})

    def _append(self, path: Path, values: dict[str, Any]) -> None:
        line = json.dumps({"at_s": round(self.seconds(), 4), **values})
        with path.open("a") as file:
            file.write(line + "\n")


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines that were written whole; a process may have died in the last one."""
    if not path.exists():
        return []
    whole = path.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _plain(tally: Tally) -> list[int]:
    return [int(entry) for entry in np.asarray(tally)]


def _by_site(tallies: Mapping[str, Tally]) -> dict[str, list[int]]:
    return {site: _plain(tally) for site, tally in tallies.items()}


def _kebab(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")
