"""`scenario inspect` and `audit-sum`: what a coordinator saw, and whether its sums are right."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from consortium.audit.coordinator_view import coordinator_view
from consortium.audit.league.plaintexts import Numbers
from consortium.audit.league.view import Estimate, LeagueView, OpenPart, RoundView, view_of_league
from consortium.audit.sum_verification import Auditor
from consortium.run.directory import RunDirectory
from privacy.errors import abbreviated_names, number_of
from scenarios.cli.terminal import FAILED, console, exit_on_refusal, exit_refused

COORDINATOR = "coordinator"

_NUM_SHOWN = 4

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
    everybody = {path.name: path for path in run.path.glob("sites/*")}
    view = exit_on_refusal(
        lambda: view_of_league(Auditor.for_run(run), directories, evidence=everybody)
    )
    for line in described_league(view):
        console.print(line, soft_wrap=True, highlight=False)


@app.command("audit-sum")
def audit_sum(
    run_directory: Annotated[Path, typer.Argument(metavar="RUN", help="An encrypted run.")],
    evidence: Annotated[
        list[Path] | None,
        typer.Option(help="A site's directory, or what it gave as evidence; may be repeated."),
    ] = None,
    hub: Annotated[
        list[Path] | None,
        typer.Option(help="A hub's directory, with the uploads that it added; may be repeated."),
    ] = None,
) -> None:
    """Add the stored uploads again, without a key, and name whoever deviated.

    The evidence says what the sites were shown. In a run on one machine it is found, and so are the
    directories of hubs.
    """
    run = RunDirectory(run_directory)
    places = evidence or sorted(run.path.glob("sites/*"))
    auditor = exit_on_refusal(lambda: Auditor.for_run(run, places, hub or ()))
    verdicts = exit_on_refusal(lambda: list(auditor.check_sums()))
    for verdict in verdicts:
        console.print(
            f"round {verdict.server_round} {verdict.what}, bucket {verdict.bucket}, "
            f"{number_of(len(verdict.sites), 'site')}: {verdict.text}",
            soft_wrap=True,
            highlight=False,
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


def described_league(view: LeagueView) -> Iterator[str]:
    """Yield the lines that say what opens, round by round, and the conclusion last."""
    members = ", ".join(view.members)
    yield (
        f"the coordinator in league with {members}: every kept upload is decrypted with the run's "
        f"key{', the masks that they know are taken off, ' if view.masked else ', '}"
        "and the equations that are left are solved"
    )
    for name in view.without_secrets:
        yield (
            f"{name} has deleted its secrets with other sites; the equations are solved as if it "
            "had kept them"
        )
    for one in view.rounds:
        yield from _described_round(one, view.members)
    yield from map(_described_estimate, view.estimates)
    if view.unsigned:
        yield f"{number_of(view.unsigned, 'kept upload')} without a receipt: not looked at"
    opened = view.opened_sites
    yield (
        f"OPEN: more than the charter allows, of {', '.join(opened)}"
        if opened
        else "nothing opens but sums that the sites confirmed"
    )


def _described_round(one: RoundView, members: Sequence[str]) -> Iterator[str]:
    yield f"round {one.server_round} {one.what}, {number_of(len(one.uploads), 'upload')}:"
    for part in one.open:
        yield f"  opens: {_described_part(part)}"
    if not one.open:
        yield "  nothing opens"
    told = ", ".join(
        f"{upload.site} {upload.p_value:.2g}"
        + (f" (attempt {upload.attempt})" if upload.attempt > 1 else "")
        for upload in one.uploads
        if upload.site not in members  # who knows what it sent itself
    )
    yield f"  p-values if what is left of each is noise, which is no proof: {told}"


def _described_part(part: OpenPart) -> str:
    if tuple(part.factors) == part.honest and len(part.honest) == 1:
        told = f"what {part.honest[0]} sent, ALONE"
    elif part.confirmed_by:
        told = f"the sum over {_added(part.factors)}, confirmed by "
        told += abbreviated_names(part.confirmed_by)
        told += f"; of them only {', '.join(part.honest)} is honest" if part.is_small else ""
    else:
        told = f"{_added(part.factors)}, which nobody confirmed"
    return f"{told}; {_numbers(part.numbers)}"


def _described_estimate(one: Estimate) -> str:
    told = (
        f"the sums of rounds {one.server_round} and {one.other_round} differ by {one.site}: what "
        f"it sent in round {one.server_round} can be estimated"
    )
    if one.cosine is None or one.relative_error is None:
        return f"{told}; it kept nothing to compare that with"
    return f"{told}, with a cosine of {one.cosine:.2f} and a relative error of " + (
        f"{one.relative_error:.2f}"
    )


def _added(factors: Mapping[str, Fraction]) -> str:
    if set(factors.values()) == {Fraction(1)}:
        return abbreviated_names(sorted(factors))
    return " ".join(f"{factor:+} {site}" for site, factor in sorted(factors.items()))


def _numbers(numbers: Numbers | None) -> str:
    if numbers is None:
        return "not computed: secrets that it takes are deleted"
    shown = " ".join(f"{one:.3g}" for one in numbers.values[:_NUM_SHOWN])
    proof = "its checksum proves it" if numbers.checksum_right else "its checksum is WRONG"
    return (
        f"{number_of(len(numbers.values), 'number')} of norm {numbers.norm:.3g}, beginning "
        f"{shown}; {proof}"
    )
