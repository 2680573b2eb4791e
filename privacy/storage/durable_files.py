"""Files that are replaced whole: after a power loss the old or the new content is there."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file's content; text is written as UTF-8.

    Guarantee: as of `replace_atomically`.
    """
    with replace_atomically(path) as file:
        file.buffer.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def replace_atomically(path: Path) -> Iterator[TextIO]:
    """Yield a file that replaces `path` if the block ends without an error.

    Guarantee: a reader sees either the old or the new content, complete, and after a power loss
    as well. On return the new content is on the disk.

    Raises:
        OSError: The system refuses the file; the error names `path`, not the file written first.
    """
    partial = path.with_name(f".{path.name}.partial")
    with _open_beside(path, partial) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def _open_beside(path: Path, partial: Path) -> TextIO:
    """Open the file that takes the place of `path`; errors name the path that a person typed."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        return partial.open("w", encoding="utf-8")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_directory(directory: Path) -> None:
    """Sync a directory: on return, the names of its files are on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
