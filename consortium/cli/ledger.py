"""`consortium site ledger`: show the privacy spent on a site's data, and what would still fit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from consortium.cli.entry import terminal_table
from consortium.cli.options import SITE
from consortium.report.ledger.page import write_export
from consortium.report.ledger.plot import draw_loss
from consortium.report.ledger.statement import (
    Account,
    View,
    WhatIf,
    open_ledger,
    planned_cost,
    read_ledger_view,
    to_csv,
)
from consortium.report.plots.style import write_png
from consortium.site.directory import SiteDirectory
from consortium.site.tails import complete_tails
from consortium.wording.formatting import moment, short_run
from privacy.differential.announced_ledger import AnnouncedLedger
from privacy.differential.mechanisms import UNITS, SampledGaussian, Unit
from privacy.differential.second_opinion import opacus_epsilon
from privacy.errors import number_of

_COLUMNS = ("entry", "reserved (UTC)", "what", "epsilon", "so far")
_RELEASED = ("entry", "first (UTC)", "what", "times")
_NUMBERS = ("entry", "times", "epsilon", "so far")  # columns set flush right

console = Console(markup=False)

DATA = typer.Option(None, "--data", help="Show one data set only.")
CSV = typer.Option(None, "--csv", help="Write all entries to a CSV file.")
PLOT = typer.Option(None, "--plot", help="Plot epsilon over time to a PNG file.")
EXPORT = typer.Option(None, "--export", help="Write an HTML page and a CSV to this folder.")
PLANNED = typer.Option(
    None, "--what-if", help="The noise multiplier, sampling rate and steps of a planned run."
)
SECOND = typer.Option(False, "--second-opinion", help="Ask Opacus too; this takes seconds.")


def _known_unit(unit: str) -> Unit:
    if unit not in UNITS:
        raise typer.BadParameter(f"it must be one of {', '.join(UNITS)}, got {unit}")
    return unit


BY = typer.Option(
    "person",
    "--unit",
    callback=_known_unit,
    help="The planned run's unit of privacy: person or record.",
)

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
    _say(
        f"last entry of the ledger: {view.head.entries}",
        f"digest {view.head.digest.hex()}",
    )
    if csv is not None:
        csv.write_text(to_csv(view))
    if plot is not None:
        for path, account in _plot_files(plot, view):
            write_png(partial(draw_loss, account), path)
    if export is not None:
        page, _ = write_export(view, export, site=directory.resolve().name, now=datetime.now(UTC))
        _say(f"wrote {page}")
    if planned is not None:
        _print_planned_cost(directory, view, _planned_event(planned, unit, max_records_per_person))


def _read_view(directory: Path, *, enter: bool) -> View:
    """Return the ledger, with what other members know of it entered first if that is wanted."""
    complete_tails(directory)
    if enter:
        _enter_gap(directory)
    view = read_ledger_view(directory)
    with AnnouncedLedger(SiteDirectory(directory).ledger) as ledger:
        lost = {one.number for one in ledger.lost()}
    if lost:
        _say(
            f"runs that other members know of and this ledger does not: {len(lost)}. It was put "
            "back from an older copy; enter them with --enter-gap"
        )
    return view


def _enter_gap(directory: Path) -> None:
    from consortium.client.comparison.gap import enter_gap  # no other view of a ledger needs it

    runs = enter_gap(directory)
    for run in runs:
        _say(f"entered run {run.number} at its full cost: {run.what}")
    if not runs:
        _say("no other member showed a run that this ledger does not know")


def _select_data_set(view: View, data: str | None) -> View:
    if data is None:
        return view
    if data not in view.data_sets:
        names = ", ".join(view.data_sets)
        raise typer.BadParameter(f"the ledger has no data set {data}; it has: {names}")
    return view.of_data_set(data)


def _planned_event(planned: tuple[float, float, int], unit: str, most: int) -> SampledGaussian:
    noise, rate, steps = planned
    return SampledGaussian(
        noise_multiplier=noise,
        sampling_rate=rate,
        steps=steps,
        clip_norm=1.0,
        unit=_known_unit(unit),
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
        what = f"{one.what}, of {one.whose}\nrun {short_run(one.run)}"
        shown.add_row(str(one.number), moment(one.at), what, str(one.times))
    console.print(shown)


def _empty_table(title: str, columns: Sequence[str]) -> Table:
    whole = [name for name in columns if name != "what"]
    return terminal_table(columns, title=title, whole=whole, numbers=_NUMBERS)


def _print_account(account: Account) -> None:
    budget = account.budget
    title = f"{account.data_set}: by {budget.unit}, delta {budget.delta:g}"
    shown = _empty_table(title, _COLUMNS)
    for line in account.lines:
        shown.add_row(
            str(line.number),
            moment(line.at),
            f"{line.part}, run {short_run(line.run)}\n{line.mechanism}\n"
            f"{line.counted} of {number_of(line.reserved, 'step')}, {line.state}",
            f"{line.epsilon:.3f}",
            f"{line.epsilon_so_far:.3f}",
        )
    console.print(shown)
    spent = account.spent
    _say(
        f"{account.data_set}: epsilon {spent.weighed:.3f} of {budget.epsilon:g} spent, "
        f"{account.left:.3f} left for further runs to add",
        f"(if all had been planned beforehand: {spent.planned:.3f})",
    )
    if account.warning:
        _say(f"{account.data_set} is {account.warning}")


def _say(*lines: str) -> None:
    """Print sentences as they are: names are no markup, and only the terminal breaks lines."""
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


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
            _say(f"{account.data_set}: {said}")


def _print_planned_cost(directory: Path, view: View, event: SampledGaussian) -> None:
    with open_ledger(directory) as ledger:
        for account in view.accounts:
            found = planned_cost(
                account, event, ledger.weighed_events(account.data_set, account.budget)
            )
            name, allowed = account.data_set, account.budget.epsilon
            _say(
                f"{name}: the planned run adds epsilon {found.adds:.3f} to the "
                f"{account.spent.weighed:.3f} spent: {found.together:.3f} of {allowed:g}",
                f"{name}: {_planned_verdict(found)}",
                f"{name}: by itself it costs epsilon {found.asked:.3f}; what several runs cost is "
                "not the sum of that",
            )


def _planned_verdict(found: WhatIf) -> str:
    if found.fits:
        return f"it fits, and leaves {found.left:.3f} for further runs to add"
    return f"it does not fit; the most that fits: {number_of(found.steps_that_fit, 'step')}"
