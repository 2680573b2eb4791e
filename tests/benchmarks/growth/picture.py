"""The picture of docs/performance.md: time above, memory below, both axes logarithmic."""

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from consortium.report.plots import style
from tests.benchmarks.growth.curves import (
    CPU,
    MEMORY,
    WORDS,
    Curves,
    bytes_in_words,
    seconds_in_words,
)

TITLE = "How time and memory grow with sites, parameters and rows"
ALT = (
    "Six panels, both axes logarithmic: CPU seconds above and memory below, against the number of "
    "sites, parameters and rows"
)
HEIGHT = 560
LEFT, PANEL, GAP = 62.0, 212.0, 78.0  # pixels from the left: a margin, a panel, the next margin
TOP, UPPER, BETWEEN, LOWER = 112.0, 180.0, 62.0, 150.0
COLOURS = (style.BLUE, style.ORANGE, "#007a5e", "#9b4d85", style.INK)
MARKS = ("o", "s", "^", "D", "x")


def picture(figures: Mapping[str, Curves]) -> str:
    """Return the picture as SVG on white: readable on a light and on a dark page."""
    plot = style.full_width_plot(
        "growth", lambda width: _figure(figures, width), title=TITLE, alt=ALT
    )
    return plot.wide + "\n"


def _figure(figures: Mapping[str, Curves], width: int) -> Figure:
    figure = style.empty_figure(width, HEIGHT)
    figure.add_artist(
        Rectangle((0, 0), 1, 1, transform=figure.transFigure, facecolor="white", zorder=-1)
    )
    for column, (axis, words) in enumerate(WORDS.items()):
        left = LEFT + column * (PANEL + GAP)
        curves = figures.get(axis, {})
        upper = _panel(figure, left, width, top=TOP, height=UPPER)
        lower = _panel(figure, left, width, top=TOP + UPPER + BETWEEN, height=LOWER)
        for place, name in ((upper, CPU), (lower, MEMORY)):
            _draw_curves(place, curves, words, name)
        _scale(upper, across="", up="CPU", unit=seconds_in_words)
        _scale(lower, across=f"number of {axis}", up="memory", unit=bytes_in_words)
        lower.set_xlim(upper.get_xlim())
        upper.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.1),
            frameon=False,
            fontsize=0.82 * style.LETTER,
            handlelength=1.4,
            borderpad=0,
            labelspacing=0.2,
        )
    return figure


def _panel(figure: Figure, left: float, width: int, *, top: float, height: float) -> Axes:
    return style.add_axes(
        figure, left=left, right=width - left - PANEL, top=top, bottom=HEIGHT - top - height
    )


def _draw_curves(axes: Axes, curves: Curves, words: Mapping[str, str], name: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for (work, text), colour, mark in zip(words.items(), COLOURS, MARKS, strict=False):
        points = {
            size: one[name] for size, one in curves.get(work, {}).items() if one.get(name, 0) > 0
        }
        axes.plot(
            list(points),
            list(points.values()),
            color=colour,
            marker=mark,
            markersize=4.5,
            linewidth=1.6,
            label=text,
        )


def _scale(axes: Axes, *, across: str, up: str, unit: Callable[[float], str]) -> None:
    style.rule_axes(axes, across=across, up=up)
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _place: _size_in_words(size)))
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: unit(value)))
    for line in (axes.xaxis, axes.yaxis):
        line.set_minor_locator(NullLocator())
        line.set_minor_formatter(NullFormatter())


def _size_in_words(size: float) -> str:
    if size >= 1e6:
        return f"{size / 1e6:g}M"
    return f"{size / 1e3:g}k" if size >= 1e4 else f"{size:,g}"
