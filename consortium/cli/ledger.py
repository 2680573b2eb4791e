"""`consortium site ledger`: what the data of a site have lost, and what would still fit."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from consortium.report.ledger.page import write_export
from consortium.report.ledger.plot import draw_loss
from consortium.report.ledger.statement import (
    Account,
    View,
    open_ledger,
    planned_cost,
    read_ledger_view,
    to_csv,
)
from consortium.report.plots.style import write_png
from privacy.differential.mechanisms import UNITS, SampledGaussian

_COLUMNS = ("entry", "reserved (UTC)", "run", "part", "what", "steps", "state", "epsilon", "so far")
_NUMBERS = ("entry", "epsilon", "so far")
_RUN_LETTERS = 12

console = Console()

SITE = typer.Argument(..., help="The site's directory.")
DATA = typer.Option(None, "--data", help="One data set only.")
CSV = typer.Option(None, "--csv", help="Write every line to a CSV file.")
PLOT = typer.Option(None, "--plot", help="Write epsilon over time to a PNG file.")
EXPORT = typer.Option(None, "--export", help="Write a page and a CSV for the officer here.")
PLANNED = typer.Option(
    None, "--what-if", help="Noise multiplier, sampling rate and steps of a planned run."
)
BY = typer.Option("person", "--unit", help="Whom the planned run protects: person or record.")

MOST_RECORDS = typer.Option(
    0,
    "--max-records-per-person",
    min=0,
    help="Of the planned run, where it protects records: most that one person has; 0: unknown.",
)


def show_ledger(
    directory: Path = SITE,
    data: str | None = DATA,
    csv: Path | None = CSV,
    plot: Path | None = PLOT,
    export: Path | None = EXPORT,
    planned: tuple[float, float, int] | None = PLANNED,
    unit: str = BY,
    max_records_per_person: int = MOST_RECORDS,
) -> None:
    """Show what the people in a site's data sets have lost, over all runs."""
    view = _select_data_set(read_ledger_view(directory), data)
    for account in view.accounts:
        _print_account(account)
    console.print(
        f"the ledger ends with entry {view.head.entries}, {view.head.digest.hex()}",
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
        console.print(f"written: {page}", highlight=False, soft_wrap=True)
    if planned is not None:
        _print_planned_cost(directory, view, _planned_event(planned, unit, max_records_per_person))


def _select_data_set(view: View, data: str | None) -> View:
    accounts = tuple(one for one in view.accounts if data in (None, one.data_set))
    if not accounts:
        names = ", ".join(one.data_set for one in view.accounts)
        raise typer.BadParameter(f"the ledger has no such data set; it has: {names}")
    return View(head=view.head, accounts=accounts)


def _planned_event(planned: tuple[float, float, int], unit: str, most: int) -> SampledGaussian:
    if unit not in UNITS:
        raise typer.BadParameter(f"a unit is one of {', '.join(UNITS)}")
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
    """Return a file for each data set: the named one, or numbered ones beside it."""
    if len(view.accounts) == 1:
        return [(plot, view.accounts[0])]
    return [
        (plot.with_stem(f"{plot.stem}-{number}"), account)
        for number, account in enumerate(view.accounts, start=1)
    ]


def _print_account(account: Account) -> None:
    budget = account.budget
    shown = Table(title=f"{account.data_set}: by {budget.unit}, delta {budget.delta:g}")
    for name in _COLUMNS:
        shown.add_column(
            name, justify="right" if name in ("entry", "epsilon", "so far") else "left"
        )
    for line in account.lines:
        shown.add_row(
            str(line.number),
            line.at.removesuffix("+00:00"),
            line.run[:_RUN_LETTERS],
            line.part,
            line.mechanism,
            f"{line.counted} of {line.reserved}",
            line.state,
            f"{line.epsilon:.3f}",
            f"{line.epsilon_so_far:.3f}",
        )
    console.print(shown)
    check = (
        "" if account.spent.rdp is None else f" (check by Renyi's road: {account.spent.rdp:.3f})"
    )
    console.print(
        f"{account.data_set}: epsilon {account.spent.pld:.3f} of {budget.epsilon:g} lost, "
        f"{account.left:.3f} left{check}",
        highlight=False,
        soft_wrap=True,
    )


def _print_planned_cost(directory: Path, view: View, event: SampledGaussian) -> None:
    with open_ledger(directory) as ledger:
        for account in view.accounts:
            found = planned_cost(account, event, ledger.events(account.data_set))
            verdict = "fits" if found.fits else "does not fit"
            console.print(
                f"{account.data_set}: the planned run costs epsilon {found.asked:.3f} by itself "
                f"and {found.together:.3f} with all before it: it {verdict}; at most "
                f"{found.steps_that_fit} steps do",
                highlight=False,
                soft_wrap=True,
            )
