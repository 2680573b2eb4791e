"""Log files of the parties: prose for an operator, through Python's `logging`.

Evidence goes to the audit log and figures to the run directory; what is written here may quote a
record, so it stays where it is written. Many sites may run in one process, as on one machine in a
scenario: `logging_to` says whose code runs, and each party's lines go to that party's file only.
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
ENTRY = "--- "  # begins each entry; the lines of a traceback follow it

_DEFAULT = "WARNING"
_file: ContextVar[Path | None] = ContextVar("file", default=None)


def log_in_detail() -> None:
    """Let this process and those it starts also log what goes as it should: `--verbose`."""
    os.environ[LEVEL] = "INFO"


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Within this block, what our code logs goes to a file.

    Guarantee: whatever a line says, and whatever becomes of the file, logging never raises.

    Args:
        path: The party's log; it is made with its first line.
    """
    _install()
    token = _file.set(path)
    try:
        yield
    finally:
        _file.reset(token)


def last_error(lines: list[str]) -> str:
    """Return the end of the last error in the lines of a log; empty if there is none."""
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
    """Appends to the file of the party whose code runs; without one, says nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        path = _file.get()
        if path is None:
            return
        try:
            # opened for each record: a hundred sites of one process would hold as many files,
            # and an operator may move the file away at any time
            with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_entry(record))
        except OSError:
            return


def _entry(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
    head = f"{ENTRY}{at} {record.levelname} {record.name}: {record.getMessage()}\n"
    error = record.exc_info[1] if record.exc_info else None
    return head + ("".join(traceback.format_exception(error)) if error else "")


_HANDLER = _PartyHandler()


def _install() -> None:
    """Attach the handler to our packages, and take the level that the environment says."""
    level = os.environ.get(LEVEL, _DEFAULT)
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.setLevel(level)
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)
