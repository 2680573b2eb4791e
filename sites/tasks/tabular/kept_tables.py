"""Tables that a process reads once, however many runs on the same records it carries out.

Only a search does that: its trials have the same sites, the same records and the same split. The
process of a site between institutions keeps nothing here.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple

from privacy.block_values import value_in_block
from sites.data.fingerprint import fingerprint_of
from sites.data.holdout import Mask, PersonRecords
from sites.data.source import DataSource, TableFile
from sites.schema.tables import Schema
from sites.tasks.tabular.data import Table, TableData


class _Key(NamedTuple):
    """What tells a table from another one.

    Args:
        content: Digest of the file.
        reading: How it is read.
        schema: Fingerprint of the schema.
    """

    content: str
    reading: str
    schema: str


@dataclass(frozen=True, kw_only=True)
class ReadTable:
    """A table as it was read, before anybody is held out.

    Args:
        table: All records.
        records: Whose each is.
        n_classes: Of the label; 0 for a number.
    """

    table: Table
    records: PersonRecords
    n_classes: int

    def divided(self, held_out: Mask) -> TableData:
        """Return the records on their sides.

        Args:
            held_out: Which records are held out, shape (n,).
        """
        return TableData(
            training=self.table.select(~held_out),
            held_out=self.table.select(held_out),
            n_classes=self.n_classes,
        )


@dataclass
class KeptTables:
    """The tables of files that were read within `in_use`.

    Guarantee: what is returned is what reading the file would give. Files are told apart by their
    content, so that two copies of a file are one table, and a file that changed is another one.
    """

    _read: dict[_Key, ReadTable] = field(default_factory=dict, repr=False)
    _divided: dict[tuple[_Key, bytes], TableData] = field(default_factory=dict, repr=False)

    @property
    def num_tables(self) -> int:
        """How many tables are kept."""
        return len(self._read)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let this thread read tables from here."""
        with value_in_block(_IN_USE, self):
            yield

    def clear(self) -> None:
        """Let go of all tables."""
        self._read.clear()
        self._divided.clear()

    def table(
        self, key: _Key, read: Callable[[], ReadTable], still: Callable[[], str]
    ) -> ReadTable:
        """Return the table of a file; read it if it is not here.

        Args:
            key: Which one.
            read: Reads the file.
            still: Returns the digest of the file as it is now.
        """
        if key in self._read:
            return self._read[key]
        found = read()
        if still() == key.content:  # else it was replaced while it was read
            self._read[key] = found
        return found

    def divided(self, key: _Key, found: ReadTable, held_out: Mask) -> TableData:
        """Return a table on its sides: the same object for the same sides."""
        if self._read.get(key) is not found:
            return found.divided(held_out)
        sides = (key, held_out.tobytes())
        if sides not in self._divided:
            self._divided[sides] = found.divided(held_out)
        return self._divided[sides]


_IN_USE: ContextVar[KeptTables | None] = ContextVar("kept tables", default=None)


def divided_table(
    source: DataSource,
    schema: Schema,
    read: Callable[[], ReadTable],
    held_out: Callable[[PersonRecords], Mask],
) -> TableData:
    """Return a site's records on their sides; a file is read once within `KeptTables.in_use`.

    Args:
        source: Where the records are.
        schema: What they mean.
        read: Reads them.
        held_out: Returns which records are held out. It is asked each time, since a site remembers
            where it said that each person stands.
    """
    kept = _IN_USE.get()
    if kept is None or not isinstance(source, TableFile) or not source.path.is_file():
        found = read()
        return found.divided(held_out(found.records))
    how = source.model_dump_json(exclude={"path"}) + "".join(source.path.suffixes)
    key = _Key(fingerprint_of(source), how, schema.fingerprint)
    found = kept.table(key, read, lambda: fingerprint_of(source))
    return kept.divided(key, found, held_out(found.records))
