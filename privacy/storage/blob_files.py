"""Large byte strings in files of one private directory; each is complete or not used."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.storage.durable_files import sync_directory
from privacy.storage.secret_files import make_private_directory


class MemoryDamaged(ConsortiumError, ValueError, code="memory-damaged"):
    """Stored data is not what the site wrote, or another version wrote it."""


class KeptFiles:
    """Files that are written once, under random names, and read whole.

    Args:
        directory: Created with mode 0700 if it does not exist.

    Raises:
        ExposedSecret: Other users can access the directory.
    """

    def __init__(self, directory: Path) -> None:
        make_private_directory(directory)
        self._directory = directory

    def keep(self, data: bytes) -> tuple[str, bytes]:
        """Write a new file; return its name and SHA-256 digest once it is on the disk."""
        name = secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(self._directory / name, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # The name as well as the content must be on the disk before a database row refers to it.
        sync_directory(self._directory)
        return name, hashlib.sha256(data).digest()

    def read(self, name: str, *, digest: bytes) -> bytes:
        """Return the bytes that `keep` wrote.

        Raises:
            MemoryDamaged: The file holds something else, or is missing.
        """
        try:
            data = (self._directory / name).read_bytes()
        except FileNotFoundError as error:
            raise MemoryDamaged(f"{name} is missing from {self._directory}") from error
        if hashlib.sha256(data).digest() != digest:
            raise MemoryDamaged(
                f"{name} in {self._directory} is not what was written: its digest differs"
            )
        return data

    def drop(self, names: Iterable[str]) -> None:
        """Remove files; a missing one is ignored."""
        for name in names:
            (self._directory / name).unlink(missing_ok=True)

    def orphaned_files(self, *, known: Iterable[str]) -> list[str]:
        """Return the names of files that nothing refers to, left by a process that died."""
        return sorted({path.name for path in self._directory.iterdir()} - set(known))
