"""`scenario run` and `resume`: whole runs, with their options."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.table import Table

from consortium.cli.options import SET_HELP, TRACK_HELP, WORDS_HELP
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from consortium.wording.formatting import escape_controls
from consortium.wording.metric_glossary import AVERAGES
from privacy.errors import number_of
from scenarios.cli.left_out import exit_without, print_absences
from scenarios.cli.run_request import RunRequest, resume_with_progress
from scenarios.cli.terminal import console, write_report
from scenarios.engines.site_reports import alarms_of, refused_own_data
from scenarios.scenario import RECALL_AT_1_PERCENT, Scenario
from sites.evaluation.binary import ALERT_RATES
from sites.evaluation.multiclass import ClassesEvaluation
from sites.schema.tables import ClassLabel

app = typer.Typer()

Name = Annotated[
    str, typer.Argument(help="A scenario of `scenario list`, or a file that declares one: my.toml.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="inprocess, simulation (with Ray) or deployment (TLS).")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Seed of the experiment.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The run's directory.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="Your own data for a site, site=file or site=url::query; or one corpus for all sites, "
        "a file, a directory or url::query. " + WORDS_HELP,
    ),
]
AttackOption = Annotated[
    str | None,
    typer.Option("--attack", help="What liars do, such as sign-flip; none: no site lies."),
]
LiarsOption = Annotated[int, typer.Option("--liars", min=0, help="Sites that lie, with --attack.")]
HubsOption = Annotated[
    int,
    typer.Option("--hubs", min=0, help="Hubs that the sites stand behind, which add for them."),
]
TrackOption = Annotated[list[str] | None, typer.Option("--track", help=TRACK_HELP)]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Flower's own log; log more.")]
AllowAbsentOption = Annotated[
    bool,
    typer.Option(
        "--allow-absent", help="End with 0 also if a site refuses the data that you gave it."
    ),
]


_CLASS_FIGURES = ("precision", "recall", "f1")
_MOST_CLASSES = 30

Finish: TypeAlias = Callable[[RunRequest, RunDirectory, Summary], None]


@app.command("run")
def run(
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
    allow_absent: AllowAbsentOption = False,
    track: TrackOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Run a scenario and write its report."""
    request = RunRequest(
        name, engine=engine, settings=settings, seed=seed, data=data, verbose=verbose
    )
    request.choose_liars(attack, liars)
    request.choose_trackers(track)
    request.choose_hubs(hubs)
    run_to_end(request, request.new_directory(out), show_run, allow_absent=allow_absent)


def run_to_end(
    request: RunRequest, directory: RunDirectory, finish: Finish, *, allow_absent: bool
) -> None:
    """Run what was asked for, and show what came of it.

    Args:
        request: What was asked for.
        directory: The run's, empty.
        finish: Shows what came of it, if the run has all records that were given.
        allow_absent: Whether that holds also if a site refused the data that it was given.
    """
    summary = request.run(directory)
    refused = refused_own_data(directory, summary)
    request.leave_out(refused)
    # A run of fewer records than were given is compared only if that is accepted.
    end = finish if allow_absent or not refused else show_run
    end(request, directory, summary)
    _print_end(directory, summary)
    if refused and not allow_absent:
        exit_without(refused)


def show_run(request: RunRequest, directory: RunDirectory, summary: Summary) -> None:
    """Write the report of a run, and print its figures."""
    write_report(directory)
    _print_metrics(request.scenario, summary)
    print_alerts(request.scenario, summary)
    print_words(summary)
    print_classes(directory)


