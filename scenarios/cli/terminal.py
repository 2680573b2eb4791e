"""Terminal output of `scenario`, and its exit codes when something is refused or fails."""

from collections.abc import Callable
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from consortium.run.directory import RunDirectory
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError

FAILED = 1
USAGE = 2

T = TypeVar("T")

# What is in brackets, such as a file's name, is printed and is no style.
console = Console(markup=False)
errors = Console(stderr=True, markup=False)


def write_report(directory: RunDirectory) -> None:
    """Write the report of a run."""
    from consortium.report.render import render_report  # matplotlib is loaded where it is needed

    exit_on_refusal(lambda: render_report(directory))


def exit_failed(directory: RunDirectory, text: str) -> NoReturn:
    """Print what failed, write a report of what there is, and exit with code 1."""
    write_report(directory)
    said = escape_controls(text)
    errors.print(f"{said}\nreport: {directory.report}", soft_wrap=True)
    raise typer.Exit(FAILED)


def exit_on_refusal(action: Callable[[], T]) -> T:
    """Return what `action` returns; print a refusal and exit with code 2."""
    try:
        return action()
    except ConsortiumError as error:
        exit_refused(str(error))


def exit_refused(text: str) -> NoReturn:
    """Print what was wrong with the request, and exit with code 2."""
    errors.print(escape_controls(text), soft_wrap=True, highlight=False)
    raise typer.Exit(USAGE)
