"""Command groups that import a command when it is used: some libraries take seconds to load."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class LazyCommand:
    """A command that is imported when it is used.

    Args:
        summary: The first paragraph of its help, so that the group's help needs no import.
        load: Imports and returns an app that either is the command or contains it.
    """

    summary: str
    load: Callable[[], typer.Typer]


def lazy_group(lazy: Mapping[str, LazyCommand]) -> type[TyperGroup]:
    """Return a class of command groups with these commands besides those registered as usual.

    Args:
        lazy: The commands by name, in the order in which help lists them.
    """

    class Lazy(TyperGroup):
        """A group that imports a command when it is invoked, and none to list them."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            """Return all names, the lazy ones first."""
            return [*lazy, *super().list_commands(ctx)]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            """Return what help needs of a command: its name and summary. None if unknown."""
            if cmd_name not in lazy:
                return super().get_command(ctx, cmd_name)
            return TyperCommand(cmd_name, help=lazy[cmd_name].summary)

        def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:  # noqa: ANN401 -- click's own
            """Return the command to invoke, imported now, with its name and arguments."""
            # The base class comes first: it refuses an unknown name and suggests the nearest.
            name, known, rest = super().resolve_command(ctx, args)
            if name is None or name not in lazy:
                return name, known, rest
            return name, load_command(name, lazy[name]), rest

    return Lazy


def load_command(name: str, lazy: LazyCommand) -> click.Command:
    """Import a command and return it under its name."""
    loaded = get_command(lazy.load())
    # Typer makes an app with one command that command itself, with several a group.
    command: click.Command = getattr(loaded, "commands", {}).get(name, loaded)
    command.name = name
    return command
