"""`scenario init`: propose a scenario's file from tables, for a person to correct."""

import re
from pathlib import Path
from typing import Annotated

import typer

from consortium.cli.options import WORDS_HELP
from scenarios.cli.terminal import console, exit_on_refusal, exit_refused
from scenarios.user_data.proposal import propose
from scenarios.user_data.proposed_file import proposed_file
from scenarios.user_data.scenario_file import ENDING
from sites.schema.tables import NAME

app = typer.Typer()


@app.command("init")
def init(
    file: Annotated[Path, typer.Argument(help="The file to write, such as readmission.toml.")],
    *,
    tables: Annotated[
        list[str],
        typer.Option(
            "--from", help="A site's table, site=file or site=url::query; one for each site."
        ),
    ],
    person: Annotated[
        str | None, typer.Option("--person", help="The column that says whose a row is.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="The column to learn.")] = None,
    data: Annotated[list[str] | None, typer.Option("--data", help=WORDS_HELP)] = None,
) -> None:
    """Propose a scenario of your own from tables, as a file for you to correct.

    Nothing is trained or sent. What is written quotes values of the tables.
    """
    if file.suffix != ENDING or not re.fullmatch(NAME, file.stem):
        exit_refused(
            f"the file of a scenario is named after it: lower case, and {ENDING}, got {file.name}"
        )
    if file.exists():
        exit_refused(f"{file} is there already: name another file, or remove it")
    given = [_site_and_table(text) for text in tables]
    sites = dict(given)
    if len(sites) < len(given):
        exit_refused("two tables are of one site: name the site of each, as in --from north=a.csv")
    proposal = exit_on_refusal(lambda: propose(sites, data or [], person=person, label=label))
    file.write_text(proposed_file(proposal, file.stem, beside=file.parent), encoding="utf-8")
    console.print(f"proposed: {file}", soft_wrap=True, highlight=False)
    console.print(f"correct it, then: scenario check {file}", soft_wrap=True, highlight=False)


def _site_and_table(text: str) -> tuple[str, str]:
    """Return a site and its table; without a site, one that is named after the file."""
    site, equals, table = text.partition("=")
    if equals and re.fullmatch(NAME, site):
        return site, table
    named = Path(text).name.partition(".")[0].casefold()
    return (named if re.fullmatch(NAME, named) else "site-a"), text
