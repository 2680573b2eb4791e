"""`scenario`: list, run, resume, compare, rules, predict, inspect, audit-sum, doctor."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.audit.coordinator_view import coordinator_view
from consortium.audit.sum_verification import Auditor
from consortium.cli.options import SET_HELP, data_source
from consortium.run.directory import RunDirectory
from consortium.run.records import Comparison, Summary
from privacy.errors import ConsortiumError
from scenarios.cli import doctor as examination
from scenarios.cli.rules_table import print_rules
from scenarios.cli.run_request import RunRequest, go_on
from scenarios.cli.terminal import FAILED, console, errors, give_up, guarded, refuse, report
from scenarios.library.registry import SCENARIOS, scenario_named
from scenarios.scenario import Scenario

INTERRUPTED = 130  # as typer ends on Ctrl-C

app = typer.Typer(
    help="Run a whole consortium on this machine, with one command.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Name = Annotated[str, typer.Argument(help="A scenario; see `scenario list`.")]
EngineOption = Annotated[
    str, typer.Option("--engine", help="inprocess, simulation (with Ray) or deployment (TLS).")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Of the experiment.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="The run's directory.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        help="A site's own data: site=file or site=url::query; or one corpus for all sites: a "
        "file, a directory or url::query; column:text=note says what a column is called there.",
    ),
]
AttackOption = Annotated[
    str | None,
    typer.Option("--attack", help="What liars do, such as sign-flip; none: nobody lies."),
]
LiarsOption = Annotated[int, typer.Option("--liars", min=0, help="Sites that lie, with --attack.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", help="Show Flower's own log; log more.")]


def main() -> None:
    """Run the command line; exit 0 when done, 1 when a run failed, 2 on wrong usage, 130 on ^C."""
    try:
        app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            errors.print("interrupted; nothing was left running")
        raise


@app.command("list")
def list_() -> None:
    """Show what can be run: data, sites, what is learnt."""
    table = Table(box=None, pad_edge=False)
    for heading in ("scenario", "sites", "what it is"):
        table.add_column(heading)
    for scenario in SCENARIOS.values():
        sites = "\n".join(scenario.sites)
        table.add_row(scenario.name, sites, f"{scenario.title}.\n{scenario.story}\n")
    console.print(table)


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
    verbose: VerboseOption = False,
) -> None:
    """Run a scenario and write its report."""
    wanted = RunRequest(
        name, engine=engine, settings=settings, seed=seed, data=data, verbose=verbose
    )
    wanted.let_lie(attack, liars)
    directory, summary = wanted.carry_out(out)
    report(directory)
    _say_metrics(wanted.scenario, summary)
    console.print(f"report: {directory.report}", soft_wrap=True, highlight=False)


@app.command("resume")
def resume(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An interrupted run.")],
    *,
    engine: EngineOption = "inprocess",
    verbose: VerboseOption = False,
) -> None:
    """Go on with a run that was interrupted or parked, at the round after the last one kept."""
    directory = RunDirectory(run_directory.resolve())
    scenario, summary = go_on(directory, engine=engine, verbose=verbose)
    report(directory)
    _say_metrics(scenario, summary)
    console.print(f"report: {directory.report}", soft_wrap=True, highlight=False)


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
    verbose: VerboseOption = False,
) -> None:
    """Run a scenario and compare it with each site alone and with all records in one place."""
    from scenarios.experiments.comparison import (
        compare as measure,  # torch is loaded where it is needed
    )

    wanted = RunRequest(
        name, engine=engine, settings=settings, seed=seed, data=data, verbose=verbose
    )
    wanted.let_lie(attack, liars)
    directory, _ = wanted.carry_out(out)
    try:
        comparison = measure(wanted.scenario, wanted.config, directory, tell=console.print)
    except ConsortiumError as error:  # a site that the run went on without
        give_up(directory, f"the run finished, and cannot be compared: {error}")
    report(directory)
    _say_comparison(comparison)
    wanted.try_attacks(directory, attack, liars)
    wanted.measure_privacy(directory)
    console.print(f"report: {directory.report}", soft_wrap=True, highlight=False)


@app.command("rules")
def rules(
    sites: Annotated[int, typer.Option("--sites", min=1, help="Members of the consortium.")] = 15,
    liars: Annotated[int, typer.Option("--liars", min=0, help="Liars to survive.")] = 1,
    dim: Annotated[int, typer.Option("--dim", min=1, help="Numbers in the model.")] = 1_000_000,
) -> None:
    """Show which rules survive so many liars, and what that costs, in the clear and encrypted."""
    print_rules(console, sites=sites, liars=liars, dim=dim)


@app.command("predict")
def predict(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run.")],
    file: Annotated[str, typer.Argument(help="A table, or url::query.")],
    out: Annotated[Path | None, typer.Option("--out", help="Where to write; CSV.")] = None,
) -> None:
    """Score a person's own table with the model of a run."""
    from scenarios.experiments.prediction import predictions  # torch is loaded where it is needed

    frame = guarded(lambda: predictions(RunDirectory(run_directory), data_source(file)))
    if out is None:
        frame.to_csv(sys.stdout, index=False)
        return
    frame.to_csv(out, index=False)
    console.print(f"{len(frame)} rows scored: {out}", soft_wrap=True, highlight=False)


