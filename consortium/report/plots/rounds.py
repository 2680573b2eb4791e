"""Plot a metric over the rounds, with levels to compare it with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, COLOURS, GREY, LETTER, Role

_APART = 19.0  # pixels between two labels
_RIGHT = 196.0
_TOO_FLAT = 3.0


@dataclass(frozen=True, kw_only=True)
class Level:
    """A value to compare with, drawn as a dashed line.

    Args:
        name: Its label.
        value: The value.
        role: Whether it is of one site, or of all records in one place.
    """

    name: str
    value: float
    role: Role


@dataclass(frozen=True, kw_only=True)
class Course:
    """A metric over the rounds.

    Args:
        rounds: The number of completed rounds at each point.
        values: The metric at each point.
        errors: The error bound of each value.
        name: The label of the last point.
        sites: The same metric of single sites, as points, where released.
        levels: The levels to compare it with.
    """

    rounds: Sequence[int]
    values: Sequence[float]
    errors: Sequence[float]
    name: str
    sites: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    levels: Sequence[Level] = ()

    @property
    def value_limits(self) -> tuple[float, float] | None:
        """Ends of the vertical axis, if it must leave out the value before training.

        It does when that value would squeeze all later ones into a small part of the axis.
        """
        drawn = [*zip(self.rounds, self.values, strict=True), *chain(*self.sites.values())]
        levels = [level.value for level in self.levels]
        later = [value for server_round, value in drawn if server_round > 0] + levels
        everything = [value for _, value in drawn] + levels
        if len(self.rounds) < 3 or _value_range(everything) <= _TOO_FLAT * _value_range(later):
            return None
        room = 0.06 * _value_range(later)
        return min(later) - room, max(later) + room


def draw_course(course: Course, axis: str, width: int) -> Figure:
    """Draw a metric over the rounds, and the levels to compare it with."""
    narrow = width <= plots.NARROW
    labels = 1 + len(course.levels)
    below = 46.0 + (_APART * labels if narrow else 0.0)
    figure = plots.empty_figure(width, 280 + below if narrow else 360)
    axes = plots.add_axes(figure, left=58, right=14 if narrow else _RIGHT, top=30, bottom=below)
    plots.rule_axes(axes, across="rounds completed", up=axis)
    for points in course.sites.values():
        axes.plot(*zip(*points, strict=True), color=GREY, linewidth=0.9, alpha=0.5, zorder=1)
    pairs = list(zip(course.values, course.errors, strict=True))
    low, high = [v - e for v, e in pairs], [v + e for v, e in pairs]
    axes.fill_between(course.rounds, low, high, color=BLUE, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(course.rounds, course.values, color=BLUE, linewidth=2.4, zorder=4)
    axes.plot(course.rounds[-1], course.values[-1], "o", color=BLUE, markersize=6, zorder=5)
    for level in course.levels:
        axes.axhline(level.value, color=COLOURS[level.role], linewidth=1.3, ls="--", zorder=3)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if narrow else 10))
    plots.group_thousands(axes.yaxis)
    if course.value_limits is not None:
        axes.set_ylim(*course.value_limits)
    _label_lines(figure, axes, course, narrow=narrow)
    return figure


def _label_lines(figure: Figure, axes: Axes, course: Course, *, narrow: bool) -> None:
    """Label the lines: beside their ends, or below the axes on a narrow page."""
    named = [(level.value, level.name, COLOURS[level.role]) for level in course.levels]
    named = sorted([*named, (course.values[-1], course.name, BLUE)], reverse=True)
    height = 96 * figure.get_figheight()
    if narrow:
        for place, (_, name, colour) in enumerate(named):
            up = (len(named) - place - 0.45) * _APART / height
            line = "\N{EM DASH} " if colour == BLUE else "- - "
            figure.text(0.02, up, line + name, color=colour, va="center", size=0.95 * LETTER)
        return
    low, high = axes.get_ylim()
    inner = height - 30 - 46
    heights = spread_labels([(value - low) / (high - low) * inner for value, _, _ in named], _APART)
    for rise, (_, name, colour) in zip(heights, named, strict=True):
        axes.text(
            1.015,
            rise / inner,
            name,
            transform=axes.transAxes,
            color=colour,
            va="center",
            weight="bold" if colour == BLUE else "normal",
            size=0.95 * LETTER,
        )


def _value_range(values: Sequence[float]) -> float:
    return max(values) - min(values)


def spread_labels(places: Sequence[float], apart: float) -> list[float]:
    """Return label positions moved just enough to be `apart` from each other, highest first.

    Guarantee: the order is kept, a label that is far enough from the others stays in place, and a
    group of labels that are too close keeps its mean.
    """
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while (
            len(groups) > 1
            and _lowest_place(groups[-2], apart) - _highest_place(groups[-1], apart) < apart
        ):
            last = groups.pop()
            groups[-1].extend(last)
    return [
        _highest_place(group, apart) - apart * index
        for group in groups
        for index in range(len(group))
    ]


def _highest_place(group: Sequence[float], apart: float) -> float:
    return sum(group) / len(group) + apart * (len(group) - 1) / 2


def _lowest_place(group: Sequence[float], apart: float) -> float:
    return sum(group) / len(group) - apart * (len(group) - 1) / 2
