"""Command line of `scenario`; each command is imported when it is used."""

import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from consortium.cli.entry import unusable_file, version_option
from consortium.cli.lazy_group import LazyCommand, lazy_group

_SIGNALLED = 128  # plus the number, as shells tell it
FAILED = 1
INTERRUPTED = 130  # as typer ends on Ctrl-C


def _library() -> typer.Typer:
    from scenarios.cli.library import app

    return app


def _runs() -> typer.Typer:
    from scenarios.cli.runs import app

    return app


def _rules_table() -> typer.Typer:
    from scenarios.cli.rules_table import app

    return app


def _prediction() -> typer.Typer:
    from scenarios.cli.prediction import app

    return app


def _encrypted_runs() -> typer.Typer:
    from scenarios.cli.encrypted_runs import app

    return app


def _doctor() -> typer.Typer:
    from scenarios.cli.doctor import app

    return app


COMMANDS = {
    "list": LazyCommand("List the scenarios: their data, their sites, what they learn.", _library),
    "run": LazyCommand("Run a scenario and write its report.", _runs),
    "resume": LazyCommand(
        "Resume a run that was interrupted or parked, after the last round it saved.",
        _runs,
    ),
    "compare": LazyCommand(
        "Run a scenario; compare it with each site alone and with all records in one place.",
        _runs,
    ),
    "rules": LazyCommand(
        "Show which rules survive a number of liars and what they cost, clear and encrypted.",
        _rules_table,
    ),
    "predict": LazyCommand("Score your own table with the model of a run.", _prediction),
    "inspect": LazyCommand(
        "Show what the coordinator of an encrypted run saw and could not read.",
        _encrypted_runs,
    ),
    "audit-sum": LazyCommand(
        "Add the stored uploads again, without a key, and name whoever deviated.",
        _encrypted_runs,
    ),
    "practice": LazyCommand(
        "Write a scenario's schema and one file of records a site, to practise with.",
        _library,
    ),
    "doctor": LazyCommand(
        "Check whether this machine is ready, and say what to do if it is not.", _doctor
    ),
}

app = typer.Typer(
    help="Run a whole consortium on this machine, with one command.",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands(version: bool = version_option("scenario")) -> None:
    """Run a whole consortium on this machine, with one command."""


def _exit_by_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave as from an error, so that whoever started a process stops it on the way out."""
    sys.exit(_SIGNALLED + number)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 run failed, 2 wrong usage, 130 Ctrl-C.

    A terminal that closes (129) and a scheduler that ends the job (143) stop all that a command
    started, as Ctrl-C does.
    """
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, _exit_by_signal)
    try:
        app()
    except OSError as error:
        typer.echo(unusable_file(error), err=True)
        sys.exit(FAILED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("interrupted; nothing was left running", err=True)
        raise
