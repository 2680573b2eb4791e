"""`consortium run`, `resume`, `wait`, `status`, `stop`: the coordinator's runs, and how all is."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.charter.document import Charter
from consortium.cli.options import SET_HELP, parse_overrides
from consortium.config import RunConfig
from consortium.coordinator.resume import interrupted
from consortium.deployment.control_client import Control
from consortium.deployment.run_orders import RunOrder, last_run
from consortium.deployment.status import coordinator_status, site_status
from consortium.deployment.superlink import SuperLink
from consortium.deployment.wait import Waiting
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory
from privacy.errors import ConsortiumError

app = typer.Typer(help="Runs of the coordinator's.")

COORDINATOR = typer.Argument(..., help="The coordinator's directory.")


class NothingRuns(ConsortiumError, RuntimeError):
    """There is no run to wait for, to stop or to go on with."""

    code = "nothing-runs"


class RunExists(ConsortiumError, FileExistsError):
    """A run has the name already."""

    code = "run-exists"


@app.command("run")
def run(
    directory: Path = COORDINATOR,
    settings: list[str] = typer.Option([], "--set", help=SET_HELP),
    name: str = typer.Option("", help="Of the run; by default the time."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Whether to return at its end."),
) -> None:
    """Start a run of the charter that is in force."""
    superlink = SuperLink(directory)
    config = RunConfig.parse({**RunConfig().flat(), **parse_overrides(settings)})
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = CoordinatorDirectory(directory).run(name or stamp)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise RunExists(f"there is a run in {folder}: name another, or resume it") from error
    superlink.charter.write(RunDirectory(folder).charter)
    _submit_run(superlink, RunDirectory(folder), config, wait=wait)


@app.command("resume")
def resume(
    directory: Path = COORDINATOR,
    name: str = typer.Option("", help="Of the run; by default the last one."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Whether to return at its end."),
) -> None:
    """Go on with a run that was interrupted, from what it kept."""
    folder = CoordinatorDirectory(directory).run(name) if name else _require_last_run(directory)
    run_directory = RunDirectory(folder)
    config = interrupted(run_directory)
    run_directory.summary.unlink(missing_ok=True)  # that of the interrupted run
    _submit_run(SuperLink(directory), run_directory, config, wait=wait)


@app.command("wait")
def wait_for(
    directory: Path = COORDINATOR,
    begun: int = typer.Option(-1, "--round", help="Return when it begins; else at the end."),
) -> None:
    """Wait for the last run: for a round of it to begin, or for its end."""
    waiting = Waiting(Control(SuperLink(directory)), RunDirectory(_require_last_run(directory)))
    if begun < 0:
        _print_end(waiting)
    else:
        waiting.wait_for_round(begun)
        print(f"round {waiting.last_started_round()} has begun")


@app.command("status")
def status(directory: Path = typer.Argument(..., help="Of a coordinator or a site.")) -> None:
    """Say who is there, since when, what runs, the last round and the last error."""
    for line in (
        site_status(directory)
        if SiteDirectory(directory).config.exists()
        else coordinator_status(directory)
    ):
        print(line)


@app.command("stop")
def stop(directory: Path = COORDINATOR) -> None:
    """Stop the run that is going on; the sites stay up."""
    control = Control(SuperLink(directory))
    going = control.active_runs()
    if not going:
        raise NothingRuns("no run is going on")
    for number in going:
        control.stop_run(number)
        print(f"stopped {number}")


def _submit_run(
    superlink: SuperLink, run_directory: RunDirectory, config: RunConfig, *, wait: bool
) -> None:
    control = Control(superlink)
    Charter.read(run_directory.charter)
    number = control.submit_order(RunOrder(run=run_directory.path, config=config.flat()))
    print(f"{run_directory.path}: Flower's run {number}")
    if wait:
        _print_end(Waiting(control, run_directory))


def _print_end(waiting: Waiting) -> None:
    summary = waiting.wait_for_end()
    print(f"finished: {summary.rounds} rounds, model {summary.model_digest}")


def _require_last_run(directory: Path) -> Path:
    last = last_run(directory)
    if last is None:
        raise NothingRuns("there was no run yet")
    return last
