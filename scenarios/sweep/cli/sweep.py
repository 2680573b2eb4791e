"""`scenario sweep`: search the run config of a scenario."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.table import Table

from consortium.cli.options import SET_HELP, parse_overrides
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError, number_of, require_library
from scenarios.cli.run_request import RunRequest
from scenarios.cli.runs import print_whether_made_up
from scenarios.cli.terminal import FAILED, console, errors, exit_on_refusal, exit_refused
from scenarios.sweep.ahead import load_trials_ahead
from scenarios.sweep.records import SweepDirectory, SweepRecord
from scenarios.sweep.search.space import FORMS, parse_searches

if TYPE_CHECKING:
    from scenarios.sweep.order import SweepOrder  # torch is loaded where it is needed

app = typer.Typer()

SWEEPS = Path("sweeps")
TRIALS, REDUCTION = 16, 2

Name: TypeAlias = Annotated[
    str, typer.Argument(help="A scenario of `scenario list`, or a file that declares one.")
]
SearchOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--search", help=f"{FORMS}; may be repeated.")
]
TrialsOption: TypeAlias = Annotated[int, typer.Option("--trials", min=2, help="Trials drawn.")]
ReductionOption: TypeAlias = Annotated[
    int, typer.Option("--reduction", min=2, help="One of so many trials goes on at each rung.")
]
WorkersOption: TypeAlias = Annotated[
    int | None, typer.Option("--workers", min=0, help="Trials at work at a time; one a core.")
]
SetOption: TypeAlias = Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)]
SeedOption: TypeAlias = Annotated[
    int | None, typer.Option("--seed", help="Seed of the experiment.")
]
DataOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--data", help="Your own data, as for `scenario run`.")
]
AloneOption: TypeAlias = Annotated[
    bool, typer.Option("--alone", help="Tune each site's own model on its own records: no round.")
]
OutOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--out", help="The sweep's directory; one that was interrupted goes on."),
]


@app.command("sweep")
def sweep(
    name: Name,
    *,
    search: SearchOption = None,
    trials: TrialsOption = TRIALS,
    reduction: ReductionOption = REDUCTION,
    workers: WorkersOption = None,
    settings: SetOption = None,
    seed: SeedOption = None,
    data: DataOption = None,
    alone: AloneOption = False,
    out: OutOption = None,
) -> None:
    """Search a scenario's run config: many short trials, of which the best go on.

    Each trial is a run that is parked at a rung and goes on if it is among the best there. All have
    the same sites and the same split. The winner's model, report and run config are kept.
    """
    exit_on_refusal(lambda: require_library("to search a run config", "optuna", extra="sweep"))
    searches = exit_on_refusal(lambda: parse_searches(search or []))
    asked = RunRequest(
        name, engine="inprocess", settings=settings, seed=seed, data=data, verbose=False
    )
    at_work = (os.cpu_count() or 1) if workers is None else workers
    if at_work:
        load_trials_ahead(asked.scenario.task)
    from scenarios.sweep.order import SweepOrder  # torch is loaded where it is needed

    order = SweepOrder(
        name=str(Path(name).resolve()) if name.endswith(".toml") else name,
        scenario=asked.scenario,
        config=asked.config,
        chosen={**parse_overrides(settings or []), "seed": asked.config.seed},
        searches=searches,
        trials=trials,
        reduction=reduction,
        own_data=asked.sources,
        lies=asked.lies,
    )
    exit_on_refusal(lambda: order.plan)
    directory = SweepDirectory((out or _new_directory(asked.scenario.name)).resolve())
    sites = number_of(len(asked.scenario.sites), "site")
    console.print(f"{asked.scenario.title}: {sites}, {number_of(trials, 'trial')}")
    console.print(f"sweep: {directory.path}", soft_wrap=True, highlight=False)
    act = _tune_alone if alone else _search
    _with_exit_codes(lambda: act(order, directory, at_work), directory)


def _with_exit_codes(act: Callable[[], None], directory: SweepDirectory) -> None:
    """Search; say what was refused or failed, and how an interrupted sweep goes on."""
    from scenarios.sweep.sweep import NoTrialLeft

    try:
        act()
    except NoTrialLeft as error:
        errors.print(escape_controls(str(error)), soft_wrap=True, highlight=False)
        raise typer.Exit(FAILED) from error
    except ConsortiumError as error:
        exit_refused(str(error))
    except KeyboardInterrupt:
        again = "the same command goes on where it was, with"
        errors.print(f"{again} --out {directory.path}", soft_wrap=True, highlight=False)
        raise


def _tune_alone(order: SweepOrder, directory: SweepDirectory, workers: int) -> None:
    from scenarios.sweep.alone import tune_alone

    tune_alone(order, directory, tell=_tell, workers=workers)
    _tell(f"run configs: {directory.path}")


def _search(order: SweepOrder, directory: SweepDirectory, workers: int) -> None:
    """Search, print the table, and write the page and the winner's report."""
    from consortium.report.elements.run_reader import Recorded
    from consortium.report.render import render_report  # matplotlib, where it is needed
    from scenarios.sweep.outcome import write_sweep_page
    from scenarios.sweep.sweep import run_sweep

    record = run_sweep(order, directory, tell=_tell, workers=workers)
    _print_table(record)
    winner = directory.trial(record.winner)
    write_sweep_page(record, directory.page, made_up=Recorded.read(winner).synthetic_sentence)
    render_report(winner)
    print_whether_made_up(winner)
    for price in record.prices:
        _tell(
            f"{price.site}: epsilon {price.epsilon:.3f} for the whole sweep (delta {price.delta:g})"
        )
    _tell("the records that judged the trials also chose the best: its figure is too good by some")
    _tell(f"run config: scenario run {directory.best}")
    _tell(f"page: {directory.page}")
    _tell(f"report: {winner.report}")


def _print_table(record: SweepRecord) -> None:
    from scenarios.sweep.outcome import outcome_lines

    table = Table(box=None, pad_edge=False)
    table.add_column("trial", justify="right")
    for search in record.plan.searches:
        table.add_column(search.partition("=")[0], justify="right")
    for heading in ("rounds", record.plan.metric_title):
        table.add_column(heading, justify="right")
    table.add_column("")
    for line in outcome_lines(record):
        table.add_row(str(line.number), *line.values, str(line.rounds), line.figure, line.remark)
    console.print(table)


def _tell(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)


def _new_directory(scenario: str) -> Path:
    return SWEEPS / f"{scenario}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
