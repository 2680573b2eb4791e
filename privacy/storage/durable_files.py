"""Files that are replaced whole: after a power loss the old or the new content is there."""

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
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Sync a directory: on return, the names of its files are on the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
