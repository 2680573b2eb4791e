"""Large bytes in files of one private directory, whole or not there."""

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.storage.secret_files import make_private_directory, sync_directory


class MemoryDamaged(ConsortiumError, ValueError):
    """What the site kept is not what it once wrote, or was written by another version."""

    code = "memory-damaged"


class KeptFiles:
    """Files that are written once, under names nobody chose, and read whole.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path) -> None:
        make_private_directory(directory)
        self._directory = directory

    def keep(self, data: bytes) -> tuple[str, bytes]:
        """Write a new file; return its name and digest when it is on the disk."""
        name = secrets.token_hex(16)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(self._directory / name, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self._directory)
        return name, hashlib.sha256(data).digest()

    def read(self, name: str, *, digest: bytes) -> bytes:
        """Return what `keep` wrote.

        Raises:
            MemoryDamaged: The file holds something else, or is gone.
        """
        try:
            data = (self._directory / name).read_bytes()
        except FileNotFoundError as error:
            raise MemoryDamaged(f"{name} is gone from {self._directory}") from error
        if hashlib.sha256(data).digest() != digest:
            raise MemoryDamaged(f"{name} in {self._directory} is not what was written")
        return data

    def drop(self, names: Iterable[str]) -> None:
        """Remove files; one that is gone already is no loss."""
        for name in names:
            (self._directory / name).unlink(missing_ok=True)

    def orphaned_files(self, *, known: Iterable[str]) -> list[str]:
        """Return the names of files that nothing refers to: what a dying process left behind."""
        return sorted({path.name for path in self._directory.iterdir()} - set(known))
