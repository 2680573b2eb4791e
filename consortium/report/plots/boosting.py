"""Plot how the loss falls, tree by tree."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE


def draw_losses(losses: Sequence[float], axis: str, width: int) -> Figure:
    """Draw the loss by the number of trees before it, from none on.

    Args:
        losses: The loss with no tree, with one, and so on.
        axis: What it is.
        width: Width in pixels.
    """
    narrow = width <= plots.NARROW
    figure = plots.empty_figure(width, 260 if narrow else 300)
    axes = plots.add_axes(figure, left=58, right=14, top=30, bottom=46)
    plots.rule_axes(axes, across="trees", up=axis)
    axes.plot(range(len(losses)), losses, color=BLUE, linewidth=2.4)
    axes.plot(len(losses) - 1, losses[-1], "o", color=BLUE, markersize=6)
    axes.margins(x=0.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5 if narrow else 10))
    plots.group_thousands(axes.yaxis)
    return figure
