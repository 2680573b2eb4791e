"""Plots of a model's quality: ROC curves, reliability, scores and errors."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, INK, LETTER, ORANGE, RULE

_CYCLE = (BLUE, ORANGE, "#1a7f64", "#8250a8", GREY, "#7a5a00")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_MOST_POINTS = 200
_QUARTERS = (0, 0.25, 0.5, 0.75, 1)


def draw_roc(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], width: int) -> Figure:
    """Draw named ROC curves, each given as false-positive and true-positive rates."""
    figure, axes = _square_axes(
        width, across="share of negatives flagged", up="share of positives found"
    )
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.2)
    for place, (name, (false, true)) in enumerate(curves.items()):
        x, y = _thinned_curve(false, true)
        axes.plot(
            x,
            y,
            color=_CYCLE[place % len(_CYCLE)],
            linestyle=_DASHES[place % len(_DASHES)],
            label=name,
            linewidth=2.2,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xticks=_QUARTERS, yticks=_QUARTERS)
    if len(curves) > 1:
        axes.legend(loc="lower right", frameon=False, fontsize=0.9 * LETTER, handlelength=2.4)
    return figure


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Predictions and outcomes by bin.

    Args:
        predicted: The mean prediction in each bin.
        observed: The observed mean or frequency in each bin.
        counts: The number of records in each bin.
        bounds: The ends of both axes.
        intervals: The confidence interval of each observed value; none is drawn if empty.
    """

    predicted: Sequence[float]
    observed: Sequence[float]
    counts: Sequence[float]
    bounds: tuple[float, float]
    intervals: Sequence[tuple[float, float]] = ()


def draw_reliability(found: Reliability, axis: tuple[str, str], width: int) -> Figure:
    """Draw one dot per bin, its area by the number of records, and the line of agreement."""
    figure, axes = _square_axes(width, across=axis[0], up=axis[1])
    axes.plot(found.bounds, found.bounds, color=RULE, linewidth=1.2)
    most = max(found.counts)
    sizes = [18 + 160 * count / most for count in found.counts]
    axes.scatter(
        found.predicted, found.observed, s=sizes, color=BLUE, alpha=0.85, linewidth=0, clip_on=False
    )
    if found.intervals:
        lows, highs = zip(*found.intervals, strict=True)
        axes.vlines(found.predicted, lows, highs, color=BLUE, linewidth=1.2, alpha=0.55)
    axes.set(xlim=found.bounds, ylim=found.bounds)
    axes.locator_params(nbins=5)
    plots.group_thousands(axes.xaxis)
    plots.group_thousands(axes.yaxis)
    return figure


@dataclass(frozen=True, kw_only=True)
class DecisionCurve:
    """Net benefit by threshold, of the model and of flagging everybody."""

    thresholds: Sequence[float]
    model: Sequence[float]
    everybody: Sequence[float]


def draw_decision_curve(curve: DecisionCurve, width: int) -> Figure:
    """Draw the net benefit of the model, of flagging everybody, and of flagging nobody."""
    figure = plots.empty_figure(width, 270)
    axes = plots.add_axes(figure, left=60, right=16, top=28, bottom=46)
    plots.rule_axes(axes, across="threshold", up="net benefit")
    axes.axhline(0, color=INK, linewidth=1, label="nobody")
    axes.plot(curve.thresholds, curve.everybody, color=GREY, linestyle="--", label="everybody")
    axes.plot(curve.thresholds, curve.model, color=BLUE, label="the model")
    highest = max(*curve.model, *curve.everybody, 0.01)
    # Flagging everybody falls without end; below a quarter of the best there is nothing to see.
    axes.set(xlim=(0, 1), ylim=(-0.25 * highest, 1.05 * highest), xticks=_QUARTERS)
    axes.legend(loc="upper right", frameon=False, fontsize=0.9 * LETTER, handlelength=2.4)
    return figure


def draw_two_groups(
    edges: Sequence[float],
    shares: tuple[Sequence[float], Sequence[float]],
    names: tuple[str, str],
    axis: str,
    width: int,
) -> Figure:
    """Draw the histograms of two groups on one axis, one upwards and the other downwards."""
    figure = plots.empty_figure(width, 270)
    axes = plots.add_axes(figure, left=10, right=10, top=24, bottom=66)
    upper, lower = shares
    axes.stairs(upper, edges, fill=True, color=ORANGE, alpha=0.8, linewidth=0)
    axes.stairs([-share for share in lower], edges, fill=True, color=BLUE, alpha=0.75, linewidth=0)
    axes.axhline(0, color=INK, linewidth=0.8)
    _style_flat_axes(axes, edges, axis)
    figure.text(0.01, 1.0, names[0], color=ORANGE, weight="bold", va="top")
    figure.text(0.01, 0.0, names[1], color=BLUE, weight="bold", va="bottom")
    return figure


def draw_histogram(
    edges: Sequence[float], counts: Sequence[float], axis: str, width: int
) -> Figure:
    """Draw a histogram of records with a line at 0."""
    figure = plots.empty_figure(width, width * 0.96)
    axes = plots.add_axes(figure, left=16, right=16, top=28, bottom=46)
    axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.75, linewidth=0)
    axes.axvline(0, color=INK, linewidth=1)
    _style_flat_axes(axes, edges, axis)
    axes.locator_params(axis="x", nbins=5)
    return figure


def _square_axes(width: int, *, across: str, up: str) -> tuple[Figure, Axes]:
    figure = plots.empty_figure(width, width * 0.96)
    axes = plots.add_axes(figure, left=60, right=16, top=28, bottom=46)
    plots.rule_axes(axes, across=across, up=up)
    return figure, axes


def _style_flat_axes(axes: Axes, edges: Sequence[float], axis: str) -> None:
    plots.strip_axes(axes)
    plots.group_thousands(axes.xaxis)
    axes.grid(visible=False)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel(axis)


def _thinned_curve(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return a curve without points too close to be seen apart; both ends are kept."""
    step = 1 / _MOST_POINTS
    kept = [(x[0], y[0])]
    for point in zip(x[1:-1], y[1:-1], strict=True):
        if math.dist(point, kept[-1]) >= step:
            kept.append(point)
    kept.append((x[-1], y[-1]))
    return [a for a, _ in kept], [b for _, b in kept]
