"""Command line of `scenario`; each command is imported when it is used."""

import signal
import sys
from types import FrameType
from typing import NoReturn

import typer

from consortium.cli.entry import search_garbage_rarely, unusable_file, version_option
from consortium.cli.lazy_group import LazyCommand, lazy_group

_SIGNALLED = 128  # plus the number, as shells tell it
FAILED = 1
INTERRUPTED = 130  # as typer ends on Ctrl-C


COMMANDS = {
    "list": LazyCommand(
        "List the scenarios: their data, their sites, what they learn.", "scenarios.cli.library:app"
    ),
    "run": LazyCommand("Run a scenario and write its report.", "scenarios.cli.runs:app"),
    "resume": LazyCommand(
        "Resume a run that was interrupted or parked, after the last round it saved.",
        "scenarios.cli.runs:app",
    ),
    "compare": LazyCommand(
        "Run a scenario; compare it with each site alone and with all records in one place.",
        "scenarios.sweep.cli.compare:app",
    ),
    "sweep": LazyCommand(
        "Search a scenario's run config: many short trials, of which the best go on.",
        "scenarios.sweep.cli.sweep:app",
    ),
    "watch": LazyCommand(
        "Show a run on a page of this machine while it goes on; Ctrl-C ends it.",
        "scenarios.cli.progress:app",
    ),
    "init": LazyCommand(
        "Propose a scenario of your own from tables, as a file for you to correct.",
        "scenarios.cli.proposal:app",
    ),
    "describe": LazyCommand(
        "Describe the records of all sites together: a Table 1, exact, small counts hidden.",
        "scenarios.cli.description:app",
    ),
    "rules": LazyCommand(
        "Show which rules survive a number of liars and what they cost, clear and encrypted.",
        "scenarios.cli.rules_table:app",
    ),
    "check": LazyCommand(
        "Compare each site's records with the others' counts, and show its findings; train "
        "nothing.",
        "scenarios.cli.record_check:app",
    ),
    "check-data": LazyCommand(
        "Show what is understood of records, the first rows, and what to type; exit 1 unless they "
        "fit.",
        "scenarios.cli.data_check:app",
    ),
    "predict": LazyCommand(
        "Score your own table with the model of a run.", "scenarios.cli.prediction:app"
    ),
    "monitor": LazyCommand(
        "Compare records of a later period with those that a run's model learned from.",
        "scenarios.cli.monitoring:app",
    ),
    "inspect": LazyCommand(
        "Show what the coordinator of an encrypted run saw and could not read.",
        "scenarios.cli.encrypted_runs:app",
    ),
    "audit-sum": LazyCommand(
        "Add the stored uploads again, without a key, and name whoever deviated.",
        "scenarios.cli.encrypted_runs:app",
    ),
    "practice": LazyCommand(
        "Write a scenario's schema and one file of records a site, to practise with.",
        "scenarios.cli.library:app",
    ),
    "doctor": LazyCommand(
        "Check whether this machine is ready, and say what to do if it is not.",
        "scenarios.cli.doctor:app",
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
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` asks for
            signal.signal(number, _exit_by_signal)
    search_garbage_rarely()
    try:
        app()
    except OSError as error:
        typer.echo(unusable_file(error), err=True)
        sys.exit(FAILED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("interrupted; nothing was left running", err=True)
        raise
