"""`scenario check`: each site's records beside the others', before anything is trained."""

from typing import Annotated

import typer

from consortium.cli.options import SET_HELP, WORDS_HELP
from consortium.report.preview.view import finding_lines
from consortium.wording.formatting import escape_controls
from scenarios.cli.run_request import RunRequest
from scenarios.cli.runs import Name
from scenarios.cli.terminal import FAILED, exit_on_refusal
from scenarios.experiments.record_checks import check_sites

app = typer.Typer()


@app.command("check")
def check(
    name: Name,
    *,
    settings: Annotated[list[str] | None, typer.Option("--set", help=SET_HELP)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of the experiment.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help=f"Your own data for a site, site=file. {WORDS_HELP}"),
    ] = None,
) -> None:
    """Compare each site's records with the others' counts, and show its findings; train nothing.

    It exits with 1 if a site is alarmed. In a real consortium each site sees its own findings only.
    """
    request = RunRequest(
        name, engine="inprocess", settings=settings, seed=seed, data=data, verbose=False
    )
    found = exit_on_refusal(
        lambda: check_sites(request.scenario, request.config, request.sources, lies=request.lies)
    )
    alarmed = False
    for site, findings in found.items():
        alarms = tuple(one for one in findings if one.alarming)
        alarmed |= bool(alarms)
        typer.echo(site)
        for line in finding_lines(findings, alarms):
            typer.echo(f"  {escape_controls(line)}")
    if alarmed:
        raise typer.Exit(FAILED)
