"""Read the recorded files of a run: everything that a report is made from."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from consortium.audit.coordinator_view import CoordinatorView, coordinator_view, has_kept_rounds
from consortium.charter.document import Charter
from consortium.config import SETTINGS, RunConfig
from consortium.differential_privacy import Privacy
from consortium.model.card import Subject
from consortium.modes.contract import Mode
from consortium.modes.registry import recorded_mode
from consortium.protocol.learning import learner_of
from consortium.report.elements.final_model import read_table_model
from consortium.run.directory import EVALUATED_LATER, BadRunDirectory, RunDirectory
from consortium.run.privacy_records import PrivacyCost
from consortium.run.records import (
    Comparison,
    MetricValue,
    Record,
    Summary,
    SyntheticRecords,
    Tallies,
    read_record,
)
from consortium.wording.formatting import member_noun, name_list, readable_name
from privacy.errors import plural
from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import Evaluation, evaluation_for, in_bins, pair_counts
from sites.evaluation.decisions import Confusion
from sites.evaluation.pairs import PairCounts
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learner import Learner
from sites.learners.plans import LearnerPlans
from sites.plans import Counting, TrainingPlan
from sites.schema.tables import ClassLabel, Costs, EventTimeLabel, NumberLabel
from sites.schema.texts import AnyLabel, EntityLabel, MultiLabel
from sites.statistics.contract import Statistics, statistics_for


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RoundLine(_Line):
    """A line of `metrics.jsonl`; its metrics are of the model that the round started with."""

    server_round: int
    sites: int
    metrics: dict[str, MetricValue]
    site_metrics: dict[str, dict[str, MetricValue]] = {}
    bytes_down: int = 0
    bytes_up: int = 0
    seconds: float = 0.0


class EventLine(_Line):
    """The fields of a line of `events.jsonl` that a report reads."""

    event: str
    server_round: int = 0
    cohort: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    counted: bool = True
    recounted_by: tuple[str, ...] = ()
    run: str = ""
    exchanges: int = 0
    not_awaited: tuple[str, ...] = ()
    bytes_down: int = 0
    bytes_up: int = 0


class EvidenceLine(_Line):
    """A line of `evidence.jsonl`: distance and cosine of each update to the round's aggregate."""

    server_round: int
    sites: tuple[str, ...]
    distances: tuple[float, ...]
    cosines: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A run, as recorded in its directory.

    Args:
        summary: The summary.
        charter: The members' charter.
        rounds: One line per completed round, in order; the last line of a finished run is the
            final evaluation.
        events: The events, in order.
        statistics_tallies: Pooled and released tallies of the training records, if there are any.
        evaluation_tallies: Pooled and released tallies of the last evaluation, if there are any.
        comparison: The comparison of alone, federated and pooled, if it was measured.
        coordinator: What the coordinator saw, if the run was encrypted and completed a round.
        evidence: Distance and cosine of updates to the aggregates, if the run was in the clear
            and its rule saw the updates together.
        privacy: The cost of privacy, if it was measured.
        model: The model of a table that the run ended with, if the directory holds it.
        synthetic: Which records are made up, if any are.
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
    model: Subject | None = None
    synthetic: SyntheticRecords | None = None

    @classmethod
    def read(cls, run: RunDirectory) -> "Recorded":
        """Read the directory of a run.

        Raises:
            BadRunDirectory: The summary is missing, or a file is invalid.
            BadCharter: The charter is missing or invalid.
        """
        summary, charter = read_record(run.summary, Summary), Charter.read(run.charter)
        return cls(
            summary=summary,
            charter=charter,
            rounds=_read_lines(run.metrics, RoundLine),
            events=_read_lines(run.events, EventLine),
            statistics_tallies=_read_optional_record(run.statistics, Tallies),
            evaluation_tallies=_read_optional_record(run.evaluation, Tallies),
            comparison=_read_optional_record(run.comparison, Comparison),
            coordinator=coordinator_view(run) if has_kept_rounds(run) else None,
            evidence=_read_lines(run.evidence, EvidenceLine),
            privacy=_read_optional_record(run.privacy, PrivacyCost),
            model=read_table_model(run, charter, summary.model_digest),
            synthetic=_read_optional_record(run.synthetic, SyntheticRecords),
        )

    @property
    def is_finished(self) -> bool:
        """Whether all rounds were completed."""
        return self.summary.status == "finished"

    @property
    def counts_exactly(self) -> bool:
        """Whether the sites sent exact sums, from which the result follows."""
        config = RunConfig.parse(self.summary.config)
        return learner_of(self.charter, config).contribution.exact

    @property
    def mode(self) -> Mode:
        """Who could read what."""
        return recorded_mode(self.summary.config)

    @property
    def promised_privacy(self) -> Privacy:
        """What the run promised about single persons."""
        return self._chosen({"dp", "learner"}).privacy

    @property
    def training(self) -> TrainingPlan:
        """How a site trained in a round, where nothing was promised of single persons."""
        return self._chosen({"training"}).training

    @cached_property
    def learner(self) -> Learner:
        """The learner of the run."""
        parts = {"learner", *(one.name for one in fields(LearnerPlans))}
        return learner_of(self.charter, self._chosen(parts))

    def _chosen(self, parts: Collection[str]) -> RunConfig:
        """Return a run config with what was chosen of some parts: a later version may have more."""
        chosen = self.summary.config
        keys = [key for key, setting in SETTINGS.items() if setting.part in parts and key in chosen]
        return RunConfig.parse({key: chosen[key] for key in keys})

    @property
    def rounds_wanted(self) -> int:
        """The number of training rounds that was requested."""
        return int(self.summary.config.get("num-server-rounds", self.summary.rounds))

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation of the task, which reads evaluation tallies."""
        return in_bins(evaluation_for(self.charter.table), self.score_bins)

    @property
    def score_bins(self) -> ScoreBins:
        """The bins by which the scores of the last evaluation are counted."""
        found = self.evaluation_tallies
        return ScoreBins(bytes.fromhex(found.score_bins)) if found else EQUAL_BINS

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics of the task, which read statistics tallies."""
        return statistics_for(self.charter.table)

    @property
    def label(self) -> AnyLabel:
        """The label that the model predicts."""
        return self.charter.table.label

    @property
    def unit(self) -> str:
        """The unit of the label if it is a number, of the costs of two classes, or empty."""
        match self.label:
            case NumberLabel(unit=unit) | EventTimeLabel(unit=unit):
                return unit
            case ClassLabel(costs=Costs(unit=unit)):
                return unit
        return ""

    @property
    def target(self) -> str:
        """The predicted label in words."""
        if isinstance(self.label, EntityLabel):
            return f"entities ({name_list(self.label.types)})"
        return readable_name(self.label.column)

    @property
    def people(self) -> str:
        """The persons in the records, as a plural noun."""
        return plural(readable_name(self.charter.table.person.removesuffix("_id")))

    @property
    def noun(self) -> str:
        """The singular noun for a member."""
        return member_noun(self.charter.names, self.charter.task)

    @property
    def nouns(self) -> str:
        """The plural noun for members."""
        return plural(self.noun)

    @property
    def synthetic_sentence(self) -> str:
        """Which records are made up; "" if none are."""
        if self.synthetic is None:
            return ""
        sites = self.synthetic.sites
        everybody = {*self.charter.names} <= {*sites}
        whose = f"all {self.nouns}" if everybody else name_list(sites)
        return f"The records of {whose} are SYNTHETIC: no figure here says anything of real people."

    @property
    def pooled_evaluation(self) -> Tally | None:
        """The pooled tally of the last evaluation, of all records, if one was recorded."""
        found = self.evaluation_by_group
        return None if found is None else self._of_all(found)

    @property
    def evaluation_by_group(self) -> Tally | None:
        """The pooled tally of the last evaluation, with those of the declared groups behind it."""
        return _pooled_tally(self.evaluation_tallies)

    @property
    def grouped_evaluation(self) -> Evaluation:
        """The evaluation that reads `evaluation_by_group`."""
        counting = Counting(
            subgroups=str(self.summary.config.get("subgroups", "")),
            columns=bool(self.summary.config.get("period", "")),
        )
        return in_bins(evaluation_for(self.charter.table, counting), self.score_bins)

    def _of_all(self, tally: Tally) -> Tally:
        # Of more than all records the rest is cut; what an earlier version did not count is 0.
        return self.evaluation.layout.fitted(tally)

    @property
    def pooled_statistics(self) -> Tally | None:
        """The pooled statistics tally of the training records, if one was recorded."""
        return _pooled_tally(self.statistics_tallies)

    @property
    def headline_metric(self) -> str:
        """The name of the one metric that the run is judged by."""
        if self.comparison:
            return self.comparison.metric
        match self.label:
            case ClassLabel(binary=True, costs=costs):
                return "roc_auc" if costs is None else "recall_at_1_percent"
            case ClassLabel() | MultiLabel():
                return "macro_f1"
            case NumberLabel():
                return "rmse"
            case EntityLabel():
                return "entity_f1"
            case EventTimeLabel():
                return "concordance"

    @cached_property
    def request_counts(self) -> Counter[str]:
        """How often each site was asked to train or to evaluate."""
        started = [line for line in self.events if line.event == "round-started"]
        return Counter(name for line in started if line.server_round > 0 for name in line.cohort)

    @property
    def recounted_by(self) -> tuple[str, ...]:
        """The sites whose operators had their training records counted again."""
        told = [line.recounted_by for line in self.events if line.recounted_by]
        return told[-1] if told else ()

    @property
    def evaluated_later(self) -> str:
        """Name of the run in which the final model was evaluated afterwards; empty if it was not.

        An evaluation that was withheld is counted when all sites of the first run are back.
        """
        told = [line.run for line in self.events if line.event == EVALUATED_LATER]
        return told[-1] if told else ""

    @property
    def last_counted(self) -> int:
        """The round of the last evaluation: the last round of all, unless it says another one."""
        found = self.evaluation_tallies
        if found is not None and found.server_round is not None:
            return found.server_round
        return self.rounds[-1].server_round if self.rounds else 0

    @property
    def evaluated_sites(self) -> frozenset[str]:
        """The sites whose held-out records are in the last pooled evaluation."""
        kinds = {"round-finished", EVALUATED_LATER}
        ended = [line for line in self.events if line.event in kinds and line.counted]
        return frozenset(ended[-1].answered) if ended else frozenset()

    @property
    def participants(self) -> tuple[str, ...]:
        """The members that joined the run and had an answer accepted, in the charter's order."""
        return tuple(one.name for one in self.summary.sites if one.present and one.answered)

    @cached_property
    def trained_sites(self) -> tuple[str, ...]:
        """The members whose updates are in the model, in the charter's order."""
        rounds = [line for line in self.events if line.event == "round-finished"]
        trained = {
            name
            for line in rounds
            if 1 <= line.server_round <= self.rounds_wanted
            for name in line.answered
        }
        return tuple(name for name in self.charter.names if name in trained)

    @property
    def site_statistics(self) -> dict[str, Tally]:
        """The statistics tallies of single sites, where released."""
        return self._released_tallies(self.statistics_tallies)

    @property
    def site_evaluation(self) -> dict[str, Tally]:
        """The last evaluation tallies of single sites, where released."""
        released = self._released_tallies(self.evaluation_tallies)
        return {name: self._of_all(tally) for name, tally in released.items()}

    @property
    def pairs_within_sites(self) -> PairCounts | None:
        """The pairs of records within sites; None if nobody counted or released any.

        Under encryption the sites counted them, in the clear they follow from released tallies.
        """
        found, released = self.evaluation_tallies, self.site_evaluation
        if found is not None and found.pairs is not None:
            return PairCounts(**found.pairs.model_dump())
        counted = [pair_counts(self.evaluation, tally) for tally in released.values()]
        return sum(counted, PairCounts()) if counted else None

    @property
    def one_sided_threshold(self) -> Confusion | None:
        """The counts at the usual threshold, if it flags nobody or everybody; otherwise None."""
        tally, evaluation = self.pooled_evaluation, self.evaluation
        if tally is None or not isinstance(evaluation, BinaryEvaluation):
            return None
        found = evaluation.confusion(tally)
        return found if found.records and found.flagged in {0, found.records} else None

    @property
    def site_that_follows(self) -> str:
        """The one site of an evaluation that withheld its counts, so that they follow; or none.

        If all others released theirs, the difference to the total is what it withheld.
        """
        pooled, shown = self.pooled_evaluation, self.site_evaluation
        silent = sorted(self.evaluated_sites - {*shown})
        if pooled is None or len(silent) != 1 or not self.mode.coordinator_reads:
            return ""
        left = pooled - sum(shown.values(), np.zeros_like(pooled))
        return silent[0] if left.any() else ""

    def _released_tallies(self, found: Tallies | None) -> dict[str, Tally]:
        """Return the tallies that sites released, in the charter's order."""
        by_site = found.by_site if found else {}
        return {name: _tally_of(by_site[name]) for name in self.charter.names if name in by_site}

    def withheld_sentence(self, shown: Mapping[str, object]) -> str:
        """Return a sentence on which present sites released no figures of their own."""
        silent = [
            member.name
            for member in self.summary.sites
            if member.present and member.name not in shown
        ]
        if not silent:
            return ""
        who = name_list(silent) if len(silent) <= 6 else f"{len(silent)} {self.nouns}"
        return f"No figures of their own, because of their policy or too few records: {who}."


Line = TypeVar("Line", bound=_Line)


def _read_optional_record(path: Path, kind: type[Record]) -> Record | None:
    return read_record(path, kind) if path.exists() else None


def _tally_of(entries: Sequence[int]) -> Tally:
    return np.array(entries, np.int64)


def _pooled_tally(found: Tallies | None) -> Tally | None:
    return _tally_of(found.pooled) if found else None


def _read_lines(path: Path, kind: type[Line]) -> list[Line]:
    """Return the complete lines of a file; a run may have died while it wrote the last one."""
    if not path.exists():
        return []
    lines = path.read_text().rpartition("\n")[0].splitlines()
    try:
        return [kind.model_validate_json(line) for line in lines]
    except ValidationError as error:
        raise BadRunDirectory(f"{path} has an invalid line: {error}") from error
