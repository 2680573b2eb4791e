"""Heatmaps: one row per site and one column per round."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from consortium.report.plots import style as plots
from consortium.report.plots.style import QUIET

_ROW = 20.0  # pixels
_TOP, _BOTTOM = 26.0, 44.0


@dataclass(frozen=True, kw_only=True)
class Heat:
    """A figure of each site in each round.

    Args:
        sites: The sites, from the top row down.
        rounds: The rounds, from left to right.
        values: The figures, shape (n_sites, n_rounds); NaN where a site did not answer.
        darkest: Values from this one up get the darkest shade; 0 gets the lightest.
        title: What the shade shows.
    """

    sites: Sequence[str]
    rounds: Sequence[int]
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    darkest: float
    title: str


def draw_heatmap(heat: Heat, width: int) -> Figure:
    """Draw the cells; a cell is empty where a site did not answer."""
    figure = plots.empty_figure(width, _TOP + _BOTTOM + _ROW * len(heat.sites))
    left = 150.0 if width > plots.NARROW else 104.0
    axes = plots.add_axes(figure, left=left, right=12.0, top=_TOP, bottom=_BOTTOM)
    first = heat.rounds[0] - 0.5
    edges = [first + place for place in range(len(heat.rounds) + 1)]
    axes.pcolormesh(
        edges,
        np.arange(len(heat.sites) + 1) - 0.5,
        np.ma.masked_invalid(heat.values),
        cmap="Oranges",
        vmin=0.0,
        vmax=heat.darkest,
        edgecolors="white",
        linewidth=0.6,
    )
    axes.invert_yaxis()
    names = [plots.truncated_name(name, round(left / 6.4)) for name in heat.sites]
    axes.set_yticks(range(len(names)), names)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("round")
    axes.set_title(heat.title, loc="left", color=QUIET, size=plots.LETTER)
    return figure
