"""`consortium site ledger`: show the privacy spent on a site's data, and what would still fit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from consortium.cli.options import SITE
from consortium.report.ledger.page import write_export
from consortium.report.ledger.plot import draw_loss
from consortium.report.ledger.statement import (
    Account,
    Line,
    ReleasedLine,
    View,
    open_ledger,
    planned_cost,
    read_ledger_view,
    to_csv,
)
from consortium.report.plots.style import write_png
from consortium.site.directory import SiteDirectory
from privacy.differential.announced_ledger import AnnouncedLedger
from privacy.differential.mechanisms import UNITS, SampledGaussian
from privacy.differential.second_opinion import opacus_epsilon

_COLUMNS = ("entry", "reserved (UTC)", "run", "part", "what", "steps", "state", "epsilon", "so far")
_RELEASED = ("entry", "first (UTC)", "run", "what", "of", "times")
_NUMBERS = ("entry", "times", "epsilon", "so far")  # columns set flush right
_RUN_LETTERS = 12

console = Console()

DATA = typer.Option(None, "--data", help="Show one data set only.")
CSV = typer.Option(None, "--csv", help="Write all entries to a CSV file.")
PLOT = typer.Option(None, "--plot", help="Plot epsilon over time to a PNG file.")
EXPORT = typer.Option(None, "--export", help="Write an HTML page and a CSV to this folder.")
PLANNED = typer.Option(
    None, "--what-if", help="The noise multiplier, sampling rate and steps of a planned run."
)
SECOND = typer.Option(False, "--second-opinion", help="Ask Opacus too; this takes seconds.")
BY = typer.Option("person", "--unit", help="The planned run's unit of privacy: person or record.")

MOST_RECORDS = typer.Option(
    0,
    "--max-records-per-person",
    min=0,
    help="If the planned run protects records: the most records of one person; 0 if unknown.",
)


GAP = typer.Option(
    False, "--enter-gap", help="Enter the runs that only other members know of, at full cost."
)


def show_ledger(
    directory: Path = SITE,
    enter: bool = GAP,
    data: str | None = DATA,
    csv: Path | None = CSV,
    plot: Path | None = PLOT,
    export: Path | None = EXPORT,
    planned: tuple[float, float, int] | None = PLANNED,
    unit: str = BY,
    max_records_per_person: int = MOST_RECORDS,
    second_opinion: bool = SECOND,
) -> None:
    """Show the privacy spent on each of a site's data sets, over all runs."""
    view = _select_data_set(_read_view(directory, enter=enter), data)
    _print_released(view)
    for account in view.accounts:
        _print_account(account)
    if second_opinion:
        _print_second_opinion(directory, view)
    console.print(
        f"last entry of the ledger: {view.head.entries}, digest {view.head.digest.hex()}",
        highlight=False,
        soft_wrap=True,
    )
    if csv is not None:
        csv.write_text(to_csv(view))
    if plot is not None:
        for path, account in _plot_files(plot, view):
            write_png(partial(draw_loss, account), path)
    if export is not None:
        page, _ = write_export(view, export, site=directory.resolve().name, now=datetime.now(UTC))
        console.print(f"wrote {page}", highlight=False, soft_wrap=True)
    if planned is not None:
        _print_planned_cost(directory, view, _planned_event(planned, unit, max_records_per_person))


def _read_view(directory: Path, *, enter: bool) -> View:
    """Return the ledger, with what other members know of it entered first if that is wanted."""
    if enter:
        _enter_gap(directory)
    view = read_ledger_view(directory)
    with AnnouncedLedger(SiteDirectory(directory).ledger) as ledger:
        lost = {one.number for one in ledger.lost()}
    if lost:
        console.print(
            f"runs that other members know of and this ledger does not: {len(lost)}. It was put "
            "back from an older copy; enter them with --enter-gap",
            highlight=False,
            soft_wrap=True,
        )
    return view


def _enter_gap(directory: Path) -> None:
    from consortium.client.comparison.gap import enter_gap  # no other view of a ledger needs it

    runs = enter_gap(directory)
    for run in runs:
        console.print(
            f"entered run {run.number} at its full cost: {run.what}",
            highlight=False,
            soft_wrap=True,
        )
    if not runs:
        console.print("no other member showed a run that this ledger does not know")


