"""What `scenario` says on the terminal when something is refused or fails, and how it ends."""

from collections.abc import Callable
from typing import NoReturn, TypeVar

import typer
from rich.console import Console

from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError

FAILED = 1
USAGE = 2

T = TypeVar("T")

console = Console()
errors = Console(stderr=True)


def report(directory: RunDirectory) -> None:
    """Write the report of a run."""
    from consortium.report.render import render  # matplotlib is loaded where it is needed

    guarded(lambda: render(directory))


def give_up(directory: RunDirectory, text: str) -> NoReturn:
    """Say what failed, leave a report of what there is, and end with exit code 1."""
    report(directory)
    errors.print(f"{text}\nreport: {directory.report}", soft_wrap=True, markup=False)
    raise typer.Exit(FAILED)


def guarded(action: Callable[[], T]) -> T:
    """Return what `action` returns; a refusal becomes its text and exit code 2."""
    try:
        return action()
    except ConsortiumError as error:
        refuse(str(error))


def refuse(text: str) -> NoReturn:
    """Say what was wrong with what was asked, and end with exit code 2."""
    errors.print(text, soft_wrap=True, highlight=False, markup=False)
    raise typer.Exit(USAGE)
