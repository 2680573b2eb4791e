"""`consortium report` and `site preview`: what is to be read after a run, and before one."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.audit.journal import ACCEPTED
from consortium.cli.export import find_run
from consortium.cli.options import SITE, WORDS_HELP, parse_one_source
from consortium.cli.policy import note_in_journal
from consortium.report.elements.run_reader import Recorded
from consortium.report.monitoring.own_periods import own_period_lines
from consortium.report.plain_text import report_text
from consortium.report.preview.page import write_preview
from consortium.report.preview.view import preview_lines, preview_of
from consortium.report.render import render_report
from consortium.report.site_text import site_text
from consortium.run.directory import BadRunDirectory, RunDirectory
from consortium.run.party_directory import CoordinatorDirectory
from consortium.site.directory import SiteDirectory
from consortium.site.periods import declare_period
from consortium.site.record_check import accept_findings
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
    last = RunDirectory(Path(place.last_run.read_text()))
    return RunDirectory(place.run((last.judged_run() or last).path.name))


def declare_or_list_periods(
    directory: Path = SITE,
    name: str = typer.Argument("", help="The period, such as 2026-03; by default all are listed."),
    data: list[str] = typer.Option(
        [], help=f"The file of its records, or url::query of a database. {WORDS_HELP}"
    ),
) -> None:
    """Declare the records of a later period, or show what the site counted of its periods.

    The same records are not for two periods, nor are those that the site trains on. What it
    counted of its own records is for its operator: it is in no message.
    """
    if name and data:
        declare_period(directory, name, parse_one_source(data))
        print(f"{directory}: {name} is declared, to be counted once for each model")
        return
    if name or data:
        raise typer.BadParameter("name a period and its --data, or neither")
    for line in own_period_lines(directory):
        print(escape_controls(line))


ACCEPT = typer.Option(None, "--accept", metavar="COLUMN", help="Say that its finding is right.")
WHY = typer.Option("", "--reason", help="Why it is right; it is kept at the site, never sent.")
PAGE = typer.Option(None, "--page", help="Write the same as an HTML page to this file.")


def preview_site(
    directory: Path = SITE,
    accept: list[str] | None = ACCEPT,
    reason: str = WHY,
    page: Path | None = PAGE,
) -> None:
    """Show what the site would send before training, and how it looks beside the others'.

    Nothing is sent. A finding that is an ALARM holds the site out of runs with `on-finding=hold`
    until its records are mended, or its operator says with --accept that they are right.
    """
    shown = preview_of(directory)
    for column in accept or ():
        now = datetime.now(UTC)
        accept_findings(directory, shown.findings, column, reason, now=now)
        # Not which: auditors read the log, and a finding is for the operator alone.
        note_in_journal(directory, ACCEPTED)
    if accept:
        shown = preview_of(directory)
    for line in preview_lines(shown):
        print(escape_controls(line))
    if page is not None:
        write_preview(shown, page, now=datetime.now(UTC))
        print(f"page: {page}")
