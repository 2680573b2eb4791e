"""`scenario check-data`: what is understood of a file, and what to type. Nothing is trained."""

from pathlib import Path
from typing import Annotated

import typer

from consortium.charter.document import Charter
from consortium.cli.options import WORDS_HELP, parse_one_source, sources_with_words
from consortium.site.data_check import DataCheck, check_data, check_lines
from consortium.wording.formatting import escape_controls
from scenarios.cli.terminal import FAILED, exit_on_refusal
from scenarios.user_data.scenario_file import named_scenario
from scenarios.user_data.sources import source_for
from sites.schema.texts import AnySchema

app = typer.Typer()


@app.command("check-data")
def check(
    file: Annotated[str, typer.Argument(help="A file, a directory or url::query.")],
    *,
    scenario: Annotated[
        str | None,
        typer.Option("--for", help="A scenario or its file, whose schema the records should have."),
    ] = None,
    charter: Annotated[
        Path | None, typer.Option("--charter", help="Or a charter, whose schema they should have.")
    ] = None,
    data: Annotated[list[str] | None, typer.Option("--data", help=WORDS_HELP)] = None,
) -> None:
    """Show what is understood of records, the first rows, and what to type; exit 1 unless they fit.

    Nothing is trained, written or sent. What is shown quotes the records.
    """
    schema = exit_on_refusal(lambda: _schema(scenario, charter))
    found = exit_on_refusal(lambda: _check(file, data or [], schema))
    for line in check_lines(found):
        typer.echo(escape_controls(line))
    if not found.fits:
        raise typer.Exit(FAILED)


def _schema(scenario: str | None, charter: Path | None) -> AnySchema | None:
    if charter is not None:
        return Charter.read(charter).table
    return None if scenario is None else named_scenario(scenario).table


def _check(file: str, data: list[str], schema: AnySchema | None) -> DataCheck:
    sources = sources_with_words([file, *data])
    source = parse_one_source([file, *data])
    fit = source if schema is None else source_for(schema, source)
    return check_data(fit, sources[0][1], schema)
