"""Plot a privacy ledger: the epsilon spent on a data set, over time.

A module of its own because it is the only part of the ledger that imports matplotlib.
"""

from collections.abc import Sequence
from datetime import datetime

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from consortium.report.ledger.statement import Account
from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, ORANGE

_LEAST_SPAN = 1.0  # days: the axis of a single reservation shows the day, not years


def _span(moments: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis of time, in days, with all moments well inside."""
    first, last = min(moments), max(moments)
    margin = max(0.04 * (last - first), (_LEAST_SPAN - (last - first)) / 2)
    return first - margin, last + margin


def draw_loss(account: Account, width: int) -> Figure:
    """Draw the epsilon spent after each reservation, with the budget as a line."""
    figure = plots.empty_figure(width, 300)
    axes = plots.add_axes(figure, left=56, right=20, top=34, bottom=46)
    plots.rule_axes(axes, across="reserved at (UTC)", up=f"epsilon spent, {account.data_set}")
    times = [datetime.fromisoformat(line.at) for line in account.lines]
    moments: list[float] = [float(date2num(time)) for time in times]  # type: ignore[no-untyped-call]
    lost = [line.epsilon_so_far for line in account.lines]
    axes.step(moments, lost, where="post", color=BLUE, linewidth=2, marker="o", markersize=4)
    axes.axhline(account.budget.epsilon, color=ORANGE, linestyle="--", linewidth=1.4)
    axes.annotate(
        f"budget {account.budget.epsilon:g}",
        (0.0, account.budget.epsilon),
        xycoords=("axes fraction", "data"),
        xytext=(4, 4),
        textcoords="offset points",
        color=ORANGE,
    )
    axes.set_xlim(*_span(moments))
    axes.set_ylim(0, 1.15 * max(account.budget.epsilon, *lost))
    locator = AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return figure
