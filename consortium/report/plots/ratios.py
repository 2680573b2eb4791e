"""Forest plots of ratios, on an axis where twice and half are equally far from one."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from consortium.report.plots.intervals import Row, draw_rows

_FARTHEST = 100.0  # a whisker beyond this factor would leave nothing of the others


def draw_ratios(rows: Sequence[Row], axis: str, width: int, *, logarithmic: bool) -> Figure:
    """Draw a forest plot of ratios around 1, or of coefficients around 0.

    Args:
        rows: The rows, from the top down; positive where the axis is logarithmic.
        axis: The label of the axis.
        width: Width in pixels.
        logarithmic: Whether the rows are ratios.
    """
    if not logarithmic:
        return draw_rows(rows, axis, width, mark=0.0)
    figure = draw_rows(rows, f"{axis}, on a logarithmic axis", width, mark=1.0)
    (axes,) = figure.axes
    axes.set_xscale("log")
    low = max(min(row.low for row in rows), 1 / _FARTHEST)
    high = min(max(row.high for row in rows), _FARTHEST)
    axes.set_xlim(min(low, 0.9) / 1.1, max(high, 1.1) * 1.1)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return figure
