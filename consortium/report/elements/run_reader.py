"""What was recorded of a run, read once: everything a report is made from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.audit.coordinator_view import CoordinatorView, coordinator_view, has_kept_rounds
from consortium.charter.document import Charter
from consortium.modes.contract import Mode
from consortium.modes.registry import recorded_mode
from consortium.run.directory import RunDirectory
from consortium.run.privacy_records import PrivacyCost
from consortium.run.records import (
    BadRunDirectory,
    Comparison,
    MetricValue,
    Record,
    Summary,
    Tallies,
    read_record,
)
from consortium.wording.formatting import member_noun, name_list, plural, readable_name
from privacy.layout import Tally
from sites.evaluation.contract import Evaluation, evaluation_for
from sites.schema.tables import ClassLabel, NumberLabel
from sites.schema.texts import AnyLabel, EntityLabel, MultiLabel
from sites.statistics.contract import Statistics, statistics_for


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RoundLine(_Line):
    """A line of `metrics.jsonl`: figures are of the state that the round began with."""

    server_round: int
    sites: int
    metrics: dict[str, MetricValue]
    site_metrics: dict[str, dict[str, MetricValue]] = {}
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: float = 0.0


class EventLine(_Line):
    """A line of `events.jsonl`, as far as a report reads it."""

    event: str
    server_round: int = 0
    cohort: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()


class EvidenceLine(_Line):
    """A line of `evidence.jsonl`: each site's update against the aggregate of a round."""

    server_round: int
    sites: tuple[str, ...]
    distances: tuple[float, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run as its directory holds it.

    Args:
        summary: The run in short.
        charter: What the members agreed on.
        rounds: One line a round that was completed, in order; the last one of a finished run is
            the final evaluation.
        events: What happened, in order.
        statistics_tallies: Pooled and released counts of the training records, if there are any.
        evaluation_tallies: The same of the last evaluation.
        comparison: Alone, federated, pooled; if that was measured.
        coordinator: What the coordinator saw, if the run was encrypted and came so far.
        evidence: How updates lay to the aggregates, if the run was in the clear and its rule
            saw them together.
        privacy: What privacy costs, if that was measured.
    """

    summary: Summary
    charter: Charter
    rounds: Sequence[RoundLine]
    events: Sequence[EventLine]
    statistics_tallies: Tallies | None
    evaluation_tallies: Tallies | None
    comparison: Comparison | None
    coordinator: CoordinatorView | None = None
    evidence: Sequence[EvidenceLine] = ()
    privacy: PrivacyCost | None = None

    @classmethod
    def read(cls, run: RunDirectory) -> "Recorded":
        """Read a run's directory.

        Raises:
            BadRunDirectory: The summary is absent, or a file does not hold what it should.
            BadCharter: The charter is absent, or is none.
        """
        return cls(
            summary=read_record(run.summary, Summary),
            charter=Charter.read(run.charter),
            rounds=_read_lines(run.metrics, RoundLine),
            events=_read_lines(run.events, EventLine),
            statistics_tallies=_read_optional_record(run.statistics, Tallies),
            evaluation_tallies=_read_optional_record(run.evaluation, Tallies),
            comparison=_read_optional_record(run.comparison, Comparison),
            coordinator=coordinator_view(run) if has_kept_rounds(run) else None,
            evidence=_read_lines(run.evidence, EvidenceLine),
            privacy=_read_optional_record(run.privacy, PrivacyCost),
        )

    @property
    def is_finished(self) -> bool:
        """Whether all rounds were completed."""
        return self.summary.status == "finished"

    @property
    def mode(self) -> Mode:
        """Who could read what."""
        return recorded_mode(self.summary.config)

    @property
    def rounds_wanted(self) -> int:
        """Rounds of training that were asked for."""
        return int(self.summary.config.get("num-server-rounds", self.summary.rounds))

    @cached_property
    def evaluation(self) -> Evaluation:
        """Reads evaluation tallies."""
        return evaluation_for(self.charter.table)

    @cached_property
    def statistics(self) -> Statistics:
        """Reads statistics tallies."""
        return statistics_for(self.charter.table)

    @property
    def label(self) -> AnyLabel:
        """What is predicted."""
        return self.charter.table.label

    @property
    def unit(self) -> str:
        """The unit of what is predicted, if it is a number."""
        return self.label.unit if isinstance(self.label, NumberLabel) else ""

    @property
    def target(self) -> str:
        """What is predicted, in words."""
        if isinstance(self.label, EntityLabel):
            return f"entities ({name_list(self.label.types)})"
        return readable_name(self.label.column)

    @property
    def people(self) -> str:
        """Whom the records are about, in plural."""
        return plural(readable_name(self.charter.table.person.removesuffix("_id")))

    @property
    def noun(self) -> str:
        """What a member is called, in singular."""
        return member_noun(self.charter.names, self.charter.task)

    @property
    def nouns(self) -> str:
        """What members are called, in plural."""
        return plural(self.noun)

    @property
    def pooled_evaluation(self) -> Tally | None:
        """The last pooled evaluation, if one was recorded."""
        return _pooled_tally(self.evaluation_tallies)

    @property
    def pooled_statistics(self) -> Tally | None:
        """The pooled statistics of the training records, if they were recorded."""
        return _pooled_tally(self.statistics_tallies)

    @property
    def headline_metric(self) -> str:
        """Name of the one figure the run is judged by."""
        if self.comparison:
            return self.comparison.metric
        match self.label:
            case ClassLabel(binary=True):
                return "roc_auc"
            case ClassLabel() | MultiLabel():
                return "macro_f1"
            case NumberLabel():
                return "rmse"
            case EntityLabel():
                return "entity_f1"

    @cached_property
    def request_counts(self) -> Counter[str]:
        """How often each site was asked to train or to evaluate."""
        started = [line for line in self.events if line.event == "round-started"]
        return Counter(name for line in started if line.server_round > 0 for name in line.cohort)

    @property
    def evaluated_sites(self) -> frozenset[str]:
        """The sites whose held-out records stand behind the last pooled evaluation."""
        ended = [line for line in self.events if line.event == "round-finished"]
        return frozenset(ended[-1].answered) if ended else frozenset()

    @property
    def site_statistics(self) -> dict[str, Tally]:
        """Statistics by site, where released."""
        return self._released_tallies(self.statistics_tallies)

    @property
    def site_evaluation(self) -> dict[str, Tally]:
        """The last evaluation by site, where released."""
        return self._released_tallies(self.evaluation_tallies)

    def _released_tallies(self, found: Tallies | None) -> dict[str, Tally]:
        """Return the tallies that sites released, in the charter's order."""
        by_site = found.by_site if found else {}
        return {name: _tally_of(by_site[name]) for name in self.charter.names if name in by_site}

    def withheld_sentence(self, shown: Mapping[str, object]) -> str:
        """Return in a sentence which present sites released no figures of their own."""
        silent = [
            member.name
            for member in self.summary.sites
            if member.present and member.name not in shown
        ]
        if not silent:
            return ""
        who = name_list(silent) if len(silent) <= 6 else f"{len(silent)} {self.nouns}"
        return f"Without figures of their own, by their policy or for too few records: {who}."


Line = TypeVar("Line", bound=_Line)


def _read_optional_record(path: Path, kind: type[Record]) -> Record | None:
    return read_record(path, kind) if path.exists() else None


def _tally_of(entries: Sequence[int]) -> Tally:
    return np.array(entries, np.int64)


def _pooled_tally(found: Tallies | None) -> Tally | None:
    return _tally_of(found.pooled) if found else None


def _read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """Return the whole lines of a file that a run appends to; it may have died in the last."""
    if not path.exists():
        return []
    lines = path.read_text().rpartition("\n")[0].splitlines()
    try:
        return [kind.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise BadRunDirectory(f"{path} holds a line that no run writes: {error}") from error
