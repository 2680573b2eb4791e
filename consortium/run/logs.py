"""Log files of the parties: prose for an operator, through Python's `logging`.

Evidence goes to the audit log and figures to the run directory. A log may quote a record, so it
stays where it is written. In a scenario, many sites may run in one process: `logging_to` says whose
code is running, and each party's lines go to its own file only.
"""

import fcntl
import logging
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from privacy.block_values import value_in_block

LEVEL = "CONSORTIUM_LOG_LEVEL"  # in the environment, so that it reaches every process of a party
PACKAGES = ("consortium", "sites", "strategies", "privacy", "scenarios")
ENTRY = "--- "  # starts each entry; the lines of a traceback follow it

MOST_BYTES = 8 * 2**20  # of a log file; there are two of a party at most
_MOST_OF_ENTRY = 64 * 2**10

_DEFAULT = "WARNING"
_file: ContextVar[Path | None] = ContextVar("file", default=None)


def log_in_detail() -> None:
    """Also log normal progress, in this process and in those it starts: `--verbose`."""
    os.environ[LEVEL] = "INFO"


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write this project's log entries to a file, within this block.

    Guarantee: logging never raises, whatever an entry holds and whatever happens to the file. The
    file holds at most `MOST_BYTES`; a full one is put aside, and the one put aside before goes.

    Args:
        path: The party's log file, created with its first entry.
    """
    _install_handler()
    with value_in_block(_file, path):
        yield


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


def last_error_text(path: Path) -> str:
    """Return what the last error in a log says, without its traceback; "" if there is none."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    starts = [at for at, line in enumerate(lines) if line.startswith(ENTRY)]
    for start, end in reversed([*pairwise([*starts, len(lines)])]):
        if lines[start].split()[2:3] not in (["ERROR"], ["CRITICAL"]):
            continue
        entry = lines[start + 1 : end]
        frames = [at for at, line in enumerate(entry) if line.startswith("  ")]
        said = "\n".join(entry[frames[-1] + 1 if frames else 0 :])
        kind, colon, text = said.partition(": ")
        return text if colon and " " not in kind else said
    return ""


class _PartyHandler(logging.Handler):
    """Appends to the file of the party whose code is running; without one, writes nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        path = _file.get()
        if path is None:
            return
        try:
            _append_entry(path, _formatted_entry(record))
        except OSError:
            return


def _append_entry(path: Path, entry: str) -> None:
    """Append an entry; a file that would grow beyond `MOST_BYTES` becomes the one before."""
    written = entry.encode(errors="backslashreplace")
    if len(written) > _MOST_OF_ENTRY:
        half = _MOST_OF_ENTRY // 2  # how it began, and what was raised
        written = written[:half] + b"\n[...]\n" + written[-half:]
    # opened for each record: a hundred sites of one process would hold as many files, and an
    # operator may move the file away at any time
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_size + len(written) <= MOST_BYTES:
            file.write(written)
            return
        # another process may have put it aside while this one waited
        if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            path.replace(log_before(path))
    with path.open("ab") as file:
        file.write(written)


def log_before(path: Path) -> Path:
    """Return where a log file is put aside once it is full; an older one is overwritten."""
    return path.with_name(f"{path.name}.1")


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
        # a level that is set makes every logger forget what it passes on: not for each message
        if logging.getLevelName(logger.level) != level:
            logger.setLevel(level)
        # what Flower or Ray do with the root logger may reach the coordinator's terminal
        logger.propagate = False
        if _HANDLER not in logger.handlers:
            logger.addHandler(_HANDLER)
