"""Run directories as runs leave them, from synthetic records; written by the real recorder."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consortium.charter.document import Charter, Member
from consortium.config import DEFAULTS, RunConfig
from consortium.coordinator.recorder import Recorder
from consortium.model.files import write_model
from consortium.protocol.round_counts import FEWEST_SITES_FOR_PAIRS
from consortium.run.directory import RunDirectory
from consortium.run.records import Arm, Comparison, Difference, Saturation, Summary, write_record
from consortium.site.directory import SiteConfig
from consortium.site.site import Site
from privacy.layout import Tally, Vector
from sites.data.source import TableFile
from sites.evaluation.contract import evaluation_for, pair_counts
from sites.evaluation.pairs import PairCounts
from sites.schema.tables import Category, ClassLabel, Number, NumberLabel, Schema
from sites.statistics.by_class import ClassHistograms
from sites.statistics.tables import TableStatistics
from strategies.coordinator.messaging.events import (
    RoundFinished,
    RoundStarted,
    SiteAnswered,
    SiteQuarantined,
    SitesJoined,
    StatisticsPooled,
)

FEATURES = (
    Number(name="age", low=18, high=110, unit="years"),
    Number(name="income_eur", low=0, high=250_000, unit="EUR", scale="log", missing=True),
    Category(name="housing", values=("own", "rent", "free")),
)
DEFAULT = ClassLabel(column="default", classes=("no", "yes"))
SEVERITY = ClassLabel(column="severity", classes=("none", "mild", "grave"), ordered=True)
PRICE = NumberLabel(column="sale_price", low=0, high=1_000_000, unit="US$")

BANKS = ("amber-bank", "birch-bank", "cedar-bank", "dune-bank")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is to be found in a run directory.

    Args:
        label: What is predicted.
        members: Names in the charter.
        absent: Members that never came.
        released: Members that release figures of their own; all of them if None.
        rounds: Rounds of training asked for.
        completed: Rounds that were completed; all of them if None.
        values: The comparison: the metric of each member alone, together and pooled; or none.
        margin: Half the width of the interval of every difference.
        quarantined: Answers that were not used.
        records: Training records at each site; a quarter as many are held out.
        cautious: Whether no score reaches one half.
        no_figures: Why nothing was evaluated; or nothing.
        saturated: Values beyond the scale by round, as the sites released it; or none.
        models_at: Members that hold the model.
        task: The use case of classes.
        uncounted: Whether nobody counted the pairs of records within sites.
    """

    label: ClassLabel | NumberLabel = DEFAULT
    members: tuple[str, ...] = BANKS
    absent: tuple[str, ...] = ()
    released: tuple[str, ...] | None = None
    rounds: int = 4
    completed: int | None = None
    values: Mapping[str, float] | None = None
    margin: float = 0.005
    quarantined: Sequence[SiteQuarantined] = ()
    records: int = 240
    cautious: bool = False
    no_figures: str = ""
    saturated: Mapping[int, int] = field(default_factory=dict)
    models_at: tuple[str, ...] = ()
    task: str = "credit"
    uncounted: bool = False
    error: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """What every column means."""
        return Schema(name="sample", person="borrower", features=FEATURES, label=self.label)

    @property
    def charter(self) -> Charter:
        """What the members agreed on."""
        return Charter(
            name="sample-consortium",
            task="house-prices" if isinstance(self.label, NumberLabel) else self.task,
            table=self.schema,
            members=tuple(Member(name=name) for name in self.members),
        )

    @property
    def present(self) -> tuple[str, ...]:
        """The members that came."""
        return tuple(name for name in self.members if name not in self.absent)

    @property
    def shown(self) -> tuple[str, ...]:
        """The members that release figures of their own."""
        return self.present if self.released is None else self.released

    def write(self, path: Path) -> RunDirectory:
        """Write the directory of such a run."""
        run = RunDirectory(path)
        path.mkdir(parents=True, exist_ok=True)
        self.charter.write(run.charter)
        recorder = Recorder(run, evaluation_for(self.schema), started="2026-03-02T09:30:00+00:00")
        reached = self.rounds if self.completed is None else self.completed
        self._play(recorder, reached)
        if self.error:
            code, _, text = self.error.partition(": ")
            recorder.record_failure(code, text)
        recorder.write_evaluation()
        shown = () if self.error else recorder.site_metrics()
        write_record(run.summary, self._summary(recorder, reached), site_metrics=shown)
        if self.values is not None:
            write_record(run.comparison, self._comparison(self.values))
        for name in self.models_at:
            site = self._site(run, name)
            site.directory.mkdir(parents=True)
            write_model(site, self._pooled(), _vector(site))
        return run

    def _site(self, run: RunDirectory, name: str) -> Site:
        return Site(
            directory=run.site(name),
            config=SiteConfig(name=name, source=TableFile(path=run.site(name) / "data.csv")),
            charter=self.charter,
            run_config=RunConfig.parse(self._config),
        )

    def _pooled(self) -> Tally:
        """What the sites counted of their training records; zeros if training is private."""
        counted = [_records(self, self.members.index(name)) for name in self.present]
        private = RunConfig.parse(self._config).privacy.offered is not None
        return np.zeros_like(counted[0]) if private else np.stack(counted).sum(axis=0)

    @property
    def _config(self) -> dict[str, Any]:
        return {**DEFAULTS, "num-server-rounds": self.rounds, **self.config}

    def _play(self, recorder: Recorder, reached: int) -> None:
        weights = {name: 2 ** (place % 4) for place, name in enumerate(self.present)}
        recorder(SitesJoined(sites=self.present, absent=self.absent, weights=weights, dim=6))
        for turned_away in self.quarantined:
            if turned_away.server_round == 0:
                recorder(turned_away)
        if not self.present:
            return
        counted = {name: _records(self, place) for place, name in enumerate(self.members)}
        recorder(RoundStarted(server_round=0, cohort=self.present))
        self._answer(recorder, 0, {name: counted[name] for name in self.present})
        pooled = sum(
            (counted[name] for name in self.present), np.zeros_like(counted[self.members[0]])
        )
        recorder(StatisticsPooled(pooled=pooled))
        last = reached if self.error else reached + 1
        for server_round in range(1, last + 1):
            self._play_round(recorder, server_round)

    def _play_round(self, recorder: Recorder, server_round: int) -> None:
        recorder(RoundStarted(server_round=server_round, cohort=self.present))
        out = [item for item in self.quarantined if item.server_round == server_round]
        for item in out:
            recorder(item)
        answered = [name for name in self.present if name not in {item.site for item in out}]
        tallies = {
            name: _predictions(self, self.members.index(name), server_round) for name in answered
        }
        asked = (server_round - 1) % self.config.get("evaluate-every", 1) == 0
        counted = asked or server_round > self.rounds
        self._answer(recorder, server_round, tallies, counted=counted)
        pooled = np.sum(list(tallies.values()), axis=0)
        recorder(
            RoundFinished(
                server_round=server_round,
                answered=tuple(answered),
                evaluation=pooled if counted else np.zeros_like(pooled),
                counted=counted,
                bytes_down=12_000 * len(answered),
                bytes_up=23_500 * len(answered),
                seconds=0.25,
                saturated=self.saturated.get(server_round),
                pairs=self._pairs(tallies.values()) if counted else None,
            )
        )

    def _pairs(self, tallies: Iterable[Tally]) -> Tally | None:
        """What the sites of an encrypted run sealed of their own pairs."""
        if self.config.get("aggregation") != "encrypted" or self.uncounted:
            return None
        if len(self.present) < FEWEST_SITES_FOR_PAIRS:
            return PairCounts().entries
        evaluation = evaluation_for(self.schema)
        return sum((pair_counts(evaluation, one) for one in tallies), PairCounts()).entries

    def _answer(
        self,
        recorder: Recorder,
        server_round: int,
        tallies: Mapping[str, Tally],
        *,
        counted: bool = True,
    ) -> None:
        for name, tally in tallies.items():
            shown = tally if counted and name in self.shown else None
            recorder(SiteAnswered(server_round=server_round, site=name, released=shown))

    def _summary(self, recorder: Recorder, reached: int) -> Summary:
        digest = hashlib.sha256(b"model").hexdigest() if reached else ""
        if self.models_at:
            site = self._site(recorder.run, self.models_at[0])
            digest = site.task.layout.digest_of(_vector(site))
        last = recorder.last_round if not self.error else None
        return Summary(
            name=self.charter.name,
            task=self.charter.task,
            status="failed" if self.error else "finished",
            error=self.error,
            started=recorder.started,
            seconds=3.25,
            seed=7,
            config=RunConfig.parse(self._config).flat(),
            versions={"python": "3.11.7", "consortium-fl": "0.1.0"},
            charter_fingerprint=self.charter.fingerprint,
            layout_digest=hashlib.sha256(b"layout").hexdigest(),
            dim=1793,
            model_digest=digest,
            rounds=reached,
            sites=recorder.site_summaries(self.members),
            evaluated=list(last.answered) if last else [],
            held_out=recorder.evaluation.num_examples(last.evaluation) if last else 0,
            withheld=self.no_figures,
            metrics=recorder.metrics_of(last) if last else {},
            quarantined=recorder.quarantined,
            bytes_down=recorder.bytes_down,
            bytes_up=recorder.bytes_up,
            saturation=Saturation.of(recorder.saturated, rounds=self.rounds),
            convergence=recorder.losses.convergence,
        )

    def _comparison(self, values: Mapping[str, float]) -> Comparison:
        together = values["federated"]
        width = 3 * self.margin
        names = {"federated": "Together (federated)", "pooled": "All records in one place"}
        arms = [
            Arm(
                name=names.get(name, f"{name} alone"),
                kind="federated"
                if name == "federated"
                else "pooled"
                if name == "pooled"
                else "alone",
                site="" if name in names else name,
                value=value,
                low=value - width,
                high=value + width,
                own_value=None if name in names else value + 0.5 * self.margin,
                federated_on_own=None if name in names else together,
            )
            for name, value in values.items()
        ]
        differences = [
            Difference(
                against=name,
                value=together - value,
                low=together - value - self.margin,
                high=together - value + self.margin,
            )
            for name, value in values.items()
            if name != "federated"
        ]
        number = isinstance(self.label, NumberLabel)
        return Comparison(
            metric="rmse" if number else "roc_auc" if self.label == DEFAULT else "macro_f1",
            metric_title="Root mean squared error" if number else "AUC",
            higher_is_better=not number,
            held_out=self.records,
            resamples=500,
            arms=arms,
            differences=differences,
            seconds=1.0,
        )


