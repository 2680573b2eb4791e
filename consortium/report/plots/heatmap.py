"""A picture with a row a site and a column a round, shaded by a figure."""

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
    """Figures of sites over rounds.

    Args:
        sites: Rows, from the top.
        rounds: Columns.
        values: Shape (n_sites, n_rounds); NaN where a site did not answer.
        darkest: The value from which on a cell is darkest; 0 is lightest.
        title: What the shade is.
    """

    sites: Sequence[str]
    rounds: Sequence[int]
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    darkest: float
    title: str


def draw_heatmap(heat: Heat, width: int) -> Figure:
    """Draw the cells; a round in which a site did not answer is left empty."""
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
