"""A disk that may lose power: what a folder can hold afterwards, at any moment of a program.

Python's own syncs, renames and writes are seen as they happen. SQLite's are not: of its syncs is
known what it documents, that a commit with `synchronous=FULL` syncs the write-ahead log, and one
with NORMAL nothing. Checkpoints of a database are not modelled, so none may happen meanwhile.
What was not synced may be lost or kept, for each file by itself, or in part, or as zeros; so
may the names of new files, whatever the order in which they were written.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from privacy.storage.sqlite import SiteDatabase

Files = dict[str, bytes]


@dataclass(frozen=True)
class Moment:
    """A moment at which the power may go.

    Args:
        what: What the program did last.
        synced: What is on the disk for certain.
        written: What the program wrote.
        copies: Copies of other folders as they were.
    """

    what: str
    synced: Files
    written: Files
    copies: tuple[Path, ...] = ()

    def outcomes(self) -> dict[str, Files]:
        """Return what the folder may hold after the power went, by a name for each case."""
        changed = [one for one in self.written if self.synced.get(one) != self.written[one]]
        gone = [one for one in self.synced if one not in self.written]
        found = {"lost": self.synced, "kept": self.written}
        if not changed and not gone:
            return {"kept": self.written}
        halves = {one: self._in_part(one, fill=False) for one in changed}
        zeros = {one: self._in_part(one, fill=True) for one in changed}
        found |= {"half": self.written | halves, "zeros": self.written | zeros}
        for one in changed:
            alone = {**self.synced, one: self.written[one]}
            found[f"only {one}"] = alone
            without = {name: content for name, content in self.written.items() if name != one}
            found[f"all but {one}"] = without | {
                name: content for name, content in self.synced.items() if name == one
            }
        return found

    def _in_part(self, name: str, *, fill: bool) -> bytes:
        """Return a file of whose new bytes half came to the disk; zeros may stand for the rest."""
        before, now = self.synced.get(name, b""), self.written[name]
        first = len(before) if now.startswith(before) else 0
        half = now[: first + (len(now) - first) // 2]
        return half + bytes(len(now) - len(half)) if fill else half


@dataclass
class Disk:
    """The disk below a folder, from the moment on at which it is made: all is synced then.

    Args:
        folder: The folder.
        also: Folders on other disks, copied at every moment.
        copies: Where they are copied.
    """

    folder: Path
    also: tuple[Path, ...] = ()
    copies: Path | None = None
    moments: list[Moment] = field(default_factory=list)
    syncs: list[str] = field(default_factory=list)
    _contents: dict[int, bytes] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _commits: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in self._paths():
            self._contents[path.stat().st_ino] = path.read_bytes()
            self._names[self._name(path)] = path.stat().st_ino
            self._commits[path] = path.stat().st_mtime_ns, path.stat().st_size

    @contextmanager
    def watched(self) -> Iterator[None]:
        """See what a program does within this block."""
        with pytest.MonkeyPatch.context() as patch:
            self._watch(patch)
            yield
            self.note("the end")

    def note(self, what: str) -> None:
        """Note a moment at which the power may go."""
        named = {name: self._contents.get(number, b"") for name, number in self._names.items()}
        written = {self._name(path): path.read_bytes() for path in self._paths()}
        for name in written:
            assert not name.endswith(".sqlite") or written[name] == named[name], "a checkpoint"
        copies: list[Path] = []
        for number, place in enumerate(self.also):
            assert self.copies is not None
            copies.append(self.copies / f"{len(self.moments)}-{number}")
            shutil.copytree(place, copies[-1])
        self.moments.append(Moment(what, named, written, tuple(copies)))

    def put(self, files: Files, place: Path) -> None:
        """Make a folder that holds these files, with the modes they have here."""
        shutil.copytree(self.folder, place)
        for path in [one for one in place.rglob("*") if one.is_file()]:
            if str(path.relative_to(place)) not in files:
                path.unlink()
        for name, content in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.touch(0o600)
            path.write_bytes(content)

    def _watch(self, patch: pytest.MonkeyPatch) -> None:
        fsync, replace, write, writing = os.fsync, Path.replace, os.write, SiteDatabase.writing

        def syncing(handle: int) -> None:
            path = _path_of(handle)
            self._note_if_here(path, f"before a sync of {path.name}")
            fsync(handle)
            if path.is_relative_to(self.folder):
                self._sync(path)
            self._note_if_here(path, f"after a sync of {path.name}")

        def naming(path: Path, target: Path) -> Path:
            named = replace(path, target)
            if not target.name.startswith("upload-"):
                self._note_if_here(target, f"{target.name} got its name")
            return named

        def appending(handle: int, data: bytes) -> int:
            count = write(handle, data)
            self._note_if_here(_path_of(handle), "bytes were appended")
            return count

        @contextmanager
        def committing(database: SiteDatabase) -> Iterator[None]:
            with writing(database):
                yield
            self._note_commit(database)

        patches: list[tuple[Any, str, Any]] = [
            (os, "fsync", syncing),
            (os, "write", appending),
            (Path, "replace", naming),
            (SiteDatabase, "writing", committing),
        ]
        for owner, name, seen in patches:
            patch.setattr(owner, name, seen)

    def _note_if_here(self, path: Path, what: str) -> None:
        if path.is_relative_to(self.folder):
            self.note(what)

    def _note_commit(self, database: SiteDatabase) -> None:
        """Note a commit that wrote something, and its sync if it had one."""
        wal = database.path.with_name(f"{database.path.name}-wal")
        if not wal.is_relative_to(self.folder):
            return
        changed = wal.stat().st_mtime_ns, wal.stat().st_size
        if self._commits.get(wal) == changed:
            return
        self._commits[wal] = changed
        if database.row("PRAGMA synchronous") == (2,):
            self._sync(wal)
            self._names[self._name(wal)] = wal.stat().st_ino
        self.note(f"a commit to {database.path.name}")

    def _sync(self, path: Path) -> None:
        self.syncs.append(self._name(path))
        if path.is_dir():
            inside = {
                one for one in self._names if Path(one).parent == path.relative_to(self.folder)
            }
            for name in inside:
                del self._names[name]
            there = (one for one in path.iterdir() if one.is_file() and self._lasts(one))
            self._names |= {self._name(one): one.stat().st_ino for one in there}
        else:
            self._contents[path.stat().st_ino] = path.read_bytes()

    def _paths(self) -> list[Path]:
        return sorted(one for one in self.folder.rglob("*") if one.is_file() and self._lasts(one))

    @staticmethod
    def _lasts(path: Path) -> bool:
        # SQLite makes its index of the write-ahead log anew when a database is opened.
        return not path.name.endswith("-shm")

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.folder))


def _path_of(handle: int) -> Path:
    return Path(f"/proc/self/fd/{handle}").readlink()
