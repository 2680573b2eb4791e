"""The evidence store of an encrypted run: ciphertexts, receipts and sums, for later audits."""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from privacy.storage.deferred_sync import deferral_of
from privacy.storage.durable_files import sync_directory

ROUNDS_KEPT = 2
_DELETED = "uploads-deleted"


@dataclass(frozen=True)
class EvidenceStore:
    """The coordinator's files of an encrypted run, in one folder per round.

    Guarantee: each file is whole or absent. A file at the top level is on disk when `keep`
    returns, and everything kept before it is on disk before its name is: a run that says it is in
    round t has all of round t-1, even after a power loss. Within `deferred_syncs` of such a file,
    that waits for the end, when `take_unsynced` says what there is to sync. Uploads are the
    exception: a run can resume without this evidence, so nothing waits for them. The last two
    rounds of uploads, receipts, sums and states are kept, and older rounds are deleted, unless all
    are to be kept.
    Uploads can be deleted alone, once nobody needs them for an audit.

    Args:
        folder: The folder of the files.
        keeps_all: Whether no round is ever deleted.
    """

    folder: Path
    keeps_all: bool = False
    _written: dict[Path, None] = field(default_factory=dict, init=False, repr=False, compare=False)
    _renamed: dict[Path, None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def keep(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a file from its parts, and delete rounds that are no longer needed."""
        path = self.folder / name
        synced = path.parent == self.folder and deferral_of(path) is None
        if not path.parent.exists():
            self._make_folder(path.parent)
            self._delete_rounds_before(path.parent)
        partial = path.with_name(f".{path.name}.partial")
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            if synced:
                self._sync_kept_rounds()
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
        if synced:
            sync_directory(self.folder)
        elif not path.name.startswith("upload-"):
            self._written[path] = None
            self._renamed[path.parent] = None

    def take_unsynced(self) -> list[Path]:
        """Return the files that were kept since the last sync, and leave their sync to the caller.

        Their folders may be unsynced, too.
        """
        taken = [*self._written]
        self._written.clear()
        self._renamed.clear()
        return taken

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

    def delete_uploads(self, *, before: datetime) -> int:
        """Delete the uploads of each sum whose last one came before a time; return their number.

        Guarantee: a folder is marked on the disk before the first is deleted. So an auditor can
        tell, also after a death in between, what was deleted from what was never kept. The
        receipts and sums stay. Nothing may be added to the store meanwhile.
        """
        found: dict[Path, list[Path]] = {}
        for path in self.folder.glob("round-*/*/*upload-*"):  # also parts that a death left
            found.setdefault(path.parent, []).append(path)
        old = {
            folder: paths
            for folder, paths in found.items()
            if max(path.stat().st_mtime for path in paths) < before.timestamp()
        }
        for folder, paths in old.items():
            (folder / _DELETED).write_text(f"{datetime.now(UTC).isoformat()}\n")
            sync_directory(folder)
            for path in paths:
                path.unlink()
            sync_directory(folder)
        return sum(map(len, old.values()))

    def has_uploads(self, folder: Path) -> bool:
        """Return whether the uploads of a sum were kept, and not deleted since.

        Args:
            folder: The folder of the sum.
        """
        return not (folder / _DELETED).exists()

    def _make_folder(self, folder: Path) -> None:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True)
        self._renamed.update(dict.fromkeys(one.parent for one in missing))

    def _sync_kept_rounds(self) -> None:
        """Sync the files kept in round folders, and these folders, to disk."""
        for path in self._written:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        for folder in self._renamed:
            sync_directory(folder)
        self._written.clear()
        self._renamed.clear()

    def _delete_rounds_before(self, folder: Path) -> None:
        newest = folder if folder.parent == self.folder else folder.parent
        if self.keeps_all or newest.parent != self.folder:
            return
        last = int(newest.name.removeprefix("round-"))
        for kept in self.rounds():
            if 0 < kept <= last - ROUNDS_KEPT:
                gone = self.folder / f"round-{kept}"
                shutil.rmtree(gone)
                for waiting in (self._written, self._renamed):
                    for path in [one for one in waiting if one.is_relative_to(gone)]:
                        del waiting[path]
