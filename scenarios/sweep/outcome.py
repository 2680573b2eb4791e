"""What came of a sweep, as people read it: lines of a table, and a page with two pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consortium.config import Scalar
from consortium.report.elements.blocks import Plot
from consortium.report.plots import style as plots
from consortium.report.plots.parallel import Coordinate, draw_parallel
from consortium.report.plots.trials import draw_trials
from consortium.wording.pages import render_page
from privacy.storage.durable_files import write_atomically
from scenarios.sweep.records import SweepRecord, TrialRecord
from scenarios.sweep.search.space import Search, parse_search


@dataclass(frozen=True)
class OutcomeLine:
    """A trial as a line of a table.

    Args:
        number: Number of the trial.
        values: The values that it tried, in the order of the searches.
        rounds: Rounds of training behind its last figure.
        figure: That figure.
        remark: That it is the best, or why it failed.
    """

    number: int
    values: tuple[str, ...]
    rounds: int
    figure: str
    remark: str


def outcome_lines(record: SweepRecord) -> tuple[OutcomeLine, ...]:
    """Return the lines of the table, the best trial first."""
    return tuple(_line(record, one) for one in record.trials)


def write_sweep_page(record: SweepRecord, path: Path, *, made_up: str = "") -> None:
    """Write the page of a sweep, which refers to no other file.

    Args:
        record: What came of the sweep.
        path: Of the page.
        made_up: Whose records are SYNTHETIC, in a sentence; "" if nobody's are.
    """
    keys = _keys(record)
    page = render_page(
        "sweep.html.j2",
        record=record,
        made_up=made_up,
        keys=keys,
        best=[(key, shown_value(record.best.settings[key])) for key in keys],
        lines=outcome_lines(record),
        plots=_pictures(record),
    )
    write_atomically(path, page)


def shown_value(value: Scalar) -> str:
    """Return a value as people read it; a number with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _keys(record: SweepRecord) -> list[str]:
    return [parse_search(one).key for one in record.plan.searches]


def _line(record: SweepRecord, trial: TrialRecord) -> OutcomeLine:
    last = trial.rungs[-1] if trial.rungs else None
    return OutcomeLine(
        number=trial.number,
        values=tuple(shown_value(trial.settings[key]) for key in _keys(record)),
        rounds=last.rounds if last else 0,
        figure=f"{last.value:.4f}" if last else "none",
        remark="the best" if trial.number == record.winner else trial.failed,
    )


def _pictures(record: SweepRecord) -> tuple[Plot, Plot]:
    plan = record.plan
    judged = [one for one in record.trials if one.rungs]
    best = next(place for place, one in enumerate(judged) if one.number == record.winner)
    searches = [parse_search(one) for one in plan.searches]
    coordinates = [_coordinate(one, judged) for one in searches]
    coordinates.append(_figure_coordinate(plan.metric_title, judged))
    courses = [[(one.rounds, one.value) for one in trial.course] for trial in judged]
    parked = [one.rounds for one in plan.rungs[:-1]]
    return (
        plots.full_width_plot(
            "parallel",
            partial(draw_parallel, coordinates, best),
            title="What was tried",
            alt=f"one line for each of {len(judged)} trials through the values that it tried, and "
            f"its last {plan.metric_title}",
            caption=f"Each line is a trial; the last axis is its last {plan.metric_title}, which "
            "is after fewer rounds for a trial that did not go on. The best one is thick.",
        ),
        plots.full_width_plot(
            "trials",
            partial(draw_trials, courses, best, plan.metric_title, parked),
            title="How the trials learned",
            alt=f"{plan.metric_title} over the rounds, one line for each of {len(judged)} trials",
            caption="A dashed line is a rung, at which the best trials went on. A line ends where "
            "its trial was left.",
        ),
    )


def _coordinate(search: Search, trials: Sequence[TrialRecord]) -> Coordinate:
    """Return the axis of a key, with the bounds or the choices as its ticks."""
    values = [one.settings[search.key] for one in trials]
    if search.form == "choice":
        apart = max(len(search.values) - 1, 1)
        at = {value: place / apart for place, value in enumerate(search.values)}
        ticks = tuple((place, shown_value(value)) for value, place in at.items())
        return Coordinate(name=search.key, places=tuple(at[one] for one in values), ticks=ticks)
    low, high = (float(one) for one in search.values)
    log = search.form == "log"
    places = tuple(_place(float(one), low, high, log=log) for one in values)
    ends = tuple((float(end), shown_value(one)) for end, one in enumerate(search.values))
    return Coordinate(name=search.key, places=places, ticks=ends)


def _figure_coordinate(title: str, trials: Sequence[TrialRecord]) -> Coordinate:
    figures = [one.rungs[-1].value for one in trials]
    low, high = min(figures), max(figures)
    places = tuple(_place(one, low, high, log=False) for one in figures)
    ticks = ((0.0, f"{low:.4g}"), (1.0, f"{high:.4g}")) if low < high else ((0.5, f"{low:.4g}"),)
    return Coordinate(name=title, places=places, ticks=ticks)


def _place(value: float, low: float, high: float, *, log: bool) -> float:
    if low == high:
        return 0.5
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)