@app.command("inspect")
def inspect(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An encrypted run.")],
    viewer: Annotated[str, typer.Option("--as", help="Whose eyes: coordinator.")] = "coordinator",
) -> None:
    """Show what the coordinator of an encrypted run saw, and what it could not read."""
    if viewer != "coordinator":
        refuse(f"--as is coordinator, got '{viewer}'")
    view = guarded(lambda: coordinator_view(RunDirectory(run_directory)))
    console.print(
        f"run {view.run_id}\nopened by {view.opener} in epoch {view.epoch}, for "
        f"{', '.join(view.roster)}\nsecret keys held: {view.secret_keys}",
        soft_wrap=True,
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, title=f"round {view.server_round}, as it arrived")
    for heading in ("site", "weight class", "bytes", "bits/byte", "what there is to read"):
        table.add_column(heading)
    for site in view.sites:
        table.add_row(
            site.site,
            str(site.weight_class),
            str(site.upload_bytes),
            f"{site.bits_per_byte:.2f}",
            site.sample,
        )
    console.print(table)
    console.print(
        f"an update has {view.dim} numbers: {4 * view.dim} bytes as plain float32\n"
        f"sums: {view.sum_bytes} bytes, sealed state: {view.state_bytes} bytes, ending "
        f"{view.state_sample}",
        soft_wrap=True,
        highlight=False,
    )


@app.command("audit-sum")
def audit_sum(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An encrypted run.")],
) -> None:
    """Add the kept uploads again, without a key, and say who deviated if anybody did."""
    verdicts = guarded(lambda: list(Auditor.of(RunDirectory(run_directory)).verdicts()))
    for verdict in verdicts:
        console.print(
            f"round {verdict.server_round} {verdict.what}, bucket {verdict.bucket}, "
            f"{len(verdict.sites)} sites: {verdict.deviation or 'added right'}",
            soft_wrap=True,
            highlight=False,
        )
    if any(verdict.deviation for verdict in verdicts):
        raise typer.Exit(FAILED)


@app.command("practice")
def practice(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
) -> None:
    """Write what a scenario's institutions would bring: a schema, and a file of records each."""
    from scenarios.engines.staging import write_practice

    for path in guarded(lambda: write_practice(guarded(lambda: scenario_named(name)), folder)):
        console.print(str(path), soft_wrap=True, highlight=False)


@app.command("doctor")
def doctor() -> None:
    """Say whether this machine is ready, and what to do if it is not."""
    findings = list(examination.examine())
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        mark = "ok" if not finding.advice else ("no" if finding.needed else "--")
        table.add_row(mark, finding.what, finding.found, finding.advice)
    console.print(table)
    if any(finding.stops for finding in findings):
        raise typer.Exit(FAILED)


def _say_metrics(scenario: Scenario, summary: Summary) -> None:
    headline = summary.metrics.get(scenario.headline.name)
    if headline is not None:
        console.print(
            f"{scenario.headline.title} {headline.value:.4f} on {summary.held_out} held-out "
            f"records of {len(summary.evaluated)} sites, after {summary.rounds} rounds",
            highlight=False,
        )


def _say_comparison(comparison: Comparison) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("trained")
    table.add_column(comparison.metric_title, justify="right")
    table.add_column("95 % interval", justify="right")
    for arm in comparison.arms:
        table.add_row(arm.name, f"{arm.value:.4f}", f"{arm.low:.4f} to {arm.high:.4f}")
    console.print(table)
