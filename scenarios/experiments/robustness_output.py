"""Print and draw the matrix of attacks and defences."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consortium.config import RunConfig
from consortium.run.directory import RunDirectory
from privacy.errors import number_of
from scenarios.experiments.robustness import (
    Cell,
    Robustness,
    attacks_of,
    defences_of,
    measure_robustness,
)
from scenarios.scenario import Scenario
from scenarios.trials import Trials

TOLERANCE = 0.02  # a rule that loses no more than this to the honest alone has held

_INK, _QUIET = "#1b1f24", "#57606a"
_WORST = 0.1  # from this loss on, text is white on a dark cell


def print_robustness(
    scenario: Scenario, trials: Trials, config: RunConfig, run: RunDirectory, console: Console
) -> Robustness:
    """Try every attack against every defence, then print and draw the matrix."""
    result = measure_robustness(scenario, trials, config, run, tell=console.print)
    print_matrix(console, result)
    for path in draw_matrix(result, run):
        console.print(f"matrix: {path}", soft_wrap=True, highlight=False)
    return result


def print_matrix(console: Console, result: Robustness) -> None:
    """Print the matrix in the clear and encrypted, with the share of working triggers."""
    console.print(
        f"{result.metric_title} on the held-out records of the {len(result.honest)} honest sites; "
        f"the honest alone reach {result.ideal:.4f}; lying: {', '.join(result.liars)}",
        soft_wrap=True,
        highlight=False,
    )
    for encrypted in (False, True):
        names = defences_of(result, encrypted=encrypted)
        if not names:
            continue
        title = "encrypted, over buckets" if encrypted else "in the clear"
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        table.add_column("attack")
        for name in names:
            heading = name.replace(" ", "\n").replace("-", "-\n")
            table.add_column(heading, justify="right", overflow="fold", min_width=5)
        for attack in attacks_of(result):
            row = [result.cell(attack, name, encrypted=encrypted) for name in names]
            table.add_row(attack, *(_format_value(cell, result.ideal) for cell in row))
            if any(cell.backdoor is not None for cell in row):
                table.add_row("  trigger works", *(_format_share(cell.backdoor) for cell in row))
        console.print(table)


def draw_matrix(result: Robustness, run: RunDirectory) -> list[Path]:
    """Draw the matrix into the run's plots, as SVG and PNG; return the paths."""
    names = {flag: defences_of(result, encrypted=flag) for flag in (False, True)}
    columns = [(name, flag) for flag in (False, True) for name in names[flag]]
    attacks = attacks_of(result)
    figure = Figure(figsize=(2.6 + 0.72 * (len(columns) + 1), 2.2 + 0.36 * len(attacks)))
    axes = figure.add_subplot()
    losses = [
        [_loss(result.cell(attack, name, encrypted=flag), result.ideal) for name, flag in columns]
        for attack in attacks
    ]
    axes.imshow(losses, cmap="Oranges", vmin=0, vmax=1.4 * _WORST, aspect="auto")
    for row, attack in enumerate(attacks):
        for column, (name, flag) in enumerate(columns):
            cell = result.cell(attack, name, encrypted=flag)
            dark = losses[row][column] > _WORST
            text = "stopped" if cell.value is None else f"{cell.value:.3f}"
            axes.text(
                column, row, text, ha="center", va="center", size=8, color="w" if dark else _INK
            )
    _label_axes(axes, attacks, columns, result)
    figure.tight_layout()
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    paths = [folder / "robustness.svg", folder / "robustness.png"]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _label_axes(
    axes: Axes, attacks: list[str], columns: list[tuple[str, bool]], result: Robustness
) -> None:
    axes.set_yticks(range(len(attacks)), attacks)
    labels = [f"{name}\n(encrypted)" if flag else name for name, flag in columns]
    axes.set_xticks(range(len(columns)), labels, rotation=45, ha="right", size=8)
    axes.tick_params(length=0, colors=_QUIET)
    for spine in axes.spines.values():
        spine.set_visible(False)
    clear = sum(not flag for _, flag in columns)
    for edge in (0.5, clear - 0.5, clear + 0.5):  # the undefended means stand apart
        axes.axvline(edge, color="w", linewidth=4)
    axes.set_title(
        f"{result.metric_title}: {len(result.liars)} of "
        f"{number_of(len(result.liars) + len(result.honest), 'site')} lie; the honest alone reach "
        f"{result.ideal:.3f}",
        loc="left",
        size=10,
        color=_INK,
    )


def _loss(cell: Cell, ideal: float) -> float:
    # A model better than the ideal is so by chance: no loss. NaN is drawn blank.
    return math.nan if cell.value is None else max(0.0, ideal - cell.value)


def _format_value(cell: Cell, ideal: float) -> str | Text:
    if cell.value is None:
        return "stopped"
    spoiled = ideal - cell.value > TOLERANCE
    return Text(f"{cell.value:.3f}", style="bold red" if spoiled else "")


def _format_share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
