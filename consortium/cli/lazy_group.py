"""Commands that are loaded when they are wanted: some bring libraries that take seconds."""

from collections.abc import Callable, Mapping
from typing import Any

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command

Loader = Callable[[], typer.Typer]


def lazily(loaders: Mapping[str, Loader]) -> type[TyperGroup]:
    """Return a kind of command group that has more commands than were given to it.

    Args:
        loaders: By name, what imports an app that is the command, or that has it.
    """

    class Lazy(TyperGroup):
        """A group that imports what is wanted of it."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            """Return all names, the lazy ones first."""
            return [*loaders, *super().list_commands(ctx)]

        def get_command(self, ctx: click.Context, cmd_name: str) -> Any:  # noqa: ANN401 -- click's own
            """Return a command by its name; None if there is none."""
            if cmd_name not in loaders:
                return super().get_command(ctx, cmd_name)
            loaded = get_command(loaders[cmd_name]())
            inner = getattr(loaded, "commands", {}).get(cmd_name)
            found = loaded if inner is None else inner
            found.name = cmd_name
            return found

    return Lazy
