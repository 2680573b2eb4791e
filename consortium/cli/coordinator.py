"""`consortium coordinator`: set up, start and stop a coordinator, or a hub."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from consortium.cli.options import COORDINATOR, TRACK_HELP
from consortium.coordinator.tracking.registry import parse_trackers, trackers_in_environment
from consortium.deployment.control_client import Control
from consortium.deployment.hubs.node_keeper import NodeKeeper
from consortium.deployment.superlink import SuperLink
from consortium.deployment.supernode import SuperNode
from consortium.deployment.supervisor import (
    kill_service,
    read_supervisor_state,
    require_not_running,
    start_detached,
    stop_service,
    supervise_service,
)
from consortium.provisioning.certificates import certificate_digest, read_certificate
from consortium.provisioning.hub_enrolment import hub_half, init_hub
from consortium.provisioning.installation import (
    init_coordinator,
    install_coordinator,
    public_question_key,
    renew_server_certificate,
)
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.logs import log_in_detail
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.upload_deletion import UPLOADS_DAYS, delete_old_uploads, delete_run_uploads
from privacy.errors import number_of

app = typer.Typer(help="Set up and run the coordinator, or a hub.", no_args_is_help=True)


@app.command("init")
def init(
    directory: Path = typer.Argument(..., help="The coordinator's directory."),
    host: list[str] = typer.Option(..., help="A host name or address for sites; may be repeated."),
    hub: str = typer.Option("", metavar="NAME", help="Set up the hub of this name instead."),
) -> None:
    """Create the coordinator's authority, TLS key and signing key, which stay in the directory.

    The certificate of the authority is for whoever drafts the charter. A hub's directory is a
    coordinator's too, as members come to it; it also has the keys with which the hub signs its sums
    and comes to the coordinator of the run.
    """
    now = datetime.now(UTC)
    if hub:
        path = init_hub(directory, name=hub, hosts=tuple(host), now=now)
    else:
        path = init_coordinator(directory, hosts=tuple(host), now=now)
    print(f"{path}: authority {certificate_digest(read_certificate(path))}")


@app.command("renew")
def renew(directory: Path = COORDINATOR) -> None:
    """Renew the server's certificate with the coordinator's own authority, for another year."""
    granted = renew_server_certificate(directory, now=datetime.now(UTC))
    print(f"valid to {granted.not_valid_after_utc:%Y-%m-%d}, from the next `coordinator up` on")


@app.command("key")
def key(directory: Path = COORDINATOR) -> None:
    """Show the public half of the key that signs the coordinator's questions, for the charter."""
    print(public_question_key(directory))


@app.command("public")
def public(
    directory: Path = COORDINATOR,
    address: str = typer.Option(..., help="The hub's address for its members, HOST:PORT."),
    out: Path | None = typer.Option(None, "--out", help="A file; by default the terminal."),
) -> None:
    """Show or write the public half of a hub's keys, which others may have."""
    half = hub_half(directory, address=address)
    if out is None:
        print(half.model_dump_json(indent=1))
    else:
        half.write(out)


@app.command("install")
def install(
    directory: Path = COORDINATOR,
    kit: Path = typer.Argument(..., help="The kit, packed or unpacked."),
) -> None:
    """Check a kit and install it; repeat with every later kit."""
    charter = install_coordinator(directory, kit, now=datetime.now(UTC))
    print(f"{directory}: charter {charter.name}, revision {charter.revision}, in force")
    superlink = SuperLink(directory)
    if read_supervisor_state(superlink) is not None:
        Control(superlink).enrol_nodes()
        print(
            "the nodes in the kit are registered, and no others; a new certificate takes effect at"
        )
        print("the next `consortium coordinator up`")


@app.command("up")
def up(
    directory: Path = COORDINATOR,
    detached: bool = typer.Option(False, "--detach", help="Run in the background."),
    fresh_registry: bool = typer.Option(
        False, "--fresh-registry", help="Forget all nodes first, and register the members' anew."
    ),
    uploads_days: int = typer.Option(
        UPLOADS_DAYS, min=1, help="Uploads of encrypted runs are deleted after so many days."
    ),
    track: list[str] = typer.Option([], "--track", help=TRACK_HELP),
    verbose: bool = typer.Option(False, "--verbose", help="Log more."),
) -> None:
    """Run the SuperLink behind its gateway until told to stop; restart it if it dies."""
    if verbose:
        log_in_detail()
    followed = parse_trackers(track)
    superlink = SuperLink(directory)
    if fresh_registry:
        require_not_running(superlink)
        superlink.forget_registry()
    if detached:
        words = ["coordinator", "up", str(directory), "--uploads-days", str(uploads_days)]
        words += [word for one in followed for word in ("--track", one)]
        print(f"up, process {start_detached(words, superlink)}")
        return

    def delete() -> None:
        delete_old_uploads(directory, now=datetime.now(UTC), days=uploads_days)

    keeper = NodeKeeper(SuperNode.of_hub(directory)) if superlink.hub else None
    with trackers_in_environment(followed):
        supervise_service(
            superlink,
            ready=Control(superlink).enrol_nodes,
            hourly=delete,
            often=keeper.look if keeper else lambda: None,
        )


@app.command("down")
def down(
    directory: Path = COORDINATOR,
    kill: bool = typer.Option(False, "--kill", help="Kill it at once, as a power cut would."),
) -> None:
    """Stop the SuperLink and all its processes."""
    ran = kill_service(SuperLink(directory)) if kill else stop_service(SuperLink(directory))
    print("stopped" if ran else "nothing was running")


@app.command("delete-uploads")
def delete_uploads(
    directory: Path = COORDINATOR,
    name: str = typer.Option("", help="The run's name; by default all runs not in progress."),
    older_than: int = typer.Option(0, min=0, help="Only what came more than so many days ago."),
) -> None:
    """Delete uploads of encrypted runs; receipts and sums stay. Audit the sums first."""
    # Without a number of days all go, also what came while the clock was ahead of today's.
    now = datetime.now(UTC) if older_than else datetime.max.replace(tzinfo=UTC)
    if not name:
        deleted = delete_old_uploads(directory, now=now, days=older_than)
    else:
        run = RunDirectory(CoordinatorDirectory(directory).run(name))
        if not run.path.is_dir():
            raise BadRunDirectory(f"there is no run {name} in {directory}")
        deleted = delete_run_uploads(run, before=now - timedelta(days=older_than))
    print(f"{number_of(deleted, 'upload')} deleted")