@app.command("resume")
def resume(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An interrupted run.")],
    *,
    engine: EngineOption = "inprocess",
    allow_absent: AllowAbsentOption = False,
    track: TrackOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Resume a run that was interrupted or parked, after the last round it saved."""
    directory = RunDirectory(run_directory.resolve())
    scenario, summary = resume_with_progress(directory, engine=engine, verbose=verbose, track=track)
    write_report(directory)
    _print_metrics(scenario, summary)
    print_alerts(scenario, summary)
    print_words(summary)
    print_classes(directory)
    _print_end(directory, summary)
    refused = refused_own_data(directory, summary)
    if refused and not allow_absent:
        exit_without(refused)


def _print_end(directory: RunDirectory, summary: Summary) -> None:
    print_whether_made_up(directory)
    for warning in (*summary.warnings, *alarms_of(directory, summary)):
        console.print(f"warning: {warning}", soft_wrap=True, highlight=False)
    print_absences(directory)
    console.print(f"report: {directory.report}", soft_wrap=True, highlight=False)


def print_whether_made_up(directory: RunDirectory) -> None:
    """Print whose records are SYNTHETIC, if any are, as the report says it."""
    from consortium.report.elements.run_reader import Recorded  # which loads what runs load

    if said := Recorded.read(directory).synthetic_sentence:
        console.print(said, soft_wrap=True, highlight=False)


def _print_metrics(scenario: Scenario, summary: Summary) -> None:
    headline = summary.metrics.get(scenario.headline.name)
    if headline is not None:
        console.print(
            f"{scenario.headline.title} {headline.value:.4f} on {summary.held_out} held-out "
            f"records of {number_of(len(summary.evaluated), 'site')}, after "
            f"{number_of(summary.rounds, 'round')}",
            highlight=False,
        )
    elif summary.withheld:
        console.print(f"{scenario.headline.title}: {summary.withheld}", highlight=False)


def print_words(summary: Summary) -> None:
    """Print the token accuracy with the share of O, if words were counted."""
    right, outside = (summary.metrics.get(name) for name in ("token_accuracy", "outside_share"))
    if right is not None and outside is not None:
        console.print(
            f"Token accuracy {right.value:.4f}; {outside.value:.4f} of the words are in no entity "
            "(O), so a model that finds nothing reaches that",
            soft_wrap=True,
            highlight=False,
        )


def print_alerts(scenario: Scenario, summary: Summary) -> None:
    """Print what is found at fixed shares of alerts and its cost, if it is judged by that."""
    if scenario.headline != RECALL_AT_1_PERCENT or scenario.headline.name not in summary.metrics:
        return
    label = scenario.table.label
    unit = label.costs.unit if isinstance(label, ClassLabel) and label.costs else ""
    for name, share in ALERT_RATES.items():
        figures = {
            what: summary.metrics[f"{what}_at_{name}"].value
            for what in ("recall", "precision", "cost")
            if f"{what}_at_{name}" in summary.metrics
        }
        said = [
            f"{what} {value:.2f} {unit} for each 1,000 records"
            if what == "cost"
            else f"{what} {value:.4f}"
            for what, value in figures.items()
        ]
        console.print(f"at most {100 * share:g} % alerts: {', '.join(said)}", highlight=False)


def print_classes(directory: RunDirectory) -> None:
    """Print how well each of three or more classes is told, from the counts of all sites."""
    from consortium.report.elements.run_reader import Recorded  # which loads what runs load

    recorded = Recorded.read(directory)
    tally, evaluation = recorded.pooled_evaluation, recorded.evaluation
    if tally is None or not isinstance(evaluation, ClassesEvaluation):
        return
    curves = evaluation.curves(tally)
    if "averages" not in curves:
        return
    found = sorted(curves["classes"].items(), key=lambda item: -item[1]["support"])
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in _CLASS_FIGURES:
        table.add_column(title, justify="right")
    table.add_column("records", justify="right")
    averages = [(AVERAGES[kind], one) for kind, one in curves["averages"].items()]
    for name, one in (*found[:_MOST_CLASSES], *averages):
        cells = (f"{one[key]:.4f}" if key in one else "none" for key in _CLASS_FIGURES)
        table.add_row(escape_controls(name), *cells, f"{one['support']:,}")
    console.print(table, highlight=False)
    more = len(found) - _MOST_CLASSES
    if more > 0:
        console.print(f"{number_of(more, 'rarer class')} not shown")
