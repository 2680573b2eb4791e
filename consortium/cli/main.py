"""Command line of `consortium`; one file per group of commands."""

import sys

import typer
from rich.console import Console

from consortium.cli.entry import search_garbage_rarely, unusable_file, version_option
from consortium.cli.lazy_group import LazyCommand, lazy_group
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError

FAILED = 1


COMMANDS = {
    "charter": LazyCommand(
        "Draft, sign, show and revise the charter.", "consortium.cli.charter:app"
    ),
    "provision": LazyCommand(
        "Make a kit for each party: sites, hubs, the coordinator. No kit holds a private key.",
        "consortium.cli.provision:app",
    ),
    "site": LazyCommand("Set up and run a site.", "consortium.cli.site:app"),
    "coordinator": LazyCommand(
        "Set up and run the coordinator, or a hub.", "consortium.cli.coordinator:app"
    ),
    "run": LazyCommand(
        "Start a run under the charter in force, from a seed of its own unless one is given.",
        "consortium.cli.run:app",
    ),
    "resume": LazyCommand(
        "Resume an interrupted run from its last completed round.", "consortium.cli.run:app"
    ),
    "evaluate": LazyCommand(
        "Count the evaluation that a finished run withheld, once all sites are back.",
        "consortium.cli.run:app",
    ),
    "monitor": LazyCommand(
        "Count how a later period differs from what a run's model learned from.",
        "consortium.cli.run:app",
    ),
    "wait": LazyCommand(
        "Wait until the last run ends, or until one of its rounds starts.", "consortium.cli.run:app"
    ),
    "stop": LazyCommand(
        "Stop the current run; the sites stay up. At a hub, end its part of the runs that go on.",
        "consortium.cli.run:app",
    ),
    "status": LazyCommand(
        "Show what is running and since when, who is online, the last round and the last error.",
        "consortium.cli.status:show_status",
    ),
    "watch": LazyCommand(
        "Show a run on a page of this machine while it goes on; Ctrl-C ends it.",
        "consortium.cli.run:app",
    ),
    "report": LazyCommand(
        "Say how good a run's model is, who took part and what is withheld; write its page.",
        "consortium.cli.report:report",
    ),
    "run-config": LazyCommand(
        "List the keys of the run config, each with its default, range and meaning.",
        "consortium.cli.run_config:list_run_config",
    ),
    "audit": LazyCommand("Check and show the audit logs.", "consortium.cli.audit:app"),
    "encoder": LazyCommand(
        "Show an encoder's folder and its digest, which is the run config's model-digest.",
        "consortium.cli.run_config:show_encoder",
    ),
    "export": LazyCommand(
        "Write a model for other programs (transformers, peft, XGBoost, ONNX), with its card.",
        "consortium.cli.export:export",
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


errors = Console(stderr=True, markup=False)


def main() -> None:
    """Run the command line. Exit with 0 on success, 1 on a refusal or failure, 2 on wrong usage."""
    search_garbage_rarely()
    try:
        app()
    except ConsortiumError as error:
        said = f"{error.code}: {error}"
    except OSError as error:
        said = unusable_file(error)
    else:
        return
    errors.print(escape_controls(said), style="red", highlight=False)
    sys.exit(FAILED)


if __name__ == "__main__":
    main()
