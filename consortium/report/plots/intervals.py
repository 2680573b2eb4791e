"""Forest plots: one row per site, with a confidence interval or with a change."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, COLOURS, GREY, INK, LETTER, ORANGE, QUIET, Role

_MARKERS: dict[Role, str] = {"together": "o", "one": "o", "all": "D"}
_AXIS = 44.0  # pixels below the lowest row
_LEFT, _RIGHT = 214.0, 168.0
_BACKGROUND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row with a dot and whiskers.

    Args:
        label: What the row shows.
        text: The value in words.
        value: The position of the dot.
        low: The lower end of the whisker.
        high: The upper end of the whisker.
        middle: The ends of a thicker part of the whisker, if there is one.
        role: Whether it is of all sites together, of one site, or of all records in one place.
    """

    label: str
    text: str
    value: float
    low: float
    high: float
    middle: tuple[float, float] | None = None
    role: Role = "one"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A row with two dots: before and after.

    Args:
        label: What the row shows.
        text: The change in words.
        before: The value before.
        after: The value after.
        better: Whether the change is an improvement.
    """

    label: str
    text: str
    before: float
    after: float
    better: bool


def draw_rows(rows: Sequence[Row], axis: str, width: int, *, mark: float | None = None) -> Figure:
    """Draw a forest plot, each row with its value in words.

    Args:
        rows: The rows, from the top down.
        axis: The label of the axis.
        width: Width in pixels.
        mark: A value to compare all rows with, drawn as a thin line.
    """
    figure, axes = _row_axes(len(rows), axis, width)
    if mark is not None:
        axes.axvline(mark, color=BLUE, linewidth=1, alpha=0.45, zorder=1)
    for place, row in enumerate(rows):
        colour = COLOURS[row.role]
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=1.6, zorder=2)
        if row.middle:
            axes.plot(row.middle, [place, place], color=colour, linewidth=6, alpha=0.55, zorder=2)
        axes.plot(
            row.value,
            place,
            marker=_MARKERS[row.role],
            markersize=7.5,
            color=colour,
            markeredgecolor="white",
            markeredgewidth=1,
            zorder=3,
        )
        _label_row(axes, place, row.label, row.text, strong=row.role == "together", width=width)
    return figure


def draw_changes(changes: Sequence[Change], axis: str, width: int) -> Figure:
    """Draw one line per row, from a hollow dot (before) to a filled one (after)."""
    figure, axes = _row_axes(len(changes), axis, width)
    for place, change in enumerate(changes):
        colour = BLUE if change.better else ORANGE
        ends = [change.before, change.after]
        axes.plot(ends, [place, place], color=colour, linewidth=2.4, alpha=0.5, zorder=2)
        axes.plot(
            change.before,
            place,
            marker="o",
            markersize=7.5,
            color="white",
            markeredgecolor=GREY,
            markeredgewidth=1.6,
            zorder=3,
        )
        axes.plot(change.after, place, marker="o", markersize=8, color=colour, zorder=4)
        _label_row(axes, place, change.label, change.text, strong=False, width=width)
    return figure


def _row_axes(n_rows: int, axis: str, width: int) -> tuple[Figure, Axes]:
    """Return a figure with axes for `n_rows` rows, the first at the top, and room for labels."""
    narrow = width <= plots.NARROW
    step = 46.0 if narrow else 34.0
    figure = plots.empty_figure(width, n_rows * step + _AXIS)
    left, right = (8.0, 8.0) if narrow else (_LEFT, _RIGHT)
    axes = plots.add_axes(figure, left=left, right=right, top=0, bottom=_AXIS)
    plots.strip_axes(axes)
    axes.set_ylim(n_rows - 0.5 + (0.15 if narrow else 0.0), -0.6 if narrow else -0.5)
    axes.set_xlabel(axis)
    plots.group_thousands(axes.xaxis)
    axes.margins(x=0.06)
    axes.locator_params(axis="x", nbins=4 if narrow else 7)
    return figure, axes


def _label_row(axes: Axes, place: int, label: str, text: str, *, strong: bool, width: int) -> None:
    """Write a row's label and value: beside the axes, or above the row on a narrow page."""
    weight = "bold" if strong else "normal"
    across = axes.get_yaxis_transform()
    left, right, height, most = 0.0, 1.0, place - 0.34, 24
    if width > plots.NARROW:
        inner = width - _LEFT - _RIGHT
        left, right, height, most = -_LEFT / inner, 1 + _RIGHT / inner, float(place), 28
    shared: dict[str, Any] = {"transform": across, "weight": weight, "va": "center"}
    shared["bbox"] = _BACKGROUND
    axes.text(left, height, plots.truncated_name(label, most), color=INK, **shared)
    colour = INK if strong else QUIET
    axes.text(right, height, text, ha="right", color=colour, size=0.95 * LETTER, **shared)
