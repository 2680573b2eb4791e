"""`consortium coordinator`: what the operator of the coordinator does."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.deployment.control_client import Control
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supervisor import (
    kill_service,
    read_supervisor_state,
    start_detached,
    stop_service,
    supervise_service,
)
from consortium.provisioning.installation import init_coordinator, install_coordinator
from consortium.run.logs import log_in_detail

app = typer.Typer(help="Set up and run the coordinator.", no_args_is_help=True)

COORDINATOR = typer.Argument(..., help="The coordinator's directory.")


@app.command("init")
def init(
    directory: Path = COORDINATOR,
    host: list[str] = typer.Option(..., help="A name or address that sites reach it by."),
) -> None:
    """Make the coordinator's TLS key, which stays there, and the request for a certificate."""
    print(init_coordinator(directory, hosts=tuple(host)))


@app.command("install")
def install(
    directory: Path = COORDINATOR, kit: Path = typer.Argument(..., help="The kit, as it came.")
) -> None:
    """Take over a kit, once all of it is checked; run again with every later kit."""
    charter = install_coordinator(directory, kit, now=datetime.now(UTC))
    print(f"{directory}: charter {charter.name}, revision {charter.revision}, in force")
    superlink = SuperLink(directory)
    if read_supervisor_state(superlink) is not None:
        Control(superlink).enrol_nodes()
        print("the nodes of the kit are registered, others are not; a new certificate is used")
        print("from the next `consortium coordinator up` on")


@app.command("up")
def up(
    directory: Path = COORDINATOR,
    detached: bool = typer.Option(False, "--detach", help="Return once it runs."),
    verbose: bool = typer.Option(False, "--verbose", help="Log more."),
) -> None:
    """Run the SuperLink, over TLS, until told to stop; start it again if it dies."""
    if verbose:
        log_in_detail()
    superlink = SuperLink(directory)
    if detached:
        print(f"up, process {start_detached(['coordinator', 'up', str(directory)], superlink)}")
    else:
        supervise_service(superlink, ready=Control(superlink).enrol_nodes)


@app.command("down")
def down(
    directory: Path = COORDINATOR,
    kill: bool = typer.Option(False, "--kill", help="At once, as a power cut would."),
) -> None:
    """Stop the SuperLink and all that came of it."""
    ran = kill_service(SuperLink(directory)) if kill else stop_service(SuperLink(directory))
    print("stopped" if ran else "nothing ran")
