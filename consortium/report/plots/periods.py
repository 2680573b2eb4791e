"""How something went over later periods: lines with levels to compare with, and intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, INK, LETTER, ORANGE, QUIET

_COLOURS = (BLUE, ORANGE, "#1a7f64", "#8250a8", "#7a5a00", GREY)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_MARKS = "osD^vP"
_MOST_NAMED = 8  # periods whose names fit along a wide axis
_NAME = 12  # letters of a period's name
_ROW = 20.0  # pixels of a row of the legend


@dataclass(frozen=True, kw_only=True)
class PeriodLine:
    """A quantity in each period.

    Args:
        name: Of the quantity.
        values: In each period; None where it is not known.
    """

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Mark:
    """A level to compare with, drawn as a dashed line: its label and its value."""

    name: str
    value: float


def draw_period_lines(
    periods: Sequence[str], lines: Sequence[PeriodLine], marks: Sequence[Mark], width: int
) -> Figure:
    """Draw quantities over periods, from 0 on, with a legend below.

    Args:
        periods: Names of the periods.
        lines: At most six.
        marks: Levels to compare with.
        width: Width in pixels.
    """
    narrow = width <= plots.NARROW
    rows = len(lines) if narrow else -(-len(lines) // 3)
    below = 62 + _ROW * rows
    figure = plots.empty_figure(width, 250 + below)
    axes = plots.add_axes(figure, left=52, right=16, top=30, bottom=below)
    plots.rule_axes(axes, across="period", up="stability index (PSI)")
    for place, line in enumerate(lines):
        known = [(at, value) for at, value in enumerate(line.values) if value is not None]
        axes.plot(
            [at for at, _ in known],
            [value for _, value in known],
            color=_COLOURS[place % len(_COLOURS)],
            linestyle=_DASHES[place % len(_DASHES)],
            marker=_MARKS[place % len(_MARKS)],
            markersize=5,
            label=line.name,
        )
    _draw_marks(axes, marks)
    axes.set_ylim(bottom=0)
    _name_periods(axes, periods, narrow=narrow)
    figure.legend(
        loc="lower left",
        ncols=1 if narrow else 3,
        frameon=False,
        fontsize=0.95 * LETTER,
        handlelength=3.2,
    )
    return figure


def draw_period_intervals(
    periods: Sequence[str],
    found: Sequence[tuple[float, float, float] | None],
    marks: Sequence[Mark],
    axis: str,
    width: int,
) -> Figure:
    """Draw a value with its interval in each period; without an interval both ends are the value.

    Args:
        periods: Names of the periods.
        found: Low end, value and high end in each period; None where it is not known.
        marks: Levels to compare with.
        axis: Label of the values.
        width: Width in pixels.
    """
    figure = plots.empty_figure(width, 260)
    axes = plots.add_axes(figure, left=52, right=16, top=30, bottom=56)
    plots.rule_axes(axes, across="period", up=axis)
    known = [(at, *one) for at, one in enumerate(found) if one is not None]
    if known:
        at, low, value, high = (list(part) for part in zip(*known, strict=True))
        axes.vlines(at, low, high, color=BLUE, linewidth=2.2, zorder=3)
        axes.plot(at, value, color=BLUE, linewidth=1.0, marker="o", markersize=6, zorder=4)
    _draw_marks(axes, marks)
    axes.margins(y=0.15)
    _name_periods(axes, periods, narrow=width <= plots.HALF)
    return figure


def _draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for mark in marks:
        axes.axhline(mark.value, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), alpha=0.6)
        axes.annotate(
            mark.name,
            (1.0, mark.value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            color=QUIET,
            size=0.9 * LETTER,
        )


def _name_periods(axes: Axes, periods: Sequence[str], *, narrow: bool) -> None:
    """Name the periods along the axis; of many, the last one and as many before it as fit."""
    step = -(-len(periods) // (3 if narrow else _MOST_NAMED))
    shown = range(len(periods) - 1, -1, -step)
    axes.set_xticks(list(shown), [plots.truncated_name(periods[at], _NAME) for at in shown])
    axes.set_xlim(-0.4, len(periods) - 0.6)
