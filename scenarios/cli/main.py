"""Command line of `scenario`; each command is imported when it is used."""

import typer

from consortium.cli.lazy_group import LazyCommand, lazy_group

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


_COMMANDS = {
    "list": LazyCommand("Show what can be run: data, sites, what is learnt.", _library),
    "run": LazyCommand("Run a scenario and write its report.", _runs),
    "resume": LazyCommand(
        "Go on with a run that was interrupted or parked, at the round after the last one kept.",
        _runs,
    ),
    "compare": LazyCommand(
        "Run a scenario and compare it with each site alone and with all records in one place.",
        _runs,
    ),
    "rules": LazyCommand(
        "Show which rules survive so many liars, and what that costs, in the clear and encrypted.",
        _rules_table,
    ),
    "predict": LazyCommand("Score a person's own table with the model of a run.", _prediction),
    "inspect": LazyCommand(
        "Show what the coordinator of an encrypted run saw, and what it could not read.",
        _encrypted_runs,
    ),
    "audit-sum": LazyCommand(
        "Add the kept uploads again, without a key, and say who deviated if anybody did.",
        _encrypted_runs,
    ),
    "practice": LazyCommand(
        "Write what a scenario's institutions would bring: a schema, and a file of records each.",
        _library,
    ),
    "doctor": LazyCommand(
        "Say whether this machine is ready, and what to do if it is not.", _doctor
    ),
}

app = typer.Typer(
    help="Run a whole consortium on this machine, with one command.",
    cls=lazy_group(_COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Run a whole consortium on this machine, with one command."""


def main() -> None:
    """Run the command line; exit 0 when done, 1 when a run failed, 2 on wrong usage, 130 on ^C."""
    try:
        app()
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("interrupted; nothing was left running", err=True)
        raise
