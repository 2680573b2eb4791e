"""On which side each person of a site stands: trained on, or held out; the same for ever.

The rule is `sites.data.holdout.KeyedSides` under a secret of the site. What the rule said of a
person, or the column `split` of the records, is remembered by a keyed digest of the person: who
was ever trained on is never held out. For sites that version 0.1.0 made, `earlier_runs` finds out
whom its runs trained on.
"""

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from consortium.config import RunConfig
from consortium.site.directory import SiteDirectory
from consortium.site.earlier_runs import EarlierRuns, earlier_runs
from privacy.errors import ConsortiumError, number_of
from privacy.storage.secret_files import SecretExists, SecretMissing, read_secret, write_secret
from privacy.storage.site_process import SITE_PROCESS, Cache
from privacy.storage.sqlite import DatabaseForm, SiteStore
from sites.data.holdout import KEY_BYTES, KeyedSides, Mask, PersonRecords, Sides, is_drawn
from sites.data.holdout_0_1_0 import SeededSides
from sites.data.source import DataSource

TRAINED, HELD_OUT, MAYBE_TRAINED = "trained", "held-out", "maybe-trained"

_TAG = b"consortium.side-key/1\n"
_SCENARIO_TAG = "consortium.scenario-side-key/1"
_FORM = DatabaseForm(
    file="sides.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS persons"
        " (digest BLOB PRIMARY KEY, side TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS key (digest BLOB PRIMARY KEY) STRICT",
        "CREATE TABLE IF NOT EXISTS begun_before (config TEXT PRIMARY KEY) STRICT",
    ),
    holds="what this site remembers of who is held out",
)

# Whether version 0.1.0 began a run of this config at a site. A memory to which a secret was bound
# learns of no further ones.
_BEGUN_BEFORE: Cache[tuple[Path, str], bool] = SITE_PROCESS.cache("runs begun before", most=1_024)

Names: TypeAlias = NDArray[np.str_]


class PersonChangedSides(ConsortiumError, ValueError, code="person-changed-sides"):
    """A person who was trained on would be held out now, or the other way round."""


class SideKeyReplaced(ConsortiumError, RuntimeError, code="side-key-replaced"):
    """The secret of the split is another one than that under which persons are remembered."""


def begin_sides(directory: Path, key: bytes | None = None) -> None:
    """Make the secret that decides who is held out at a new site; one that is there stays.

    Args:
        directory: The site's.
        key: The secret, 32 bytes; by default drawn by the operating system.

    Raises:
        SideKeyReplaced: The secret is gone, or another one than before.
        ExposedSecret: Others can read the directory of secrets.
    """
    with _Memory(SiteDirectory(directory).sides) as memory, memory.writing():
        memory.bind_key(directory, key)


def scenario_side_key(seed: int, name: str) -> bytes:
    """Return the secret of a scenario's site: a function of seed and name, so it protects nobody.

    A run of a scenario gives the same model again, on every machine.
    """
    return hashlib.sha256(f"{_SCENARIO_TAG} {seed} {name}".encode()).digest()


def sides_of(directory: Path, source: DataSource, config: RunConfig) -> Sides:
    """Return who is trained on and who is held out at a site.

    Args:
        directory: The site's.
        source: Where its records are.
        config: Of the run that asks; only one that version 0.1.0 began makes a difference.
    """
    return RememberedSides(directory, source, config)


@dataclass(frozen=True)
class RememberedSides:
    """The sides of a site's persons, written down before anything is learnt from them.

    Guarantee: who stood on a side stands there in every later run. A run that version 0.1.0 began
    is finished with the split it began with.

    Args:
        directory: The site's.
        source: Where its records are.
        config: Of the run.
    """

    directory: Path
    source: DataSource
    config: RunConfig

    def held_out(self, records: PersonRecords) -> Mask:
        """Return which records are held out, shape (n,).

        Raises:
            PersonOnBothSides: The source's own split has a person on both sides.
            PersonChangedSides: It has a person on another side than before.
            SideKeyReplaced: The site's secret is another one than before.
            MemoryUnavailable: What is remembered cannot be read or written.
            ExposedSecret: Others can read it.
        """
        with _Memory(SiteDirectory(self.directory).sides) as memory, memory.writing():
            made_by_0_1_0 = memory.empty
            rule = KeyedSides(memory.bind_key(self.directory))
            earlier = self._earlier_runs(memory) if made_by_0_1_0 else None
            mask = _Persons(records, rule).remember(memory, earlier)
            begun_before = memory.began_before(self.config.digest)
        _BEGUN_BEFORE.put((self.directory, self.config.digest), begun_before)
        return SeededSides(self.config.seed).held_out(records) if begun_before else mask

    def _earlier_runs(self, memory: "_Memory") -> EarlierRuns | None:
        found = earlier_runs(self.directory, self.source, self.config)
        if found is not None:
            memory.note_begun_before(found.unfinished)
        return found


