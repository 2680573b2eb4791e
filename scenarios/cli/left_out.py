"""Say at the end of a run which sites are not in it, why, and what sites found in their records."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn

import typer

from consortium.run.absences import LEFT_OUT_BY_NAME, absence_text, absences_of
from consortium.run.directory import RunDirectory
from consortium.run.logs import last_error_text
from consortium.run.records import Summary, read_record
from consortium.site.directory import SiteDirectory
from consortium.site.record_check import open_alarms, read_check
from consortium.wording.formatting import escape_controls, name_list
from privacy.errors import number_of
from scenarios.cli.terminal import FAILED, console, errors
from scenarios.engines.staging import has_own_data

_MOST_LINES = 12  # of what a site's log says


def site_log(directory: RunDirectory, site: str) -> Path | None:
    """Return the log of a site of a run on this machine, if it wrote one."""
    log = SiteDirectory(directory.site(site)).log
    return log if log.exists() else None


def print_absences(directory: RunDirectory) -> None:
    """Print a line for each reason for which a site is left out, its log, and what that says."""
    if not directory.summary.exists():
        return
    summary = read_record(directory.summary, Summary)
    last_round = int(summary.config["num-server-rounds"])
    for one in absences_of(summary):
        _print_line(absence_text(one, last_round=last_round))
        log = site_log(directory, one.site)
        if log is None:
            continue
        _print_line(f"  its log: {log}")
        if one.refused:
            said = last_error_text(log).splitlines()
            for line in said[:_MOST_LINES]:
                _print_line(f"  {line}")
            if len(said) > _MOST_LINES:
                _print_line(f"  and {number_of(len(said) - _MOST_LINES, 'line')} more")


def alarms_of(directory: RunDirectory, summary: Summary) -> Iterator[str]:
    """Yield what the sites of a run on this machine found wrong in their records."""
    for site in summary.sites:
        check = read_check(directory.site(site.name))
        for one in open_alarms(directory.site(site.name), check.findings if check else ()):
            yield escape_controls(f"{site.name} found before it trained: {one.sentence}")


def refused_own_data(directory: RunDirectory, summary: Summary) -> tuple[str, ...]:
    """Return the sites with data of the user's own that refused, or are not in the run.

    Whose the records are is read from the run's directory, so that a resumed run knows it too.
    """
    found = {
        one.site
        for one in absences_of(summary)
        if (one.refused or not one.joined) and one.code != LEFT_OUT_BY_NAME
    }
    return tuple(
        site.name
        for site in summary.sites
        if site.name in found and has_own_data(directory.site(site.name))
    )


def exit_without(sites: Collection[str]) -> NoReturn:
    """Say that a run went on without own data, and exit with code 1."""
    errors.print(
        f"the run went on without your data of {name_list([*sites])}: correct them, or accept "
        "that with --allow-absent",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )
    raise typer.Exit(FAILED)


def _print_line(text: str) -> None:
    console.print(escape_controls(text), soft_wrap=True, highlight=False, markup=False)
