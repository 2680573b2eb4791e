"""How the trials of a sweep learn: a metric over the rounds, one line a trial."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from consortium.report.plots import style as plots
from consortium.report.plots.style import BLUE, GREY, LETTER, RULE


def draw_trials(
    courses: Sequence[Sequence[tuple[int, float]]],
    best: int,
    axis: str,
    rungs: Sequence[int],
    width: int,
) -> Figure:
    """Draw the course of each trial, the best one last and thick.

    Args:
        courses: Of each trial, rounds of training and the metric after them.
        best: Place of the best trial among the trials.
        axis: Name of the metric.
        rungs: Rounds after which trials were parked, drawn as lines.
        width: In pixels.
    """
    figure = plots.empty_figure(width, 320)
    axes = plots.add_axes(figure, left=58, right=20, top=30, bottom=46)
    plots.rule_axes(axes, across="rounds of training", up=axis)
    for rung in rungs:
        axes.axvline(rung, color=RULE, ls="--", linewidth=1.2, zorder=1)
    for place, course in enumerate(courses):
        if course and place != best:
            axes.plot(*zip(*course, strict=True), color=GREY, linewidth=1.1, alpha=0.6, zorder=2)
            axes.plot(*course[-1], "o", color=GREY, markersize=3.5, zorder=2)
    axes.plot(*zip(*courses[best], strict=True), color=BLUE, linewidth=2.4, zorder=3)
    rounds, value = courses[best][-1]
    axes.plot(rounds, value, "o", color=BLUE, markersize=6, zorder=4)
    axes.annotate(
        "the best",
        (rounds, value),
        (-6, 10),
        textcoords="offset pixels",
        ha="right",
        color=BLUE,
        size=0.95 * LETTER,
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    plots.group_thousands(axes.yaxis)
    return figure
