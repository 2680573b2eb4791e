"""`scenario inspect` and `audit-sum`: what a coordinator saw, and whether its sums are right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.audit.coordinator_view import coordinator_view
from consortium.audit.league.view import view_of_league
from consortium.audit.league.words import described_league
from consortium.audit.sum_verification import Auditor
from consortium.run.directory import RunDirectory
from privacy.errors import number_of
from scenarios.cli.terminal import FAILED, console, exit_on_refusal, exit_refused

COORDINATOR = "coordinator"

app = typer.Typer()


@app.command("inspect")
def inspect(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An encrypted run.")],
    league: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="coordinator[,SITE...]",
            help="Show instead what the coordinator in league with these sites can open.",
        ),
    ] = COORDINATOR,
) -> None:
    """Show what the coordinator of an encrypted run saw and could not read."""
    first, *sites = league.split(",")
    if first != COORDINATOR:
        exit_refused(f"--as must begin with {COORDINATOR}, the sites follow: {COORDINATOR},SITE")
    if sites:
        _show_league(RunDirectory(run_directory), sites)
        return
    view = exit_on_refusal(lambda: coordinator_view(RunDirectory(run_directory)))
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


def _show_league(run: RunDirectory, sites: Sequence[str]) -> None:
    """Print what the coordinator and some sites can open, and how it was found."""
    directories = {name: run.site(name) for name in sites}
    view = exit_on_refusal(lambda: view_of_league(Auditor.for_run(run), directories))
    for line in described_league(view):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


@app.command("audit-sum")
def audit_sum(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An encrypted run.")],
    evidence: Annotated[
        list[Path] | None,
        typer.Option(help="A site's directory, or what it gave as evidence; may be repeated."),
    ] = None,
) -> None:
    """Add the stored uploads again, without a key, and name whoever deviated.

    The evidence says what the sites were shown. In a run on one machine it is found.
    """
    run = RunDirectory(run_directory)
    places = evidence or sorted(run.path.glob("sites/*"))
    auditor = exit_on_refusal(lambda: Auditor.for_run(run, places))
    verdicts = exit_on_refusal(lambda: list(auditor.check_sums()))
    for verdict in verdicts:
        console.print(
            f"round {verdict.server_round} {verdict.what}, bucket {verdict.bucket}, "
            f"{number_of(len(verdict.sites), 'site')}: {verdict.text}",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
    missing = auditor.rounds_without_uploads()
    if missing:
        console.print(
            f"{len(missing)} earlier rounds: not decided, their uploads are no longer kept "
            "(keep-uploads=all keeps them)",
            soft_wrap=True,
            highlight=False,
        )
    for name in auditor.sums_with_deleted_uploads():
        console.print(f"{name}: not decided, its uploads were deleted", highlight=False)
    if any(verdict.deviation for verdict in verdicts):
        raise typer.Exit(FAILED)
