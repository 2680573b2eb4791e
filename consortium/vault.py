"""What the coordinator of an encrypted run keeps: evidence it cannot read, and can be held to."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from privacy.secret_file import sync_directory

_KEPT_ROUNDS = 2


@dataclass(frozen=True)
class Vault:
    """Files of an encrypted run at the coordinator, in a folder a round.

    Guarantee: when a call returns, its file is whole and on the disk. Uploads are kept for the
    last two rounds, receipts, sums and states as well; older rounds are let go.

    Args:
        folder: Where the files are.
    """

    folder: Path

    def keep(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file from its parts, then let go of rounds that are no longer needed."""
        path = self.folder / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            sync_directory(path.parent.parent)
            self._forget_before(path.parent)
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            if not path.name.startswith("upload-"):
                os.fsync(file.fileno())  # uploads are evidence; a run goes on without them
        partial.replace(path)
        if not path.name.startswith("upload-"):
            sync_directory(path.parent)

    def read(self, name: str) -> bytes:
        """Return a kept file.

        Raises:
            FileNotFoundError: It is not kept.
        """
        return (self.folder / name).read_bytes()

    def rounds(self) -> list[int]:
        """Return the rounds that are kept, in order."""
        folders = self.folder.glob("round-*")
        return sorted(int(folder.name.removeprefix("round-")) for folder in folders)

    def _forget_before(self, folder: Path) -> None:
        newest = folder if folder.parent == self.folder else folder.parent
        if newest.parent != self.folder:
            return
        last = int(newest.name.removeprefix("round-"))
        for kept in self.rounds():
            if 0 < kept <= last - _KEPT_ROUNDS:
                shutil.rmtree(self.folder / f"round-{kept}")
