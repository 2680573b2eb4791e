"""`consortium`: what the operators of a real consortium type; one group of commands a file."""

import sys

import typer
from rich.console import Console

from consortium import (
    cli_audit,
    cli_charter,
    cli_coordinator,
    cli_encoder,
    cli_export,
    cli_provision,
    cli_run,
    cli_site,
)
from privacy.errors import ConsortiumError

FAILED = 1

app = typer.Typer(
    help="Set up and run a consortium between institutions, and check what it left behind.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(cli_charter.app, name="charter")
app.add_typer(cli_audit.app, name="audit")
app.add_typer(cli_site.app, name="site")
app.add_typer(cli_coordinator.app, name="coordinator")
app.command("provision")(cli_provision.command)
app.command("encoder")(cli_encoder.command)
app.command("export")(cli_export.command)
app.command("run")(cli_run.run)
app.command("resume")(cli_run.resume)
app.command("status")(cli_run.status)
app.command("stop")(cli_run.stop)

errors = Console(stderr=True)


def main() -> None:
    """Run the command line; exit 0 when done, 1 when refused or failed, 2 on wrong usage."""
    try:
        app()
    except ConsortiumError as error:
        errors.print(f"{error.code}: {error}", style="red", markup=False, highlight=False)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
