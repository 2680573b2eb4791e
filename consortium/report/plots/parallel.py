"""Parallel coordinates: what each trial of a sweep tried, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, LETTER, QUIET, RULE

_BETWEEN = 74  # pixels between axes that lie below each other
_HEIGHT = 340
_MOST_LETTERS = 24


@dataclass(frozen=True, kw_only=True)
class Coordinate:
    """One axis, and where each trial is on it.

    Args:
        name: What it shows.
        places: From 0 to 1, one a trial; None where a trial has none.
        ticks: Places with their labels.
    """

    name: str
    places: tuple[float | None, ...]
    ticks: tuple[tuple[float, str], ...]


def draw_parallel(coordinates: Sequence[Coordinate], best: int, width: int) -> Figure:
    """Draw one line a trial through all axes, the best one last and thick.

    Args:
        coordinates: The axes.
        best: Place of the best trial among the trials.
        width: In pixels. On a narrow page the axes lie below each other.
    """
    lying = width <= plots.NARROW
    height = _BETWEEN * len(coordinates) + 20 if lying else _HEIGHT
    figure = plots.empty_figure(width, height)
    sides = (26.0, 26.0) if lying else (70.0, 70.0)
    axes = plots.add_axes(figure, left=sides[0], right=sides[1], top=34, bottom=30)
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    last = max(len(coordinates) - 1, 1)
    for index, one in enumerate(coordinates):
        _draw_axis(axes, one, index / last, lying=lying)
    for trial in range(len(coordinates[0].places)):
        if trial != best:
            _draw_trial(axes, coordinates, trial, lying=lying, is_best=False)
    _draw_trial(axes, coordinates, best, lying=lying, is_best=True)
    return figure


def _point(across: float, along: float, *, lying: bool) -> tuple[float, float]:
    """Return where on the page a place on an axis is: axes stand side by side, or lie."""
    return (along, 1 - across) if lying else (across, along)


def _draw_axis(axes: Axes, shown: Coordinate, across: float, *, lying: bool) -> None:
    ends = [_point(across, along, lying=lying) for along in (0.0, 1.0)]
    axes.plot(*zip(*ends, strict=True), color=RULE, linewidth=1.2, zorder=1)
    name = plots.truncated_name(shown.name, _MOST_LETTERS)
    above = (0, 14)
    at = (0.0, 1 - across) if lying else (across, 1.0)
    axes.annotate(
        name,
        at,
        above,
        textcoords="offset pixels",
        ha="left" if lying else "center",
        color=QUIET,
        size=LETTER,
        annotation_clip=False,
    )
    for place, label in shown.ticks:
        axes.annotate(
            plots.truncated_name(label, 14),
            _point(across, place, lying=lying),
            (0, -14) if lying else (8, 0),
            textcoords="offset pixels",
            ha=_beside(place) if lying else "left",
            va="center",
            color=QUIET,
            size=0.85 * LETTER,
            annotation_clip=False,
        )


def _beside(place: float) -> str:
    """Return how a label is aligned that must not leave a narrow page."""
    return "left" if place < 0.15 else "right" if place > 0.85 else "center"


def _draw_trial(
    axes: Axes, coordinates: Sequence[Coordinate], trial: int, *, lying: bool, is_best: bool
) -> None:
    last = max(len(coordinates) - 1, 1)
    points = [
        _point(index / last, place, lying=lying)
        for index, one in enumerate(coordinates)
        if (place := one.places[trial]) is not None
    ]
    axes.plot(
        *zip(*points, strict=True),
        color=BLUE if is_best else GREY,
        linewidth=2.6 if is_best else 1.0,
        alpha=1.0 if is_best else 0.6,
        zorder=3 if is_best else 2,
        marker="o",
        markersize=4,
        clip_on=False,
    )
