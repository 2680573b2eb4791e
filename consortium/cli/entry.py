"""What both command lines do alike at their entry; imports nothing heavy, as `--help` waits."""

from importlib.metadata import version
from typing import Any

import typer

DISTRIBUTION = "consortium-fl"


def version_option(program: str) -> Any:  # noqa: ANN401 -- typer's default stands for any type
    """Return the option `--version` of a program, which prints it and ends."""

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {version(DISTRIBUTION)}")
            raise typer.Exit

    return typer.Option(False, "--version", help="Show the version.", callback=show, is_eager=True)


def unusable_file(error: OSError) -> str:
    """Return the line for a file or directory that the system does not let a command use."""
    if error.filename is None:
        return f"the system refused: {error.strerror or error}"
    return f"{error.filename} cannot be used: {error.strerror}"
