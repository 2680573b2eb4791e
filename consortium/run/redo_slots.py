"""Files that take turns; each holds what was written since the other, on the disk by one sync.

A round of an encrypted run leaves six files in three folders, and each file and folder would need
a sync of its own. Instead they are copied into one file that is there already, and that is synced.
If the machine dies, they are put back from there before the run goes on.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from consortium.run.evidence_store import ROUNDS_KEPT
from privacy.audit.log_tail import LogTail
from privacy.storage.durable_files import sync_directory, write_atomically

SLOTS = ("redo-0.bin", "redo-1.bin", "redo-2.bin", "redo-3.bin")

_MAGIC = b"consortium.redo/1\n"
_NUMBERS = struct.Struct("<QQ")  # of the copy, and bytes of its table
_DIGEST = hashlib.sha256().digest_size
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Copied:
    """What one of the two files holds.

    Args:
        number: Copies are numbered from 1 on.
        files: Content of each file, by its path in the folder.
        log_from: Where the copied end of the log begins.
        log: The end of the log.
    """

    number: int
    files: dict[str, bytes]
    log_from: int
    log: bytes


@dataclass
class RedoSlots:
    """Copies of the files of a folder, and of the end of a log beside it.

    Guarantee: when `copy` returns, the files and the log are on the disk, or a copy of them is;
    as a rule that takes one sync. A file stays copied until another copy came in between, and is
    synced itself before its copy is overwritten. `put_back` gives each file what was copied last.

    Args:
        folder: The folder.
        log: The log.
        num_slots: How many files take turns: 2 if a round makes one copy, 4 if it makes two. Then
            the files of a copy are of a round that is deleted when another copy takes its place.
    """

    folder: Path
    log: Path
    num_slots: int = 2
    _number: int = field(default=-1, init=False)
    _held: dict[int, tuple[Path, ...]] = field(default_factory=dict, init=False)

    def copy(self, files: Iterable[Path], *, log_from: int) -> None:
        """Copy files, and the log from some place on; sync the copy."""
        if self._number < 0:
            self._number = max((one.number for one in self._copies()), default=0)
        number, chosen = self._number + 1, tuple(files)
        slot = number % self.num_slots
        self._sync_those_held(slot, but=chosen)
        path = self.folder / SLOTS[slot]
        is_new = not path.exists()
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+b") as file:
            self._write(file, number, chosen, log_from=log_from)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_directory(self.folder)
        self._number, self._held[slot] = number, chosen

    def put_back(self) -> None:
        """Put back what the folder and the log lost with the machine."""
        copies = sorted(self._copies(), key=lambda one: one.number)
        files = {name: content for one in copies for name, content in one.files.items()}
        for name, content in files.items():
            path = self.folder / name
            if self._was_deleted(name) or (path.exists() and path.read_bytes() == content):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, content)
        for one in copies:
            LogTail(self.log).complete(one.log_from, one.log)

    def _was_deleted(self, name: str) -> bool:
        """Return whether a file was of a round that the run let go of."""
        first = Path(name).parts[0]
        if not first.startswith("round-") or (self.folder / first).exists():
            return False
        newest = max((_round(one.name) for one in self.folder.glob("round-*")), default=0)
        return newest >= _round(first) + ROUNDS_KEPT

    def _sync_those_held(self, slot: int, *, but: Sequence[Path]) -> None:
        left = [one for one in self._held.get(slot, ()) if one not in but and one.exists()]
        for path in left:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        # A folder's own name is in the one above.
        for folder in {above for path in left for above in (path.parent, path.parent.parent)}:
            sync_directory(folder)

    def _write(self, file: BinaryIO, number: int, files: Sequence[Path], *, log_from: int) -> None:
        """Write a copy over what the file held; what is longer stays behind it."""
        sizes = {str(one.relative_to(self.folder)): one.stat().st_size for one in files}
        log_size = self.log.stat().st_size - log_from
        table = json.dumps({"files": sizes, "log": [log_from, log_size]}).encode()
        digest = hashlib.sha256()
        parts = [(one, 0, sizes[str(one.relative_to(self.folder))]) for one in files]
        for part in (_MAGIC, _NUMBERS.pack(number, len(table)), table):
            digest.update(part)
            file.write(part)
        for path, first, size in (*parts, (self.log, log_from, log_size)):
            with path.open("rb") as copied:
                copied.seek(first)
                left = size
                while left:
                    chunk = copied.read(min(_CHUNK, left))
                    if not chunk:
                        raise OSError(f"{path} became shorter while it was copied")
                    digest.update(chunk)
                    file.write(chunk)
                    left -= len(chunk)
        file.write(digest.digest())

    def _copies(self) -> list[Copied]:
        """Return the copies that are whole; a power loss may have cut short the last one."""
        found = (self._read(self.folder / name) for name in SLOTS)
        return [one for one in found if one is not None]

    def _read(self, path: Path) -> Copied | None:
        data = path.read_bytes() if path.exists() else b""
        at = len(_MAGIC) + _NUMBERS.size
        if len(data) < at or not data.startswith(_MAGIC):
            return None
        number, table_size = _NUMBERS.unpack_from(data, len(_MAGIC))
        try:
            table = json.loads(data[at : at + table_size])
            sizes = {str(name): int(size) for name, size in table["files"].items()}
            log_from, log_size = (int(one) for one in table["log"])
        except (ValueError, LookupError, TypeError):
            return None
        at += table_size
        end = at + sum(sizes.values()) + log_size
        if hashlib.sha256(data[:end]).digest() != data[end : end + _DIGEST]:
            return None
        files = {}
        for name, size in sizes.items():
            files[name] = data[at : at + size]
            at += size
        return Copied(number=number, files=files, log_from=log_from, log=data[at:end])


def _round(folder: str) -> int:
    return int(folder.removeprefix("round-"))
