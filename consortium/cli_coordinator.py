"""`consortium coordinator`: what the operator of the coordinator does."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.installation import init_coordinator, install_coordinator

app = typer.Typer(help="Set up and run the coordinator.", no_args_is_help=True)

COORDINATOR = typer.Argument(..., help="The coordinator's directory.")


@app.command()
def init(
    directory: Path = COORDINATOR,
    host: list[str] = typer.Option(..., help="A name or address that sites reach it by."),
) -> None:
    """Make the coordinator's TLS key, which stays there, and the request for a certificate."""
    print(init_coordinator(directory, hosts=tuple(host)))


@app.command()
def install(
    directory: Path = COORDINATOR, kit: Path = typer.Argument(..., help="The kit, as it came.")
) -> None:
    """Take over a kit, once all of it is checked; run again with every later kit."""
    charter = install_coordinator(directory, kit, now=datetime.now(UTC))
    print(f"{directory}: charter {charter.name}, revision {charter.revision}, in force")
