"""Say at the end of a run which sites are not in it, why, and what sites found in their records."""

from collections.abc import Collection
from typing import NoReturn

import typer

from consortium.run.absences import absence_text, absences_of
from consortium.run.directory import RunDirectory
from consortium.run.logs import last_error_text
from consortium.run.records import Summary, read_record
from consortium.wording.formatting import escape_controls, name_list
from privacy.errors import number_of
from scenarios.cli.terminal import FAILED, console, errors
from scenarios.engines.site_reports import site_log

_MOST_LINES = 12  # of what a site's log says


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


def exit_without(sites: Collection[str]) -> NoReturn:
    """Say that a run went on without own data, and exit with code 1."""
    errors.print(
        f"the run went on without your data of {name_list([*sites])}: correct them, or accept "
        "that with --allow-absent",
        soft_wrap=True,
        highlight=False,
    )
    raise typer.Exit(FAILED)


def _print_line(text: str) -> None:
    console.print(escape_controls(text), soft_wrap=True, highlight=False)
