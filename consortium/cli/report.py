"""`consortium report`: how good the model of a run is, who took part, and what is withheld."""

from pathlib import Path

import typer

from consortium.cli.export import find_run
from consortium.report.elements.run_reader import Recorded
from consortium.report.plain_text import report_text
from consortium.report.render import render_report
from consortium.report.site_text import site_text
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory
from consortium.site.tails import complete_tails
from consortium.wording.formatting import escape_controls


def report(
    directory: Path = typer.Argument(..., help="The directory of a coordinator, a run or a site."),
    name: str = typer.Option("", help="The run's name; by default the coordinator's last run."),
    run: Path = typer.Option(
        None, "--run", help="For a site: the run's directory, for the figures of its model."
    ),
) -> None:
    """Say how good a run's model is, who took part and what is withheld; write its page."""
    if SiteDirectory(directory).config.is_file():
        complete_tails(directory)
        named = run or find_run(SiteDirectory(directory).model)  # beside it, on one machine
        print(escape_controls(site_text(directory, RunDirectory(named) if named else None)))
        return
    found = _find_ended_run(directory, name)
    page = render_report(found)
    print(escape_controls(report_text(Recorded.read(found))))
    print(f"\nreport: {page}")


def _find_ended_run(directory: Path, name: str) -> RunDirectory:
    """Return the run that is meant, if it has ended.

    Raises:
        BadRunDirectory: There is none, or it is still going on.
    """
    run = _find_run(directory, name)
    if not run.events.exists() and not run.summary.exists():
        raise BadRunDirectory(
            f"there is no run in {run.path}: name the directory of a coordinator, a run or a site"
        )
    if run.events.exists() and not run.summary.exists():
        raise BadRunDirectory(
            f"the run in {run.path} has not ended: wait for it with `consortium wait`, or resume it"
        )
    return run


def _find_run(directory: Path, name: str) -> RunDirectory:
    place = CoordinatorDirectory(directory)
    if name:
        return RunDirectory(place.run(name))
    if not place.secrets.is_dir():
        return RunDirectory(directory)
    if not place.last_run.exists():
        raise BadRunDirectory(
            f"there is no run in {directory} yet: start one with `consortium run`"
        )
    # By its name, because a directory that was moved has the path of before in this file.
    return RunDirectory(place.run(Path(place.last_run.read_text()).name))
