"""Command groups that import a command when it is used: some libraries take seconds to load."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True)
class LazyCommand:
    """A command that is imported when it is used.

    Args:
        summary: The first paragraph of its help, so that the group's help needs no import.
        target: `module:name` of the function that is the command, or of an app that either is
            the command or contains it.
    """

    summary: str
    target: str

    def load(self, name: str) -> typer.Typer:
        """Import the module and return the command, under this name, as an app."""
        module, _, attribute = self.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return found
        alone = typer.Typer()
        alone.command(name)(found)
        return alone


def lazy_group(lazy: Mapping[str, LazyCommand]) -> type[TyperGroup]:
    """Return a class of command groups with these commands besides those registered as usual.

    Args:
        lazy: The commands by name, in the order in which help lists them.
    """

    class Lazy(TyperGroup):
        """A group that imports a command when it is invoked, and none to list them."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            """Return all names, the lazily imported commands first."""
            return [*lazy, *super().list_commands(ctx)]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            """Return a command, imported now; None if there is none of that name."""
            if cmd_name not in lazy:
                return super().get_command(ctx, cmd_name)
            return load_command(cmd_name, lazy[cmd_name])

        def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            """Write the help of the group from the summaries, without importing a command."""
            # Help asks for each command by `get_command`, so it is written by a group of stubs.
            stubs = {name: TyperCommand(name, help=one.summary) for name, one in lazy.items()}
            listed = TyperGroup(
                name=self.name,
                commands={**stubs, **self.commands},
                help=self.help,
                params=self.params,
                rich_markup_mode=self.rich_markup_mode,
            )
            listed.format_help(ctx, formatter)

    return Lazy


def load_command(name: str, lazy: LazyCommand) -> click.Command:
    """Import a command and return it under its name."""
    loaded = get_command(lazy.load(name))
    # Typer makes an app with one command that command itself, with several a group.
    command: click.Command = getattr(loaded, "commands", {}).get(name, loaded)
    command.name = name
    return command
