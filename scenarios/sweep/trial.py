"""One trial: a run that is parked at a rung, and goes on from there if it is promoted."""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace

from consortium.config import Scalar
from consortium.coordinator.pausing import RunPaused
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from privacy.errors import ConsortiumError
from scenarios.engines.runner import RunParked, ScenarioRun, resume_run, run_scenario
from scenarios.sweep.records import Judged
from scenarios.sweep.shared_records import SHARED_RECORDS


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A trial of a sweep.

    Args:
        number: Its number, from 1.
        settings: The values that it tries.
        order: Its run, as it would be run to its end.
        run: The directory of its run.
    """

    number: int
    settings: Mapping[str, Scalar]
    order: ScenarioRun
    run: RunDirectory


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What came of a trial at a rung.

    Args:
        number: Number of the trial.
        value: The figure of its model; None if it has none.
        failed: Why it has none.
        course: The figures after each round that was judged so far.
        model_digest: Of its model, if the run is finished.
    """

    number: int
    value: float | None = None
    failed: str = ""
    course: tuple[Judged, ...] = ()
    model_digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Rise:
    """A trial on its way to a rung.

    Args:
        trial: The trial.
        rounds: Rounds of training behind the model that is judged there.
        ends: Whether that is the end of its run.
    """

    trial: Trial
    rounds: int
    ends: bool


def rise(way: Rise) -> Reached:
    """Take a trial to a rung: start its run, let it go on, or find that it is there already.

    Guarantee: a run that goes on gives the model of a run that was never parked. Whatever goes
    wrong in the run of a trial is what came of that trial, and is not raised.
    """
    trial = way.trial
    if not _is_there(way):
        try:
            with SHARED_RECORDS.in_use():
                _go_on(way)
        except ConsortiumError as error:
            return _ended(trial, str(error))
        except Exception as error:  # noqa: BLE001 -- one trial never ends the sweep
            # By its class only: its text may quote a record.
            return _ended(trial, f"unforeseen: {type(error).__name__}")
    return _standing(way)


def _is_there(way: Rise) -> bool:
    run = way.trial.run
    if run.summary.exists():
        summary = read_record(run.summary, Summary)
        if summary.status == "finished" or not _is_paused(summary):
            return True
    return not way.ends and way.rounds in _course(way.trial)


def _go_on(way: Rise) -> None:
    run = way.trial.run
    order = replace(way.trial.order, pause_after=None if way.ends else way.rounds)
    try:
        if run.run_config.exists():
            resume_run(order, run)
            return
        # What died while it was staged has trained nothing.
        shutil.rmtree(run.path, ignore_errors=True)
        run.path.mkdir(parents=True)
        run_scenario(order, run)
    except RunParked:
        if not _is_paused(read_record(run.summary, Summary)):
            raise


def _standing(way: Rise) -> Reached:
    """Return what the files of a run say of where it stands."""
    trial, course = way.trial, _course(way.trial)
    summary = read_record(trial.run.summary, Summary) if trial.run.summary.exists() else None
    if summary and summary.status != "finished" and not _is_paused(summary):
        return _ended(trial, summary.error)
    if way.rounds not in course:
        why = summary.withheld if summary else ""
        return _ended(trial, why or "it has no figure, or none that is a number")
    return Reached(
        number=trial.number,
        value=course[way.rounds],
        course=_judged(course),
        model_digest=summary.model_digest if summary and way.ends else "",
    )


def _ended(trial: Trial, why: str) -> Reached:
    return Reached(number=trial.number, failed=why, course=_judged(_course(trial)))


def _is_paused(summary: Summary) -> bool:
    return summary.status == "parked" and summary.error.startswith(f"{RunPaused.code}:")


def _judged(course: Mapping[int, float]) -> tuple[Judged, ...]:
    return tuple(Judged(rounds=rounds, value=value) for rounds, value in sorted(course.items()))


def _course(trial: Trial) -> dict[int, float]:
    """Return the figures that were told so far, by the rounds of training behind them."""
    run, metric = trial.run, trial.order.scenario.headline.name
    found: dict[int, float] = {}
    if not run.metrics.exists():
        return found
    for text in run.metrics.read_text().splitlines():
        line = json.loads(text)
        value = line["metrics"].get(metric, {}).get("value")
        # An exchange judges the model that it brings to the sites.
        if value is not None and math.isfinite(value):
            found[line["server_round"] - 1] = value
    return found
