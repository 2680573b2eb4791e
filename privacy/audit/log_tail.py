"""The end of an audit log, as `privacy.storage.carried_tails` carries it: its last lines."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LogTail:
    """The log at a path; how far it is, is its size in bytes.

    Args:
        path: The file.
    """

    path: Path

    @property
    def name(self) -> str:
        """Under which its end is carried."""
        return "log"

    def end(self) -> int:
        """Return its size."""
        return self.path.stat().st_size

    def part(self, first: int, after: int) -> bytes:
        """Return the bytes from one place to another."""
        with self._locked() as file:
            return os.pread(file, after - first, first)

    def sync(self) -> None:
        """Sync the file."""
        with self._locked() as file:
            os.fsync(file)

    def complete(self, first: int, content: bytes) -> bool:
        """Put back the lines that the log lost with the machine; return whether it has them then.

        What a file loses so is missing at its end, or zeros stand in its place. A log that differs
        from the content in anything else was altered by somebody, and stays as it is. It is synced.
        """
        if not self.path.exists():
            return False
        with self._locked() as file:
            found = os.pread(file, len(content), first)
            if found == content and os.fstat(file).st_size >= first:
                return True
            lost = os.fstat(file).st_size >= first and _is_lost_from(content, found)
            if lost:
                os.ftruncate(file, first)
                os.write(file, content)
            os.fsync(file)
            return lost

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Open the file, and lock out writers."""
        file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _is_lost_from(content: bytes, found: bytes) -> bool:
    """Return whether some bytes are the beginning of a content, or zeros in its place."""
    return all(one in (0, two) for one, two in zip(found, content, strict=False))
