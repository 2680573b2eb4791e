"""Search a run config: many trials, of which the best go on, and one is released."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consortium.config import BadConfig, RunConfig, Scalar
from consortium.run.records import read_record, write_record
from privacy.errors import ConsortiumError, number_of
from scenarios.engines.runner import ScenarioRun
from scenarios.engines.staging import DirectoryInUse
from scenarios.sweep.best_file import write_tuned_file
from scenarios.sweep.budget import PaidSweep, paid_sweep
from scenarios.sweep.crew import Crew, crew_of
from scenarios.sweep.order import SweepOrder
from scenarios.sweep.records import (
    Judged,
    SweepDirectory,
    SweepPlan,
    SweepRecord,
    TrialRecord,
)
from scenarios.sweep.search.proposals import Proposals
from scenarios.sweep.search.schedule import Rung, promoted
from scenarios.sweep.trial import Reached, Rise, Trial


class NoTrialLeft(ConsortiumError, RuntimeError, code="no-trial-left"):
    """No trial of a sweep has a figure."""


def run_sweep(
    order: SweepOrder, directory: SweepDirectory, *, tell: Callable[[str], None], workers: int
) -> SweepRecord:
    """Run a sweep, or go on with one that was interrupted; return what came of it.

    Guarantee: the same order gives the same result, whatever the number of workers and however
    often it was interrupted; a trial goes on at the round in which it was interrupted. Of the
    models only the winner's is kept.

    Args:
        order: What to search.
        directory: Where it is kept: empty, or that of the same sweep.
        tell: Called with a line about each rung.
        workers: Trials at work side by side, in processes of their own; 0 for this process.

    Raises:
        DirectoryInUse: The directory holds something else.
        BadSearch, BadSchedule, NotTunable: It cannot be searched so.
        NoTrialLeft: No trial has a figure.
        SweepTooDear: Its runs are private, and a site's ledger refuses them all together.
        MissingLibrary: Optuna is not installed.
    """
    plan = keep_plan(order.plan, directory)
    if directory.result.exists():
        record = read_record(directory.result, SweepRecord)
    else:
        with (
            crew_of(workers, order.scenario.task) as crew,
            paid_sweep(order, _rungs(plan), directory.paid) as paid,
        ):
            record = _Sweep(order, plan, directory, crew, tell, paid).search()
            if paid:
                paid.end(order.rounds_after)
        write_record(directory.result, record)
    _write_best(record, directory)
    _let_go_losers(record, directory)
    return record


def _rungs(plan: SweepPlan) -> tuple[Rung, ...]:
    return tuple(Rung(one.trials, one.rounds) for one in plan.rungs)


def search_with(order: SweepOrder, crew: Crew) -> SweepRecord:
    """Search with a crew of one's own, whose trials leave nothing behind.

    Raises:
        BadSearch, BadSchedule, NotTunable: It cannot be searched so.
        NoTrialLeft: No trial has a figure.
    """
    nowhere = SweepDirectory(Path(os.devnull))
    return _Sweep(order, order.plan, nowhere, crew, lambda _line: None, None).search()


def keep_plan(plan: SweepPlan, directory: SweepDirectory) -> SweepPlan:
    """Write what is asked for into an empty directory, or check that it is what is there.

    Raises:
        DirectoryInUse: The directory holds something else.
    """
    if directory.plan.exists():
        kept = read_record(directory.plan, SweepPlan)
        if kept != plan:
            raise DirectoryInUse(
                f"{directory.path} holds a sweep that was asked for otherwise: ask for the same "
                "again to go on with it, or name another directory"
            )
        return kept
    if directory.path.exists() and any(directory.path.iterdir()):
        raise DirectoryInUse(f"{directory.path} is not empty: name another directory")
    directory.path.mkdir(parents=True, exist_ok=True)
    write_record(directory.plan, plan)
    return plan


@dataclass
class _Sweep:
    """A sweep at work."""

    order: SweepOrder
    plan: SweepPlan
    directory: SweepDirectory
    crew: Crew
    tell: Callable[[str], None]
    paid: PaidSweep | None
    records: dict[int, TrialRecord] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)
    digests: dict[int, str] = field(default_factory=dict)

    def search(self) -> SweepRecord:
        """Draw the trials, take them from rung to rung, and return what came of each."""
        rungs = _rungs(self.plan)
        figures = self._first_rung(rungs[0], ends=len(rungs) == 1)
        for place, rung in enumerate(rungs[1:], start=2):
            waiting, figures = figures, {}
            # If all that went on fail, the next best ones do, unless the steps are counted.
            while waiting and not figures:
                on = promoted(waiting, rung.trials, higher_is_better=self.plan.higher_is_better)
                waiting = {one: value for one, value in waiting.items() if one not in on}
                figures = self._risen(on, rung, ends=place == len(rungs))
                if self.paid:
                    break
            self._tell_rung(place, rung, figures)
        (winner,) = promoted(figures, 1, higher_is_better=self.plan.higher_is_better)
        return SweepRecord(
            plan=self.plan,
            trials=self._ranked(),
            winner=winner,
            model_digest=self.digests[winner],
            prices=self.paid.prices if self.paid else (),
            noise=dict(self.paid.noise) if self.paid else {},
        )

    def _first_rung(self, rung: Rung, *, ends: bool) -> dict[int, float]:
        """Draw all trials, half of them before the others are judged; return their figures."""
        first = (rung.trials + 1) // 2
        proposals = Proposals(
            self.order.searches,
            seed=self.plan.seed,
            first=first,
            higher_is_better=self.plan.higher_is_better,
        )
        drawn = [self._drawn(one) for one in proposals.ask(first)]
        figures = self._risen(drawn, rung, ends=ends)
        proposals.tell(figures, first)
        drawn = [self._drawn(one) for one in proposals.ask(rung.trials - first)]
        figures |= self._risen(drawn, rung, ends=ends)
        self._tell_rung(1, rung, figures)
        return figures

    def _drawn(self, settings: Mapping[str, Scalar]) -> int:
        """Enter a further trial; return its number."""
        number, order = len(self.records) + 1, self.order
        record = TrialRecord(number=number, settings=dict(settings))
        try:
            alike = self.paid.config if self.paid else order.config
            config = RunConfig.parse({**alike.flat(), **settings})
        except BadConfig as error:  # two values that contradict each other
            self.records[number] = record.model_copy(update={"failed": str(error)})
            return number
        self.records[number] = record
        self.trials[number] = Trial(
            number=number,
            settings=settings,
            order=ScenarioRun(
                scenario=order.scenario,
                config=config,
                own_data=order.own_data,
                lies=order.lies,
                on_staged=order.on_staged,
            ),
            run=self.directory.trial(number),
        )
        return number

    def _risen(self, numbers: Sequence[int], rung: Rung, *, ends: bool) -> dict[int, float]:
        """Take trials to a rung; return the figures of those that have one there."""
        ways = [
            Rise(trial=self.trials[number], rounds=rung.rounds, ends=ends)
            for number in numbers
            if number in self.trials
        ]
        if self.paid:  # before anything is learnt
            for number in (one.trial.number for one in ways):
                there = self.records[number].rungs
                before = there[-1].rounds if there else 0
                self.paid.begin(number, rung.rounds, before=before)
        figures = {}
        for reached in self.crew.all_risen(ways):
            self._note(reached, rung)
            if reached.value is not None:
                figures[reached.number] = reached.value
        return figures

    def _note(self, reached: Reached, rung: Rung) -> None:
        before = self.records[reached.number]
        there = () if reached.value is None else (Judged(rounds=rung.rounds, value=reached.value),)
        self.records[reached.number] = before.model_copy(
            update={
                "course": reached.course,
                "rungs": before.rungs + there,
                "failed": reached.failed,
            }
        )
        self.digests[reached.number] = reached.model_digest

    def _tell_rung(self, place: int, rung: Rung, figures: Mapping[int, float]) -> None:
        best = promoted(figures, 1, higher_is_better=self.plan.higher_is_better)
        if not best:
            why = next((one.failed for one in self.records.values() if one.failed), "")
            raise NoTrialLeft(f"no trial has a figure after {rung.rounds} rounds, such as: {why}")
        self.tell(
            f"rung {place} of {len(self.plan.rungs)}, {number_of(rung.rounds, 'round')}: "
            f"{number_of(len(figures), 'trial')}, best {self.plan.metric_title} "
            f"{figures[best[0]]:.4f} (trial {best[0]})"
        )

    def _ranked(self) -> tuple[TrialRecord, ...]:
        """Return all trials: those that came furthest first, and of these the best."""
        sign = -1.0 if self.plan.higher_is_better else 1.0

        def rank(one: TrialRecord) -> tuple[bool, int, float, int]:
            last = one.rungs[-1] if one.rungs else Judged(rounds=0, value=0.0)
            return (bool(one.failed), -last.rounds, sign * last.value, one.number)

        return tuple(sorted(self.records.values(), key=rank))


def _write_best(record: SweepRecord, directory: SweepDirectory) -> None:
    plan, best = record.plan, record.best
    write_tuned_file(
        directory.best,
        scenario=plan.scenario,
        settings={**plan.chosen, **record.noise, **best.settings},
        said=f"the best of {number_of(len(record.trials), 'trial')}: "
        f"{plan.metric_title} {best.rungs[-1].value:.4f}, on the records that chose it",
    )


def _let_go_losers(record: SweepRecord, directory: SweepDirectory) -> None:
    """Delete what only a run that goes on needs; a trial's figures and its logs stay."""
    for trial in record.trials:
        run = directory.trial(trial.number)
        if trial.number != record.winner:
            for folder in (run.path / "sites", run.model, run.vault):
                shutil.rmtree(folder, ignore_errors=True)
            run.checkpoint.unlink(missing_ok=True)
