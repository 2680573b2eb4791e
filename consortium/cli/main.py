"""`consortium`: what the operators of a real consortium type; one group of commands a file."""

import sys

import typer
from rich.console import Console

from consortium.cli.lazy_group import lazily
from privacy.errors import ConsortiumError

FAILED = 1


def _charter() -> typer.Typer:
    from consortium.cli.charter import app

    return app


def _site() -> typer.Typer:
    from consortium.cli.site import app

    return app


def _coordinator() -> typer.Typer:
    from consortium.cli.coordinator import app

    return app


def _provision() -> typer.Typer:
    from consortium.cli.provision import app

    return app


def _encoder() -> typer.Typer:
    from consortium.cli import encoder as cli_encoder

    loaded = typer.Typer()
    loaded.command("encoder")(cli_encoder.command)
    return loaded


def _export() -> typer.Typer:
    from consortium.cli import export as cli_export

    loaded = typer.Typer()
    loaded.command("export")(cli_export.command)
    return loaded


def _run() -> typer.Typer:
    from consortium.cli.run import app

    return app


def _run_config() -> typer.Typer:
    from consortium.cli import run_config as cli_run_config

    loaded = typer.Typer()
    loaded.command("run-config")(cli_run_config.command)
    return loaded


def _audit() -> typer.Typer:
    from consortium.cli.audit import app

    return app


_COMMANDS = {
    "charter": _charter,
    "provision": _provision,
    "site": _site,
    "coordinator": _coordinator,
    "run": _run,
    "resume": _run,
    "wait": _run,
    "stop": _run,
    "status": _run,
    "run-config": _run_config,
    "audit": _audit,
    "encoder": _encoder,
    "export": _export,
}

app = typer.Typer(
    help="Set up and run a consortium between institutions, and check what it left behind.",
    cls=lazily(_COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Set up and run a consortium between institutions, and check what it left behind."""


errors = Console(stderr=True)


def main() -> None:
    """Run the command line; exit 0 when done, 1 when refused or failed, 2 on wrong usage."""
    try:
        app()
    except ConsortiumError as error:
        errors.print(f"{error.code}: {error}", style="red", markup=False, highlight=False)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
