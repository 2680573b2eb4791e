"""Log files of the parties: prose for an operator, through Python's `logging`.

Evidence goes to the audit log and figures to the run directory. A log may quote a record, so it
stays where it is written. In a scenario, many sites may run in one process: `logging_to` says whose
code is running, and each party's lines go to its own file only.
"""

import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

LEVEL = "CONSORTIUM_LOG_LEVEL"  # in the environment, so that it reaches every process of a party
PACKAGES = ("consortium", "sites", "strategies", "privacy", "scenarios")
ENTRY = "--- "  # starts each entry; the lines of a traceback follow it

_DEFAULT = "WARNING"
_file: ContextVar[Path | None] = ContextVar("file", default=None)


def log_in_detail() -> None:
    """Also log normal progress, in this process and in those it starts: `--verbose`."""
    os.environ[LEVEL] = "INFO"


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write this project's log entries to a file, within this block.

    Guarantee: logging never raises, whatever an entry holds and whatever happens to the file.

    Args:
        path: The party's log file, created with its first entry.
    """
    _install_handler()
    token = _file.set(path)
    try:
        yield
    finally:
        _file.reset(token)


def last_error(lines: list[str]) -> str:
    """Return the last line of the last error in a log, or an empty string."""
    found, wrong = "", True
    for line in lines:
        if line.startswith(ENTRY):
            # an entry of version 0.1.0 has a time only, and is always an error
            level = line.split()[2:3]
            wrong = level in ([], ["ERROR"], ["CRITICAL"])
        if wrong and line.strip():
            found = line
    return found


class _PartyHandler(logging.Handler):
    """Appends to the file of the party whose code is running; without one, writes nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        path = _file.get()
        if path is None:
            return
        try:
            # opened for each record: a hundred sites of one process would hold as many files,
            # and an operator may move the file away at any time
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_formatted_entry(record))
        except OSError:
            return


def _formatted_entry(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
    head = f"{ENTRY}{at} {record.levelname} {record.name}: {record.getMessage()}\n"
    error = record.exc_info[1] if record.exc_info else None
    return head + ("".join(traceback.format_exception(error)) if error else "")


_HANDLER = _PartyHandler()


def _install_handler() -> None:
    """Attach the handler to this project's packages, at the level named in the environment."""
    level = os.environ.get(LEVEL, _DEFAULT)
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        # what Flower or Ray do with the root logger may reach the coordinator's terminal
        logger.propagate = False
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)