def _select_data_set(view: View, data: str | None) -> View:
    if data is None:
        return view
    if data not in view.data_sets:
        names = ", ".join(view.data_sets)
        raise typer.BadParameter(f"the ledger has no data set {data}; it has: {names}")
    return view.of_data_set(data)


def _planned_event(planned: tuple[float, float, int], unit: str, most: int) -> SampledGaussian:
    if unit not in UNITS:
        raise typer.BadParameter(f"--unit must be one of {', '.join(UNITS)}, got {unit}")
    noise, rate, steps = planned
    return SampledGaussian(
        noise_multiplier=noise,
        sampling_rate=rate,
        steps=steps,
        clip_norm=1.0,
        unit=unit,
        max_records_per_person=most,
    )


def _plot_files(plot: Path, view: View) -> list[tuple[Path, Account]]:
    """Return a file for each data set; with several data sets, the files are numbered."""
    if len(view.accounts) == 1:
        return [(plot, view.accounts[0])]
    return [
        (plot.with_stem(f"{plot.stem}-{number}"), account)
        for number, account in enumerate(view.accounts, start=1)
    ]


def _print_released(view: View) -> None:
    """Print what left without noise, if anything did, before and beside every budget."""
    if not view.released:
        return
    shown = _empty_table("without noise: epsilon infinite, in no budget's sum", _RELEASED)
    for one in view.released:
        shown.add_row(*_first_cells(one), one.what, one.whose, str(one.times))
    console.print(shown)


def _empty_table(title: str, columns: Sequence[str]) -> Table:
    shown = Table(title=title)
    for name in columns:
        shown.add_column(name, justify="right" if name in _NUMBERS else "left")
    return shown


def _first_cells(line: Line | ReleasedLine) -> tuple[str, str, str]:
    """Return what both tables begin with: the entry's number, its time, and its run."""
    return str(line.number), line.at.removesuffix("+00:00"), line.run[:_RUN_LETTERS]


def _print_account(account: Account) -> None:
    budget = account.budget
    title = f"{account.data_set}: by {budget.unit}, delta {budget.delta:g}"
    shown = _empty_table(title, _COLUMNS)
    for line in account.lines:
        shown.add_row(
            *_first_cells(line),
            line.part,
            line.mechanism,
            f"{line.counted} of {line.reserved}",
            line.state,
            f"{line.epsilon:.3f}",
            f"{line.epsilon_so_far:.3f}",
        )
    console.print(shown)
    spent = account.spent
    console.print(
        f"{account.data_set}: epsilon {spent.weighed:.3f} of {budget.epsilon:g} spent, "
        f"{account.left:.3f} left for a further run (if all had been planned beforehand: "
        f"{spent.planned:.3f})",
        highlight=False,
        soft_wrap=True,
    )
    if account.warning:
        console.print(f"{account.data_set} is {account.warning}", highlight=False, soft_wrap=True)


def _print_second_opinion(directory: Path, view: View) -> None:
    with open_ledger(directory) as ledger:
        for account in view.accounts:
            budget, events = account.budget, ledger.events(account.data_set)
            found = opacus_epsilon(events, budget.delta, unit=budget.unit)
            said = (
                "Opacus has no figure for this"
                if found is None
                else f"by Opacus, epsilon at most {found:.3f}"
            )
            console.print(f"{account.data_set}: {said}", highlight=False, soft_wrap=True)


def _print_planned_cost(directory: Path, view: View, event: SampledGaussian) -> None:
    with open_ledger(directory) as ledger:
        for account in view.accounts:
            found = planned_cost(
                account, event, ledger.weighed_events(account.data_set, account.budget)
            )
            verdict = "fits" if found.fits else "does not fit"
            console.print(
                f"{account.data_set}: the planned run costs epsilon {found.asked:.3f} by itself "
                f"and {found.together:.3f} together with all earlier runs. It {verdict}; at most "
                f"{found.steps_that_fit} steps fit",
                highlight=False,
                soft_wrap=True,
            )
