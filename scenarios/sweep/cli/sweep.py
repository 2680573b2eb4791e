"""`scenario sweep`: search the run config of a scenario."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.cli.options import SET_HELP, parse_overrides
from consortium.config import Scalar
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError, number_of, require_library
from scenarios.cli.run_request import RunRequest
from scenarios.cli.terminal import FAILED, console, errors, exit_on_refusal, exit_refused
from scenarios.sweep.records import SweepDirectory, SweepRecord
from scenarios.sweep.space import FORMS, parse_searches

app = typer.Typer()

SWEEPS = Path("sweeps")
TRIALS, REDUCTION = 16, 2


@app.command("sweep")
def sweep(
    name: Annotated[
        str, typer.Argument(help="A scenario of `scenario list`, or a file that declares one.")
    ],
    *,
    search: Annotated[
        list[str] | None, typer.Option("--search", help=f"{FORMS}; may be repeated.")
    ] = None,
    trials: Annotated[int, typer.Option("--trials", min=2, help="How many are drawn.")] = TRIALS,
    reduction: Annotated[
        int, typer.Option("--reduction", min=2, help="One of so many goes on at each rung.")
    ] = REDUCTION,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Trials at work at a time: one a core.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the experiment.")] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help="Your own data, as for `scenario run`.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The sweep's directory; one that was interrupted goes on."),
    ] = None,
) -> None:
    """Search a scenario's run config: many short trials, of which the best go on.

    Each trial is a run that is parked at a rung and goes on if it is among the best there. All have
    the same sites and the same split. The winner's model, report and run config are kept.
    """
    request = RunRequest(
        name, engine="inprocess", settings=settings, seed=seed, data=data, verbose=False
    )
    exit_on_refusal(lambda: require_library("to search a run config", "optuna", extra="sweep"))
    searches = exit_on_refusal(lambda: parse_searches(search or []))
    from scenarios.sweep.sweep import (
        NoTrialLeft,
        SweepOrder,
        run_sweep,
    )  # torch is loaded where it is needed

    chosen: dict[str, Scalar] = {} if seed is None else {"seed": seed}
    order = SweepOrder(
        name=str(Path(name).resolve()) if name.endswith(".toml") else name,
        scenario=request.scenario,
        config=request.config,
        chosen={**parse_overrides(settings or []), **chosen},
        searches=searches,
        trials=trials,
        reduction=reduction,
        own_data=request.sources,
        lies=request.lies,
    )
    exit_on_refusal(lambda: order.plan)
    directory = SweepDirectory((out or _new_directory(request.scenario.name)).resolve())
    sites = number_of(len(request.scenario.sites), "site")
    console.print(f"{request.scenario.title}: {sites}, {number_of(trials, 'trial')}")
    console.print(f"sweep: {directory.path}", soft_wrap=True, highlight=False)
    try:
        record = run_sweep(order, directory, tell=_tell, workers=_number_of_workers(workers))
    except NoTrialLeft as error:
        errors.print(escape_controls(str(error)), soft_wrap=True, highlight=False)
        raise typer.Exit(FAILED) from error
    except ConsortiumError as error:
        exit_refused(str(error))
    except KeyboardInterrupt:
        again = "the same command goes on where it was, with"
        errors.print(f"{again} --out {directory.path}", soft_wrap=True, highlight=False)
        raise
    _finish(record, directory)


def _new_directory(scenario: str) -> Path:
    return SWEEPS / f"{scenario}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def _number_of_workers(asked: int | None) -> int:
    return (os.cpu_count() or 1) if asked is None else asked


def _tell(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)


def _finish(record: SweepRecord, directory: SweepDirectory) -> None:
    """Print the table, and write the page and the winner's report."""
    from consortium.report.render import render_report  # matplotlib, where it is needed
    from scenarios.sweep.outcome import outcome_lines, write_sweep_page

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
    write_sweep_page(record, directory.page)
    render_report(directory.trial(record.winner))
    _tell("the records that judged the trials also chose the best: its figure is too good by some")
    _tell(f"run config: scenario run {directory.best}")
    _tell(f"page: {directory.page}")
    _tell(f"report: {directory.trial(record.winner).report}")
