"""Plots of a score card: the points of a feature's bins, and how totals part the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, INK, LETTER, ORANGE, QUIET

_STEP, _AXIS = 24.0, 44.0  # pixels
_LEFT, _RIGHT = 150.0, 44.0
_LONGEST = 22  # letters of a bin's name


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The points of a bin.

    Args:
        label: Which values it holds.
        points: Its points.
        text: They in words.
    """

    label: str
    points: int
    text: str


def draw_points(bars: Sequence[Bar], reach: int, width: int) -> Figure:
    """Draw the points of a feature's bins, from the top down, as a curve of steps.

    Args:
        bars: The bins in their order.
        reach: Points to both sides of 0 that are drawn, the same for all features.
        width: Width in pixels.
    """
    figure = plots.empty_figure(width, len(bars) * _STEP + _AXIS)
    axes = plots.add_axes(figure, left=_LEFT, right=_RIGHT, top=2, bottom=_AXIS)
    plots.strip_axes(axes)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, bar in enumerate(bars):
        colour = ORANGE if bar.points < 0 else BLUE
        axes.barh(place, bar.points, height=0.66, color=colour, alpha=0.8, linewidth=0)
        axes.text(
            -0.03,
            place,
            plots.truncated_name(bar.label, _LONGEST),
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            color=INK,
            size=0.92 * LETTER,
        )
        axes.text(
            1.02,
            place,
            bar.text,
            transform=axes.get_yaxis_transform(),
            va="center",
            color=QUIET,
            size=0.92 * LETTER,
        )
    axes.set(xlim=(-reach, reach), ylim=(len(bars) - 0.4, -0.6))
    axes.set_xlabel("points")
    axes.locator_params(axis="x", nbins=5)
    plots.group_thousands(axes.xaxis)
    return figure


@dataclass(frozen=True, kw_only=True)
class Parting:
    """How totals part two classes: the share of each with at most so many points.

    Args:
        points: Totals, ascending.
        shares: Of the first class, and of the second, at each total.
        names: Of the classes.
        widest: The total at which the shares differ most.
    """

    points: Sequence[float]
    shares: tuple[Sequence[float], Sequence[float]]
    names: tuple[str, str]
    widest: int


def draw_parting(found: Parting, width: int) -> Figure:
    """Draw both shares by total, and the widest gap between them."""
    figure = plots.empty_figure(width, 300)
    axes = plots.add_axes(figure, left=52, right=16, top=28, bottom=46)
    plots.rule_axes(axes, across="points", up="share with at most so many points")
    styles = ((BLUE, "-"), (ORANGE, "--"))
    for share, name, (colour, dashes) in zip(found.shares, found.names, styles, strict=True):
        axes.plot(found.points, share, color=colour, linestyle=dashes, label=name)
    ends = [share[found.widest] for share in found.shares]
    at = found.points[found.widest]
    axes.plot([at, at], ends, color=GREY, linewidth=1.4, marker="_")
    axes.set(ylim=(0, 1.01), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.legend(loc="upper left", frameon=False, fontsize=0.9 * LETTER, handlelength=2.4)
    plots.group_thousands(axes.xaxis)
    return figure
