"""`consortium run`, `resume`, `wait`, `watch`, `stop`: control a coordinator's runs."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.charter.document import Charter
from consortium.cli.options import (
    COORDINATOR,
    LEADING,
    PORT,
    SET_HELP,
    announce_page,
    parse_overrides,
)
from consortium.config import RunConfig, new_run_config
from consortium.coordinator.later_runs.continuation import WaitingRun
from consortium.coordinator.later_runs.later_evaluation import later_config
from consortium.coordinator.later_runs.periods import period_config
from consortium.coordinator.resume import NotResumable, interrupted_config
from consortium.deployment.control_client import Control
from consortium.deployment.run_orders import RunOrder, last_run
from consortium.deployment.superlink import SuperLink
from consortium.deployment.wait import Waiting
from consortium.modes.registry import mode_of
from consortium.protocol.evaluation_bins import evaluation_of
from consortium.run.absences import absence_text, absences_of
from consortium.run.directory import RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.run.records import Summary, read_record
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError, abbreviated_names, number_of

app = typer.Typer(help="Control and inspect a coordinator's runs.")

NAME = typer.Option("", help="The run's name; by default the last run.")
WAIT = typer.Option(True, "--wait/--no-wait", help="Whether to wait until the run ends.")
_SEEDS = 2**32  # exact in every program that reads JSON, and short enough to be typed again


class NothingRuns(ConsortiumError, RuntimeError, code="nothing-runs"):
    """There is no run to wait for, to stop or to resume."""


class RunExists(ConsortiumError, FileExistsError, code="run-exists"):
    """A run with this name already exists."""


@app.command("run")
def run(
    directory: Path = LEADING,
    settings: list[str] = typer.Option([], "--set", help=SET_HELP),
    without: list[str] = typer.Option(
        [], metavar="SITE", help="A member that this run leaves out; may be repeated."
    ),
    name: str = typer.Option("", help="The run's name; by default the time."),
    wait: bool = WAIT,
) -> None:
    """Start a run under the charter in force, from a seed of its own unless one is given."""
    superlink = SuperLink(directory)
    # From one start and seed, runs with and without a site would show that site's first update.
    drawn = {"seed": secrets.randbelow(_SEEDS)}
    left_out = {"without": ",".join(sorted({*without}))} if without else {}
    told, charter = {**parse_overrides(settings), **left_out}, superlink.charter
    config = new_run_config(drawn, told, task=charter.task)
    config.require_members_left_out(charter.names)
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder = CoordinatorDirectory(directory).run(name or stamp)
    _start_run(superlink, RunDirectory(folder), config, wait=wait)


@app.command("evaluate")
def evaluate(
    directory: Path = LEADING,
    name: str = NAME,
    wait: bool = WAIT,
) -> None:
    """Count the evaluation that a finished run withheld, once all sites are back.

    The figures go into the run and its report. Nothing is trained.
    """
    superlink = SuperLink(directory)
    run_directory = _find_run(directory, name)
    config = later_config(run_directory, superlink.charter)
    _start_run(superlink, run_directory.next_evaluation(), config, wait=wait)
    if wait and not read_record(run_directory.summary, Summary).withheld:
        print(f"the figures are in {run_directory.path}")


@app.command("monitor")
def monitor(
    directory: Path = LEADING,
    period: str = typer.Option(
        ..., help="The name under which the sites declared their records, such as 2026-03."
    ),
    name: str = NAME,
    wait: bool = WAIT,
) -> None:
    """Count how a later period differs from what a run's model learned from.

    Nothing is trained. Each site counts the records that its operator declared (`consortium site
    period`). Figures of all periods stand in the run's report and in its `periods.csv`.
    """
    from consortium.report.monitoring.rows import period_lines  # no other command reads a report

    superlink, found = SuperLink(directory), _find_run(directory, name)
    judged = found.judged_run() or found
    config = period_config(judged, superlink.charter, period)
    _start_run(superlink, judged.period(period), config, wait=wait)
    if wait:
        for line in period_lines(judged, period):
            print(escape_controls(line))


@app.command("resume")
def resume(
    directory: Path = LEADING,
    name: str = NAME,
    without: list[str] = typer.Option(
        [],
        metavar="SITE",
        help="A member that is gone for good, and for which a run with masks waits; may be "
        "repeated. All who remain sign that the run goes on without it: the first call drafts the "
        "revision and says what it lets be estimated, the second one goes on under it.",
    ),
    wait: bool = WAIT,
) -> None:
    """Resume an interrupted run from its last completed round."""
    superlink, run_directory = SuperLink(directory), _find_run(directory, name)
    config = interrupted_config(run_directory)
    if without:
        waiting = WaitingRun.read(run_directory, config)
        return _go_on_without(superlink, waiting, without, wait=wait)
    superlink.require_up()
    run_directory.summary.unlink(missing_ok=True)  # else `wait` would take it for the end
    return _submit_run(superlink, run_directory, config, wait=wait)


def _go_on_without(
    superlink: SuperLink, waiting: WaitingRun, without: Sequence[str], *, wait: bool
) -> None:
    """Go on under the charter in force, if it says so; else draft one that does."""
    agreed = superlink.charter
    if waiting.goes_on_under(agreed, without):
        to = waiting.directory.next_continuation()
        return _start_run(superlink, to, waiting.next_config(agreed), wait=wait)
    if agreed.fingerprint != waiting.charter.fingerprint:
        raise NotResumable(
            f"the charter in force is revision {agreed.revision}, and does not say that this run "
            f"goes on without {abbreviated_names(sorted(without))}: start a new run"
        )
    draft, path = waiting.revision(without), waiting.directory.revision
    draft.write(path)
    print(f"{path}: revision {draft.revision}, members {', '.join(draft.names)}")
    for line in waiting.what_shows(without):
        print(line)
    print(
        "now all of them sign it (`consortium charter sign`), and everybody installs the new kits; "
        "then type this once more"
    )
    return None


@app.command("wait")
def wait_for(
    directory: Path = LEADING,
    begun: int = typer.Option(
        -1, "--round", help="Wait until this round starts; by default until the end."
    ),
) -> None:
    """Wait until the last run ends, or until one of its rounds starts."""
    waiting = Waiting(Control(SuperLink(directory)), _find_run(directory), tell=print)
    if begun < 0:
        _print_end(waiting)
    else:
        waiting.wait_for_round(begun)
        print(f"round {waiting.last_started_round()} has started")


@app.command("watch")
def watch(
    directory: Path = LEADING,
    name: str = typer.Argument("", metavar="[RUN]", help="The run's name; by default the last."),
    port: int = PORT,
) -> None:
    """Show a run on a page of this machine while it goes on; Ctrl-C ends it."""
    from consortium.report.watch.server import serve_run  # no other command serves a page

    serve_run(_find_run(directory, name).path, port=port, tell=announce_page)


@app.command("stop")
def stop(directory: Path = COORDINATOR) -> None:
    """Stop the current run; the sites stay up. At a hub, end its part of the runs that go on."""
    superlink = SuperLink(directory)
    superlink.require_up()
    control = Control(superlink)
    going = control.active_runs()
    if not going:
        raise NothingRuns("no run is in progress")
    for number in going:
        control.stop_run(number)
        print(f"stopped {number}")


def _start_run(
    superlink: SuperLink, run_directory: RunDirectory, config: RunConfig, *, wait: bool
) -> None:
    superlink.require_up()  # else an empty run would stay behind
    mode_of(config).require_agreed(config, superlink.charter)
    evaluation_of(config, superlink.charter)  # refuses groups that the records do not have
    try:
        run_directory.path.mkdir(parents=True)
    except FileExistsError as error:
        raise RunExists(
            f"{run_directory.path} already holds a run: give another name, or resume that run"
        ) from error
    superlink.charter.write(run_directory.charter)
    _submit_run(superlink, run_directory, config, wait=wait)


def _submit_run(
    superlink: SuperLink, run_directory: RunDirectory, config: RunConfig, *, wait: bool
) -> None:
    control = Control(superlink)
    charter = Charter.read(run_directory.charter)
    number = control.submit_order(RunOrder(run=run_directory.path, config=config.flat()))
    print(f"{run_directory.path}: Flower's run {number}, seed {config.seed}")
    for name in sorted(config.left_out):
        print(
            f"without {name}: if this charter's statistics are not yet counted, its counts are in "
            "none of them, and it joins exact counts only under the charter's next revision"
        )
    for line in mode_of(config).notes(config, charter):
        print(line)
    if wait:
        _print_end(Waiting(control, run_directory, tell=print))


def _print_end(waiting: Waiting) -> None:
    summary = waiting.wait_for_end()
    print(f"finished: {number_of(summary.rounds, 'round')}, model {summary.model_digest}")
    if summary.withheld:
        print(f"evaluation: {summary.withheld}")
    for warning in summary.warnings:
        print(f"warning: {warning}")
    absences = absences_of(summary)
    for one in absences:
        print(absence_text(one, last_round=int(summary.config["num-server-rounds"])))
    if absences:
        print(f"its log: {waiting.run.log}")


def _find_run(directory: Path, name: str = "") -> RunDirectory:
    """Return the directory of a run, by default of the last one."""
    folder = CoordinatorDirectory(directory).run(name) if name else last_run(directory)
    if folder is None:
        raise NothingRuns(
            f"there is no run in {directory} yet: start one with `consortium run {directory}`"
        )
    if not folder.is_dir():
        raise NothingRuns(f"there is no run {folder.name} in {directory}: {_runs_there(directory)}")
    return RunDirectory(folder)


def _runs_there(directory: Path) -> str:
    """Return which runs a coordinator has, in words; the latest come first."""
    found = [one for one in CoordinatorDirectory(directory).runs.glob("*") if one.is_dir()]
    latest = sorted(found, key=lambda one: one.stat().st_mtime, reverse=True)
    return f"it has {abbreviated_names([one.name for one in latest])}" if latest else "it has none"
