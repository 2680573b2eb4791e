"""Survival curves with their limits, and under them how many were still watched."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, INK, LETTER, ORANGE, QUIET

_COLOURS = (BLUE, ORANGE, GREY, "#1a7f64", "#8250a8", "#7a5a00")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_ROW = 21.0  # pixels of a row of numbers at risk
_HEIGHT = 330.0
_LEFT, _RIGHT, _TOP, _AXIS = 60.0, 22.0, 28.0, 46.0


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A share over time: it is 1 at time 0, and falls at the times.

    Args:
        name: Of its group; empty if there is one curve.
        times: When it falls.
        values: The share from each time on.
        low: Lower limits.
        high: Upper limits.
        at_risk: How many were still watched at each tick; None where that is hidden.
    """

    name: str
    times: Sequence[float]
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    at_risk: Sequence[int | None]


def draw_survival(
    curves: Sequence[Curve], ticks: Sequence[float], axis: tuple[str, str], width: int
) -> Figure:
    """Draw curves in steps, and a row of numbers at risk for each under the axis.

    Args:
        curves: At least one.
        ticks: Times at which numbers are told; on a narrow page every second one.
        axis: Labels: of the time, and of the share.
        width: Width in pixels.
    """
    step = 2 if width <= plots.NARROW else 1
    height = _HEIGHT + _ROW * (len(curves) + 1)
    figure = plots.empty_figure(width, height)
    under = _AXIS + _ROW * (len(curves) + 1)
    axes = plots.add_axes(figure, left=_LEFT, right=_RIGHT, top=_TOP, bottom=under)
    plots.rule_axes(axes, across=axis[0], up=axis[1])
    for place, curve in enumerate(curves):
        _draw_curve(axes, curve, place)
    axes.set(xlim=(0, max(ticks)), ylim=(0, 1.01), xticks=list(ticks[::step]))
    plots.group_thousands(axes.xaxis)
    if len(curves) > 1:
        axes.legend(loc="upper right", frameon=False, fontsize=0.9 * LETTER, handlelength=2.4)
    _write_numbers(axes, curves, ticks[::step], step=step)
    return figure


def _draw_curve(axes: Axes, curve: Curve, place: int) -> None:
    times = [0.0, *curve.times]
    colour = _COLOURS[place % len(_COLOURS)]
    axes.fill_between(
        times, [1.0, *curve.low], [1.0, *curve.high], step="post", color=colour, alpha=0.14, lw=0
    )
    axes.step(
        times,
        [1.0, *curve.values],
        where="post",
        color=colour,
        linestyle=_DASHES[place % len(_DASHES)],
        linewidth=2.2,
        label=curve.name,
    )


def _write_numbers(
    axes: Axes, curves: Sequence[Curve], ticks: Sequence[float], *, step: int
) -> None:
    across = axes.get_xaxis_transform()
    inner = _HEIGHT - _TOP - _AXIS  # pixels of the axes, whose height is the unit here

    def height(row: int) -> float:
        return -(_AXIS + _ROW * (row + 0.5)) / inner

    axes.text(0, height(0), "still watched", transform=across, color=QUIET, va="center")
    for place, curve in enumerate(curves):
        colour = _COLOURS[place % len(_COLOURS)] if len(curves) > 1 else INK
        for tick, number in zip(ticks, curve.at_risk[::step], strict=True):
            axes.text(
                tick,
                height(place + 1),
                "few" if number is None else f"{number:,}",
                transform=across,
                color=colour,
                ha="left" if tick == 0 else "center",
                va="center",
                size=0.95 * LETTER,
            )
