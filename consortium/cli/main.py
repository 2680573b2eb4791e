"""Command line of `consortium`; one file per group of commands."""

import sys

import typer
from rich.console import Console

from consortium.cli.entry import unusable_file, version_option
from consortium.cli.lazy_group import LazyCommand, lazy_group
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError

FAILED = 1


def _load_charter() -> typer.Typer:
    from consortium.cli.charter import app

    return app


def _load_site() -> typer.Typer:
    from consortium.cli.site import app

    return app


def _load_coordinator() -> typer.Typer:
    from consortium.cli.coordinator import app

    return app


def _load_provision() -> typer.Typer:
    from consortium.cli.provision import app

    return app


def _load_encoder() -> typer.Typer:
    from consortium.cli import encoder as cli_encoder

    loaded = typer.Typer()
    loaded.command("encoder")(cli_encoder.show_encoder)
    return loaded


def _load_export() -> typer.Typer:
    from consortium.cli import export as cli_export

    loaded = typer.Typer()
    loaded.command("export")(cli_export.export)
    return loaded


def _load_run() -> typer.Typer:
    from consortium.cli.run import app

    return app


def _load_run_config() -> typer.Typer:
    from consortium.cli import run_config as cli_run_config

    loaded = typer.Typer()
    loaded.command("run-config")(cli_run_config.list_run_config)
    return loaded


def _load_audit() -> typer.Typer:
    from consortium.cli.audit import app

    return app


COMMANDS = {
    "charter": LazyCommand("Draft, sign, show and revise the charter.", _load_charter),
    "provision": LazyCommand(
        "Make a kit for each site and one for the coordinator. No kit holds a private key.",
        _load_provision,
    ),
    "site": LazyCommand("Set up and run a site.", _load_site),
    "coordinator": LazyCommand("Set up and run the coordinator.", _load_coordinator),
    "run": LazyCommand("Start a run under the charter in force.", _load_run),
    "resume": LazyCommand("Resume an interrupted run from its last completed round.", _load_run),
    "wait": LazyCommand(
        "Wait until the last run ends, or until one of its rounds starts.", _load_run
    ),
    "stop": LazyCommand("Stop the current run; the sites stay up.", _load_run),
    "status": LazyCommand(
        "Show what is running and since when, who is online, the last round and the last error.",
        _load_run,
    ),
    "run-config": LazyCommand(
        "List the keys of the run config, each with its default, range and meaning.",
        _load_run_config,
    ),
    "audit": LazyCommand("Check and show the audit logs.", _load_audit),
    "encoder": LazyCommand(
        "Show an encoder's folder and its digest, which is the run config's model-digest.",
        _load_encoder,
    ),
    "export": LazyCommand(
        "Write a model for transformers (or peft), with its tokenizer, labels and model card.",
        _load_export,
    ),
}

app = typer.Typer(
    help="Set up and run a consortium of institutions, and audit its runs.",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands(version: bool = version_option("consortium")) -> None:
    """Set up and run a consortium of institutions, and audit its runs."""


errors = Console(stderr=True)


def main() -> None:
    """Run the command line. Exit with 0 on success, 1 on a refusal or failure, 2 on wrong usage."""
    try:
        app()
    except ConsortiumError as error:
        said = f"{error.code}: {error}"
    except OSError as error:
        said = unusable_file(error)
    else:
        return
    errors.print(escape_controls(said), style="red", markup=False, highlight=False)
    sys.exit(FAILED)


if __name__ == "__main__":
    main()
