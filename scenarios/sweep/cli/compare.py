"""`scenario compare`: a run beside each site alone and all records in one place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.table import Table

from consortium.run.directory import RunDirectory
from consortium.run.records import Arm, Comparison, Summary
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError, require_library
from scenarios.cli.run_request import RunRequest
from scenarios.cli.runs import (
    AllowAbsentOption,
    AttackOption,
    DataOption,
    EngineOption,
    HubsOption,
    LiarsOption,
    Name,
    OutOption,
    SeedOption,
    SetOption,
    TrackOption,
    VerboseOption,
    print_alerts,
    print_classes,
    print_words,
    run_to_end,
)
from scenarios.cli.terminal import (
    FAILED,
    console,
    errors,
    exit_failed,
    exit_on_refusal,
    exit_refused,
    write_report,
)
from scenarios.sweep.ahead import load_trials_ahead
from scenarios.sweep.cli.sweep import REDUCTION, TRIALS
from scenarios.sweep.records import SweepDirectory
from scenarios.sweep.search.space import FORMS, Search, parse_searches

if TYPE_CHECKING:
    from scenarios.sweep.tuned_arms import TunedArms  # torch is loaded where it is needed

app = typer.Typer()

SEARCH_HELP = f"Tune each way of training for itself: {FORMS}; may be repeated."

SearchOption: TypeAlias = Annotated[list[str] | None, typer.Option("--search", help=SEARCH_HELP)]
TrialsOption: TypeAlias = Annotated[
    int, typer.Option("--trials", min=2, help="Trials of each, with --search.")
]


@app.command("compare")
def compare(
    name: Name,
    *,
    engine: EngineOption = "inprocess",
    settings: SetOption = None,
    seed: SeedOption = None,
    out: OutOption = None,
    data: DataOption = None,
    attack: AttackOption = None,
    liars: LiarsOption = 1,
    hubs: HubsOption = 0,
    search: SearchOption = None,
    trials: TrialsOption = TRIALS,
    allow_absent: AllowAbsentOption = False,
    track: TrackOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Run a scenario; compare it with each site alone and with all records in one place."""
    searches = exit_on_refusal(lambda: parse_searches(search)) if search else ()
    request = RunRequest(
        name, engine=engine, settings=settings, seed=seed, data=data, verbose=verbose
    )
    request.choose_liars(attack, liars)
    request.choose_trackers(track)
    request.choose_hubs(hubs)
    directory = _begun_search(out) if searches else None
    directory = directory or request.new_directory(out)
    tuned = _tuned(request, searches, trials, directory) if searches else None

    def finish(request: RunRequest, directory: RunDirectory, summary: Summary) -> None:
        _compare_run(request, directory, summary, tuned)

    run_to_end(request, directory, finish, allow_absent=allow_absent)


def _begun_search(out: Path | None) -> RunDirectory | None:
    """Return the directory of a search that was interrupted, if that is what it holds."""
    if out is None or not _search_in(run := RunDirectory(out.resolve())).plan.exists():
        return None
    return None if run.charter.exists() else run


def _search_in(run: RunDirectory) -> SweepDirectory:
    return SweepDirectory(run.path / "search")


def _tuned(
    request: RunRequest, searches: tuple[Search, ...], trials: int, directory: RunDirectory
) -> TunedArms:
    """Tune each way of training; let the run have what the shared model chose."""
    exit_on_refusal(lambda: require_library("to search a run config", "optuna", extra="sweep"))
    load_trials_ahead(request.scenario.task)
    from scenarios.sweep.order import SweepOrder
    from scenarios.sweep.sweep import NoTrialLeft
    from scenarios.sweep.tuned_arms import FEDERATED, tune_arms

    order = SweepOrder(
        name=request.scenario.name,
        scenario=request.scenario,
        config=request.config,
        chosen={"seed": request.config.seed},
        searches=searches,
        trials=trials,
        reduction=REDUCTION,
        own_data=request.sources,
        lies=request.lies,
    )
    try:
        tuned = tune_arms(order, _search_in(directory), tell=_tell, workers=os.cpu_count() or 1)
    except NoTrialLeft as error:
        errors.print(escape_controls(str(error)), soft_wrap=True, highlight=False)
        raise typer.Exit(FAILED) from error
    except ConsortiumError as error:
        exit_refused(str(error))
    request.config = tuned.config_of(FEDERATED)
    request.on_staged = tuned.on_staged
    return tuned


def _compare_run(
    request: RunRequest, directory: RunDirectory, summary: Summary, tuned: TunedArms | None
) -> None:
    from scenarios.experiments import comparison  # torch is loaded where it is needed

    try:
        found = comparison.compare(
            request.scenario, request.config, directory, tell=_tell, tuned=tuned
        )
    except ConsortiumError as error:  # such as a site that the run continued without
        exit_failed(directory, f"the run finished but cannot be compared: {error}")
    write_report(directory)
    _print_comparison(found)
    print_alerts(request.scenario, summary)
    print_words(summary)
    print_classes(directory)
    if summary.withheld:
        console.print(f"figures of the run itself: {summary.withheld}", highlight=False)
    request.measure_robustness(directory)
    request.measure_privacy(directory)


def _print_comparison(comparison: Comparison) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("trained")
    table.add_column(comparison.metric_title, justify="right")
    table.add_column("95 % interval", justify="right")
    if comparison.search:
        table.add_column("chose")
    for arm in comparison.arms:
        cells = [arm.name, f"{arm.value:.4f}", f"{arm.low:.4f} to {arm.high:.4f}"]
        table.add_row(*cells, *([_chose(arm)] if comparison.search else []))
    gain = comparison.over_mean_alone
    if gain is not None:
        spread = f"{gain.low:.2f} to {gain.high:.2f}"
        table.add_row("Together, over the mean alone", f"{gain.ratio:.2f} times", spread)
    for site in comparison.untrained:
        table.add_row(f"{site} alone", "none", "nobody to train on")
    for site in comparison.nobody_held_out:
        table.add_row(f"at {site}", "none", "nobody is held out there")
    console.print(table)
    if comparison.search:
        _tell(f"each chose {comparison.search.basis}")
    for site, epsilon in (comparison.search.epsilons if comparison.search else {}).items():
        _tell(f"{site}: epsilon {epsilon:.3f} for the whole search and the run")


def _chose(arm: Arm) -> str:
    if arm.chosen is None:
        return ""
    return arm.chosen.words or f"nothing: {arm.chosen.failed}"


def _tell(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False)