def _vector(site: Site) -> Vector:
    return np.linspace(-1.0, 1.0, site.task.layout.dim).astype(np.float32).astype(np.float64)


def _labels(sample: Sample, place: int, size: int, rng: np.random.Generator) -> NDArray[Any]:
    match sample.label:
        case ClassLabel(classes=classes):
            tilt = np.arange(len(classes), dtype=np.float64) * (0.2 * place - 0.6)
            shares = np.exp(tilt) / np.exp(tilt).sum()
            return rng.choice(len(classes), size, p=shares)
        case NumberLabel():
            return np.clip(rng.lognormal(12 + 0.1 * place, 0.4, size), 1_000, 990_000)


def _records(sample: Sample, place: int) -> Tally:
    """The statistics of a site: the higher its place, the older and poorer its people."""
    rng = np.random.default_rng([11, place])
    income = rng.lognormal(10.5 - 0.2 * place, 0.5, sample.records).clip(0, 250_000)
    income[rng.random(sample.records) < 0.1] = np.nan
    columns = {
        "age": rng.normal(40 + 5 * place, 10, sample.records).clip(18, 110),
        "income_eur": income,
        "housing": rng.choice(3, sample.records, p=(0.5, 0.3, 0.2)),
    }
    labels = _labels(sample, place, sample.records, rng)
    counted = TableStatistics(sample.schema).tally(columns, labels, persons=sample.records)
    # As a run that begins now counts: by class as well, where labels are classes.
    by_class = ClassHistograms(sample.schema).tally(columns, labels)
    return np.concatenate([counted, by_class])


def _predictions(sample: Sample, place: int, server_round: int) -> Tally:
    """The held-out counts of a site: predictions that improve from round to round."""
    rng = np.random.default_rng([13, place])
    size = sample.records // 4
    labels = _labels(sample, place, size, rng)
    skill = 0.72 * (1 - 0.5 ** (server_round - 1))
    match sample.label:
        case ClassLabel(classes=classes):
            scores = rng.normal(0, 1, (size, len(classes)))
            scores[np.arange(size), labels] += skill
            shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            predictions = shares[:, 1] if sample.label.binary else shares
            predictions = predictions * (0.49 if sample.cautious else 1.0)
        case NumberLabel():
            predictions = labels * rng.normal(1, 0.5 - 0.5 * skill, size)
    tally = evaluation_for(sample.schema).tally(predictions, labels)
    return np.zeros_like(tally) if sample.no_figures else tally


CLEAR_WIN: Mapping[str, float] = {
    "federated": 0.7482,
    "amber-bank": 0.7311,
    "birch-bank": 0.7202,
    "cedar-bank": 0.7015,
    "dune-bank": 0.7107,
    "pooled": 0.7561,
}