@dataclass(frozen=True)
class _Persons:
    """The persons of some records, and what decides of those who are new."""

    records: PersonRecords
    rule: KeyedSides

    def remember(self, memory: "_Memory", earlier: EarlierRuns | None) -> Mask:
        """Remember the side of whoever is new; return which records are held out."""
        _, first, of_record = self.records.by_person
        digests = self.records.digests(self.rule)
        known = memory.sides()
        given = self.records.whole_given
        said = None if given is None else given[first]
        new = self._new_sides(digests, said, earlier, first)
        sides = [known.get(digest, side) for digest, side in zip(digests, new, strict=True)]
        if said is not None:
            sides = self._agreed_sides(sides, new, of_record)
        changed = {
            digest: side
            for digest, side in zip(digests, sides, strict=True)
            if known.get(digest) != side
        }
        memory.keep(changed)
        held_out: Mask = np.array([side == HELD_OUT for side in sides], np.bool_)
        return held_out[of_record]

    def _new_sides(
        self,
        digests: list[bytes],
        said: Mask | None,
        earlier: EarlierRuns | None,
        first: NDArray[np.intp],
    ) -> list[str]:
        """Return the side of each person as if it were new."""
        if said is not None:
            return [HELD_OUT if held else TRAINED for held in said]
        if earlier is None:
            return [HELD_OUT if is_drawn(digest) else TRAINED for digest in digests]
        trained = earlier.trained_on(self.records)
        if trained is None:
            return [MAYBE_TRAINED] * len(digests)
        return [TRAINED if once else HELD_OUT for once in trained[first]]

    def _agreed_sides(
        self, sides: list[str], said: list[str], of_record: NDArray[np.intp]
    ) -> list[str]:
        """Return the sides of a column `split`, if nobody stood on another one before."""
        moved = np.array(
            [before not in (now, MAYBE_TRAINED) for before, now in zip(sides, said, strict=True)],
            np.bool_,
        )
        if moved.any():
            count = int(moved.sum())
            raise PersonChangedSides(
                f"{number_of(count, 'person')} changed sides of the split, in "
                f"{self.records.shown_places(moved[of_record])}: whoever was trained on is never "
                "held out; put the column back as it was, or leave these rows out",
                persons=count,
            )
        return said


class _Memory(SiteStore):
    """Who stood where."""

    form = _FORM

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.writing = self._database.writing

    @property
    def empty(self) -> bool:
        """Whether no secret was ever bound to it, as at a site that version 0.1.0 made."""
        return self._database.row("SELECT digest FROM key") is None

    def bind_key(self, directory: Path, key: bytes | None = None) -> bytes:
        """Return the site's secret, made and bound to this memory if the memory is empty.

        Raises:
            SideKeyReplaced: The secret is gone, or another one is bound.
        """
        path = SiteDirectory(directory).side_key
        if self.empty:
            # Where a process died between the two, the secret that it made is bound now.
            with suppress(SecretExists):
                write_secret(path, tag=_TAG, secret=key or secrets.token_bytes(KEY_BYTES))
            held = read_secret(path, tag=_TAG, size=KEY_BYTES)
            self._database.execute("INSERT INTO key VALUES (?)", _key_digest(held))
            return held
        with suppress(SecretMissing):
            held = read_secret(path, tag=_TAG, size=KEY_BYTES)
            if self._database.row("SELECT digest FROM key") == (_key_digest(held),):
                return held
        raise SideKeyReplaced(
            f"{path} is not the secret under which this site remembers who is held out: bring it "
            "back from a backup"
        )

    def sides(self) -> Mapping[bytes, str]:
        """Return the side of each person by digest."""
        return dict(self._database.rows("SELECT digest, side FROM persons"))

    def keep(self, sides: Mapping[bytes, str]) -> None:
        """Write down where persons stand."""
        self._database.execute_each("INSERT OR REPLACE INTO persons VALUES (?, ?)", sides.items())

    def note_begun_before(self, configs: frozenset[str]) -> None:
        """Write down which runs version 0.1.0 began and did not end, by digest of the config."""
        for digest in configs:
            self._database.execute("INSERT OR IGNORE INTO begun_before VALUES (?)", digest)

    def began_before(self, config: str) -> bool:
        """Return whether version 0.1.0 began a run of this config and did not end it."""
        found = self._database.row("SELECT config FROM begun_before WHERE config = ?", config)
        return found is not None

    def forget_begun(self, config: str) -> None:
        """Let go of a run that version 0.1.0 began, once it has ended."""
        self._database.execute("DELETE FROM begun_before WHERE config = ?", config)


def _key_digest(key: bytes) -> bytes:
    return hashlib.sha256(_TAG + key).digest()


def end_run(directory: Path, config: RunConfig) -> None:
    """Note that a run has ended: only one that version 0.1.0 began makes a difference."""
    if _BEGUN_BEFORE.find((directory, config.digest)) is False:
        return
    place = SiteDirectory(directory)
    with _Memory(place.sides) as memory:
        memory.forget_begun(config.digest)
