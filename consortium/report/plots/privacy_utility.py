"""The privacy-utility plot: a metric against epsilon."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, LETTER
from consortium.run.privacy_records import PrivacyPoint


def draw_privacy(points: Sequence[PrivacyPoint], axis: str, width: int) -> Figure:
    """Draw the metric at each epsilon with its interval, and the level without privacy."""
    figure = plots.empty_figure(width, 300)
    axes = plots.add_axes(figure, left=58, right=20, top=30, bottom=46)
    plots.rule_axes(axes, across="epsilon per person over all rounds (log scale)", up=axis)
    private = sorted((one for one in points if one.epsilon is not None), key=_epsilon)
    axes.set_xscale("log")
    axes.set_xticks([_epsilon(one) for one in private], [f"{_epsilon(one):g}" for one in private])
    axes.xaxis.set_minor_locator(NullLocator())
    across = [_epsilon(one) for one in private]
    axes.vlines(across, [one.low for one in private], [one.high for one in private], color=BLUE)
    axes.plot(across, [one.value for one in private], "o-", color=BLUE, linewidth=1.2)
    for point in points:
        if point.epsilon is None:
            axes.axhspan(point.low, point.high, color=GREY, alpha=0.12, linewidth=0)
            axes.axhline(point.value, color=GREY, ls="--", linewidth=1.3)
            axes.text(
                math.sqrt(across[0] * across[1]),
                point.value,
                "without privacy",
                color=GREY,
                va="bottom",
                size=LETTER,
            )
    return figure


def _epsilon(point: PrivacyPoint) -> float:
    return point.epsilon or 0.0
