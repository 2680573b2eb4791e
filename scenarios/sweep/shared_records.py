"""The records of a sweep in one process: its trials have one roster and one split.

Each trial is staged as any run, and each site reads its own file and remembers its own split. What
is dealt, written or read to the same result is kept from one trial for the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scenarios.engines.dealt_records import KeptDeal
from sites.tasks.tabular.kept_tables import KeptTables


@dataclass(frozen=True)
class SharedRecords:
    """What this process keeps of the records of a sweep."""

    deal: KeptDeal = field(default_factory=KeptDeal)
    tables: KeptTables = field(default_factory=KeptTables)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Stage and read here what was staged and read before."""
        with self.deal.in_use(), self.tables.in_use():
            yield

    def clear(self) -> None:
        """Let go of the records, at the end of a sweep."""
        self.deal.clear()
        self.tables.clear()


SHARED_RECORDS = SharedRecords()
