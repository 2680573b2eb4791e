"""What both command lines do alike at their entry; imports nothing heavy, as `--help` waits."""

import atexit
import gc
from collections.abc import Collection, Iterable
from importlib.metadata import version
from typing import Any

import typer
from rich.table import Table

DISTRIBUTION = "consortium-fl"
_OBJECTS_BETWEEN_SEARCHES = 20_000  # Python's own number is 700


def version_option(program: str) -> Any:  # noqa: ANN401 -- typer's default stands for any type
    """Return the option `--version` of a program, which prints it and ends."""

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {version(DISTRIBUTION)}")
            raise typer.Exit

    return typer.Option(False, "--version", help="Show the version.", callback=show, is_eager=True)


def search_garbage_rarely() -> None:
    """Let Python look for garbage less often: what libraries make at their import all stays.

    Looking among it takes a twentieth of the time of a short run. What is in no cycle, such as an
    array, is let go at once in any case. When the program ends Python does not look at all, as the
    system takes everything: that took half a second where PyTorch is loaded.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_SEARCHES, *gc.get_threshold()[1:])
    atexit.unregister(gc.freeze)  # once is enough, however often a program comes by
    atexit.register(gc.freeze)


def unusable_file(error: OSError) -> str:
    """Return the line for a file or directory that the system does not let a command use."""
    if error.filename is None:
        return f"the system refused: {error.strerror or error}"
    return f"{error.filename} cannot be used: {error.strerror}"


def terminal_table(
    columns: Iterable[str],
    *,
    title: str = "",
    whole: Collection[str] = (),
    numbers: Collection[str] = (),
) -> Table:
    """Return an empty table that shows every letter of its cells at any width.

    What does not fit goes on in the next line of its cell, in the middle of a word if need be.

    Args:
        columns: The headings.
        title: What the table shows.
        whole: Columns of short cells, such as times, which are never broken.
        numbers: Columns set flush right.
    """
    table = Table(box=None, pad_edge=False, title=title or None, title_justify="left")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            no_wrap=name in whole,
            overflow="fold",
        )
    return table
