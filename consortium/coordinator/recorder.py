"""Record the events of a run in files as they happen."""

import json
import logging
import tempfile
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

from consortium.run import withheld as reasons
from consortium.run.convergence import LossCourse
from consortium.run.directory import RunDirectory
from consortium.run.records import (
    Entries,
    MetricValue,
    QuarantineRecord,
    SitePairs,
    SiteSummary,
    Tallies,
    write_json_object,
    write_record,
)
from privacy.layout import Tally
from privacy.storage.durable_files import replace_atomically
from sites.evaluation.contract import Evaluation, in_bins, pair_counts
from sites.evaluation.pairs import PairCounts
from sites.evaluation.score_bins import ScoreBins
from sites.statistics.tally import ImpossibleTally
from strategies.coordinator.messaging.events import (
    BucketRefused,
    EvaluationWithheld,
    RoundFinished,
    RoundStarted,
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
    SitesCompared,
    SitesJoined,
    SiteUnchanged,
    StatisticsPooled,
    SumConfirmed,
)


class ReleasedTallies:
    """The tallies that sites released in one round.

    Guarantee: memory holds the sites' names and one tally at a time, whatever their number. The
    tallies are in a file without a name, so nothing of it remains when the process ends, even if
    it is killed.

    Args:
        folder: A folder on the file system that should hold the file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at: dict[str, tuple[int, int]] = {}
        self._file: IO[bytes] | None = None

    def keep(self, site: str, tally: Tally) -> None:
        """Keep the tally of a site. A second tally of the same site replaces the first."""
        file = self._open_file()
        start = file.seek(0, 2)
        file.write(np.ascontiguousarray(tally, np.int64).tobytes())
        self._at[site] = (start, tally.size)

    def clear(self) -> None:
        """Forget all tallies, before the next round."""
        self._at.clear()
        if self._file:
            self._file.truncate(0)

    @property
    def sites(self) -> list[str]:
        """Names of the sites that released a tally, sorted."""
        return sorted(self._at)

    def tallies(self) -> Iterator[tuple[str, Tally]]:
        """Yield each site with its tally, sorted by name."""
        for site in self.sites:
            start, size = self._at[site]
            file = self._open_file()
            file.seek(start)
            yield site, np.frombuffer(file.read(8 * size), np.int64)

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 -- it outlives this call
            weakref.finalize(self, self._file.close)
        return self._file


_LOG = logging.getLogger(__name__)


@dataclass
class Recorder:
    """Writes `events.jsonl` and `metrics.jsonl` line by line, and keeps the totals for a summary.

    Guarantee: a figure of a single site is written only if the strategy marks it as released.
    Memory holds the figures of one site at a time.

    Args:
        run: The run's directory.
        evaluation: Turns evaluation tallies into metrics.
        missing: The last reason of each site that has not answered since.
        last_counted: The last round in which the sites counted: what is kept of the evaluation.
    """

    run: RunDirectory
    evaluation: Evaluation
    began: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    joined: SitesJoined | None = None
    last_round: RoundFinished | None = None
    last_counted: RoundFinished | None = None
    withheld: EvaluationWithheld | None = None
    quarantined: list[QuarantineRecord] = field(default_factory=list)
    missing: dict[str, QuarantineRecord] = field(default_factory=dict)
    answers: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    unchanged: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    bytes_down: int = 0
    bytes_up: int = 0
    saturated: dict[int, int] = field(default_factory=dict)
    losses: LossCourse = field(default_factory=LossCourse)

    def __post_init__(self) -> None:
        self._pooled: tuple[RoundFinished, dict[str, MetricValue]] | None = None
        self._released, self._last_released = (
            ReleasedTallies(self.run.path),
            ReleasedTallies(self.run.path),
        )

    def __call__(self, event: RunEvent) -> None:
        """Record one event."""
        self._keep_figures(event)
        match event:
            case SitesJoined():
                self.joined = event
                self.missing = {
                    site: why for site, why in self.missing.items() if site not in event.sites
                }
                self._append_event(event, asdict(event))
            case StatisticsPooled():
                counted = Tallies(pooled=event.pooled.tolist())
                _write_tallies(self.run.statistics, counted, self._released)
                self._append_event(event, {"sites": self._released.sites})
            case SiteQuarantined():
                _LOG.warning(
                    "round %d: %s is left out: %s", event.server_round, event.site, event.code
                )
                self.quarantined.append(QuarantineRecord.model_validate(asdict(event)))
                self.missing[event.site] = self.quarantined[-1]
                self._append_event(event, asdict(event))
            case BucketRefused():
                _LOG.warning(
                    "round %d: the sum of bucket %d was refused; in it are %s",
                    event.server_round,
                    event.bucket,
                    ", ".join(event.sites),
                )
                self._append_event(event, asdict(event))
            case SiteAnswered():
                self._note_answer(event.site, event.server_round)
                asked_in = {} if event.asked_in is None else {"asked_in": event.asked_in}
                values = {"server_round": event.server_round, "site": event.site, **asked_in}
                self._append_event(event, values)
            case SitesCompared():
                self._append_line(self.run.evidence, asdict(event))
            case RoundFinished():
                _LOG.info("round %d: %d sites answered", event.server_round, len(event.answered))
                self._record_round(event)
            case _:
                self._append_event(event, asdict(event))

    def _keep_figures(self, event: RunEvent) -> None:
        match event:
            case RoundStarted():  # a repeated attempt voids the answers of the one before
                self._released.clear()
            case SiteAnswered(released=tally) if tally is not None:
                self._released.keep(event.site, tally)
            case SiteUnchanged():
                self._note_unchanged(event.site, event.server_round)
            case EvaluationWithheld():
                self.withheld = event
            case SumConfirmed():
                self._note_traffic(event.bytes_down, event.bytes_up)

    def record_start(self) -> None:
        """Record that the run starts."""
        self._append_line(self.run.events, {"event": "run-started", "started": self.started})

    def record_resumption(self, through: int) -> None:
        """Restore the totals of an interrupted run from its files, and record that it resumes.

        Guarantee: `events.jsonl` keeps everything that happened. Rounds after `through`, which will
        be repeated, are removed from the other files, so that each round is there once.

        Args:
            through: The last round whose result is kept.
        """
        self.began -= max(
            (self._replay_line(line) for line in _read_lines(self.run.events)), default=0.0
        )
        for path in (self.run.metrics, self.run.evidence):
            if path.exists():
                kept = (line for line in _read_lines(path) if line["server_round"] <= through)
                with replace_atomically(path) as file:
                    file.writelines(json.dumps(line) + "\n" for line in kept)
        for line in _read_lines(self.run.metrics):
            self._note_traffic(line["bytes_down"], line["bytes_up"])
            self._note_saturated(line["server_round"], line.get("saturated"))
            self.losses.note(line["server_round"], line["metrics"])
        self._append_line(self.run.events, {"event": "run-resumed", "server_round": through + 1})

    def _replay_line(self, line: dict[str, Any]) -> float:
        """Restore the totals from one recorded event; return its time in seconds."""
        match line["event"]:
            case "run-started":
                self.started = line["started"]
            case SiteAnswered.kind:
                self._note_answer(line["site"], line["server_round"])
            case SiteUnchanged.kind:
                self._note_unchanged(line["site"], line["server_round"])
            case EvaluationWithheld.kind:
                self.withheld = EvaluationWithheld(
                    server_round=line["server_round"], withheld_by=tuple(line["withheld_by"])
                )
            case SumConfirmed.kind:
                self._note_traffic(line["bytes_down"], line["bytes_up"])
            case SiteQuarantined.kind:
                fields = {name: line[name] for name in QuarantineRecord.model_fields}
                self.quarantined.append(QuarantineRecord.model_validate(fields))
        return float(line["at_s"])

    def _note_answer(self, site: str, server_round: int) -> None:
        """Set the round's bit: a site that answers again after an interruption counts once."""
        self.missing.pop(site, None)
        self.answers[site] |= 1 << server_round
        if site in self.unchanged:  # asked once more, it had something after all
            self.unchanged[site] &= ~(1 << server_round)

    def _note_unchanged(self, site: str, server_round: int) -> None:
        """Set the round's bit, as an answer does: who has nothing new is there."""
        self.missing.pop(site, None)
        self.unchanged[site] |= 1 << server_round

    def _note_saturated(self, server_round: int, saturated: int | None) -> None:
        """Keep how many values of a round's updates were beyond the scale, if that is known."""
        if saturated is not None:
            self.saturated[server_round] = saturated

    def _note_traffic(self, down: int, up: int) -> None:
        self.bytes_down += down
        self.bytes_up += up

    def record_failure(self, code: str, text: str) -> None:
        """Record that the run ended with an error."""
        _LOG.error("the run ended: %s: %s", code, text)
        self._append_line(self.run.events, {"event": "run-failed", "code": code, "text": text})

    def record_tracker_failure(self, tracker: str, why: str) -> None:
        """Record that a tracker failed, which the run does not wait for."""
        failed = {"event": "tracker-failed", "tracker": tracker, "why": why}
        self._append_line(self.run.events, failed)

    def record_pause(self, text: str) -> None:
        """Record that the run pauses, as it was asked to."""
        _LOG.info("the run pauses: %s", text)
        self._append_line(self.run.events, {"event": "run-paused", "text": text})

    def metrics_of(
        self, event: RoundFinished, tally: Tally | None = None
    ) -> dict[str, MetricValue]:
        """Return the metrics of a round: of its pooled tally, or of the given one of a site."""
        if tally is None and self._pooled and self._pooled[0] is event:
            return dict(self._pooled[1])
        evaluation = in_bins(self.evaluation, ScoreBins(event.score_bins))
        counted = event.evaluation if tally is None else tally
        return {
            name: MetricValue(value=metric.value, error_bound=metric.error_bound)
            for name, metric in evaluation.metrics(counted).items()
        }

    def why_withheld(self, *, hidden: bool, released: bool) -> str:
        """Return why the last round has no pooled figures, in words; "" if it has, or is none.

        Args:
            hidden: Whether the coordinator cannot read the counts of single sites.
            released: Whether the charter releases pooled counts of such a run.
        """
        last = self.last_round
        if last is None or self.evaluation.num_examples(last.evaluation):
            return ""
        if not hidden:
            return reasons.nobody_or_too_few()
        if self.withheld and self.withheld.server_round == last.server_round:
            return reasons.withheld_by_roster(self.withheld.withheld_by)
        if not released:
            return reasons.withheld_by_charter()
        missing = sorted(set(self.joined.weights if self.joined else ()) - set(last.answered))
        return reasons.withheld_for_missing(missing) if missing else reasons.withheld_by_policies()

    @property
    def absent(self) -> tuple[str, ...]:
        """Members that did not join at the start; empty before it."""
        return self.joined.absent if self.joined else ()

    def elapsed_s(self) -> float:
        """Return the seconds since the recording started."""
        return time.monotonic() - self.began

    def site_summaries(self, members: tuple[str, ...]) -> list[SiteSummary]:
        """Return for each member whether it took part, its weight and how often it answered."""
        weights = self.joined.weights if self.joined else {}
        return [
            SiteSummary(
                name=name,
                present=name in weights,
                weight=weights.get(name, 0),
                answered=(self.answers[name] >> 1).bit_count(),  # bit 0 is the statistics
                unchanged=self.unchanged.get(name, 0).bit_count(),
            )
            for name in members
        ]

    def site_metrics(self) -> Entries:
        """Yield the sites that released figures in the last counted round, with their metrics."""
        if self.last_counted:
            for site, tally in self._last_released.tallies():
                yield site, _plain_metrics(self.metrics_of(self.last_counted, tally))

    def write_evaluation(self) -> None:
        """Write the tallies of the last round in which the sites counted, for the report.

        A resumed run that stops before it counts again leaves what is on the disk.
        """
        last = self.last_counted
        if last:
            counted = Tallies(
                pooled=last.evaluation.tolist(),
                score_bins=last.score_bins.hex(),
                pairs=self._pairs_of(last),
                server_round=last.server_round,
            )
            _write_tallies(self.run.evaluation, counted, self._last_released)

    def _pairs_of(self, event: RoundFinished) -> SitePairs | None:
        """Return the pairs within sites, if they were released and are possible."""
        if event.pairs is None:
            return None
        found = PairCounts.from_entries(event.pairs)
        try:
            found.check_among(pair_counts(self.evaluation, event.evaluation))
        except ImpossibleTally:
            return None  # most sites told it: nobody else can know what they opened
        return SitePairs(**asdict(found))

    def _record_round(self, event: RoundFinished) -> None:
        self.last_round = event
        if event.counted:
            self.last_counted = event
            self._last_released, self._released = self._released, self._last_released
        self._released.clear()
        self._note_traffic(event.bytes_down, event.bytes_up)
        self._note_saturated(event.server_round, event.saturated)
        if event.saturated:
            _LOG.warning(
                "round %d: %d values of updates were beyond the scale and were cut off",
                event.server_round,
                event.saturated,
            )
        pooled = self.metrics_of(event)
        self._pooled = (event, pooled)  # those who follow the run ask for them as well
        metrics = _plain_metrics(pooled)
        self.losses.note(event.server_round, metrics)
        line = {
            "server_round": event.server_round,
            "sites": len(event.answered),
            "metrics": metrics,
            "bytes_down": event.bytes_down,
            "bytes_up": event.bytes_up,
            "seconds": round(event.seconds, 6),
            **({} if event.saturated is None else {"saturated": event.saturated}),
            **({} if event.counted else {"counted": False}),
        }
        released = self.site_metrics() if event.counted else ()
        self._append_line(self.run.metrics, line, site_metrics=released)
        course = {"asked_in": event.asked_in, "unchanged": event.unchanged}
        said = {name: value for name, value in course.items() if value}
        self._append_event(event, {**line, "answered": event.answered, **said})

    def _append_event(self, event: RunEvent, values: dict[str, Any]) -> None:
        self._append_line(self.run.events, {"event": event.kind, **values})

    def _append_line(self, path: Path, values: dict[str, Any], **mappings: Entries) -> None:
        line = json.dumps({"at_s": round(self.elapsed_s(), 4), **values})
        with path.open("a") as file:
            write_json_object(file, line, **mappings)
            file.write("\n")


def _read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the complete lines; a process may have died while it wrote the last one."""
    if path.exists():
        with path.open() as file:
            yield from (json.loads(line) for line in file if line.endswith("\n"))


def _write_tallies(path: Path, counted: Tallies, released: ReleasedTallies) -> None:
    by_site = ((site, tally.tolist()) for site, tally in released.tallies())
    write_record(path, counted, by_site=by_site)


def _plain_metrics(metrics: Mapping[str, MetricValue]) -> dict[str, Any]:
    return {name: metric.model_dump() for name, metric in metrics.items()}
