"""`consortium run`, `status`, `stop`: a run of the coordinator's, and where all stands."""

import time
from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.charter import Charter
from consortium.config import RunConfig
from consortium.control import Control
from consortium.options import overrides
from consortium.orders import Order, last_run
from consortium.processes import LaunchFailed
from consortium.resumption import interrupted
from consortium.run_directory import RunDirectory
from consortium.standing import of_coordinator, of_site
from consortium.summary import Summary, read_record
from consortium.superlink import SuperLink
from privacy.errors import ConsortiumError

_LOOK_S = 1.0
_ASK_EVERY = 20  # looks; asking the SuperLink costs a process

app = typer.Typer(help="Runs of the coordinator's.")

COORDINATOR = typer.Argument(..., help="The coordinator's directory.")


class NothingRuns(ConsortiumError, RuntimeError):
    """There is no run to wait for, to stop or to go on with."""


@app.command()
def run(
    directory: Path = COORDINATOR,
    settings: list[str] = typer.Option([], "--set", help="A key of the run config, key=value."),
    name: str = typer.Option("", help="Of the run; by default the time."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Whether to return at its end."),
) -> None:
    """Start a run of the charter that is in force."""
    superlink = SuperLink(directory)
    config = RunConfig.parse({**RunConfig().flat(), **overrides(settings)})
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = directory.resolve() / "runs" / (name or stamp)
    folder.mkdir(parents=True, exist_ok=False)
    superlink.charter.write(RunDirectory(folder).charter)
    _begin(superlink, RunDirectory(folder), config, wait=wait)


@app.command()
def resume(
    directory: Path = COORDINATOR,
    name: str = typer.Option("", help="Of the run; by default the last one."),
    wait: bool = typer.Option(True, "--wait/--no-wait", help="Whether to return at its end."),
) -> None:
    """Go on with a run that was interrupted, from what it kept."""
    last = last_run(directory)
    folder = directory.resolve() / "runs" / name if name else last
    if folder is None:
        raise NothingRuns("there was no run yet")
    run_directory = RunDirectory(folder)
    config = interrupted(run_directory)
    run_directory.summary.unlink(missing_ok=True)  # that of the interrupted run
    _begin(SuperLink(directory), run_directory, config, wait=wait)


@app.command()
def status(directory: Path = typer.Argument(..., help="Of a coordinator or a site.")) -> None:
    """Say who is there, since when, what runs, the last round and the last error."""
    for line in (
        of_site(directory) if (directory / "site.json").exists() else of_coordinator(directory)
    ):
        print(line)


@app.command()
def stop(directory: Path = COORDINATOR) -> None:
    """Stop the run that is going on; the sites stay up."""
    control = Control(SuperLink(directory))
    going = [one for one in control.runs() if not str(one["status"]).startswith("finished")]
    if not going:
        raise NothingRuns("no run is going on")
    for one in going:
        control.stop(int(one["run-id"]))
        print(f"stopped {one['run-id']}")


def _begin(
    superlink: SuperLink, run_directory: RunDirectory, config: RunConfig, *, wait: bool
) -> None:
    control = Control(superlink)
    Charter.read(run_directory.charter)
    number = control.submit(Order(run=run_directory.path, config=config.flat()))
    print(f"{run_directory.path}: Flower's run {number}")
    if wait:
        _await(control, run_directory, number)


def _await(control: Control, run_directory: RunDirectory, number: int) -> None:
    looks = 0
    while not run_directory.summary.exists():
        looks += 1
        if looks % _ASK_EVERY == 0 and control.status_of(number).startswith("finished"):
            break
        time.sleep(_LOOK_S)
    if not run_directory.summary.exists():
        raise LaunchFailed(f"the run did not finish; see {control.superlink.log}")
    summary = read_record(run_directory.summary, Summary)
    if summary.status != "finished":
        raise LaunchFailed(f"the run ended as {summary.status}: {summary.error}")
    print(f"finished: {summary.rounds} rounds, model {summary.model_digest}")
