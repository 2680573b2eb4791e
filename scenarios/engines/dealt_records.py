"""The data set of a scenario, dealt to its sites and written as the files that they get."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO

import pandas as pd

from privacy.block_values import value_in_block
from privacy.errors import ConsortiumError
from scenarios.data.datasets import load_dataset
from scenarios.scenario import Scenario


class NoRecords(ConsortiumError, ValueError, code="no-records"):
    """A site has no records: the scenario has no data set, and the user gave none."""


@dataclass(frozen=True)
class DealtRecords:
    """Each site's records.

    Args:
        frames: The records by site.
    """

    frames: Mapping[str, pd.DataFrame]
    _files: dict[str, bytes] = field(default_factory=dict, repr=False)

    def file_of(self, site: str) -> bytes:
        """Return a site's records as the bytes of a Parquet file."""
        if site not in self._files:
            self._files[site] = parquet_bytes(self.frames[site])
        return self._files[site]


@dataclass
class KeptDeal:
    """The records of the scenario that was dealt last within `in_use`."""

    _scenario: Scenario | None = None
    _sites: tuple[str, ...] = ()
    _dealt: DealtRecords = field(default_factory=lambda: DealtRecords({}), repr=False)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Deal the records of a scenario once, however often it is staged by this thread."""
        with value_in_block(_IN_USE, self):
            yield

    def clear(self) -> None:
        """Let go of the records."""
        self._scenario, self._sites, self._dealt = None, (), DealtRecords({})

    def of(self, scenario: Scenario, sites: Sequence[str]) -> DealtRecords:
        """Return the records of these sites, dealt once as long as the scenario is the same."""
        asked = tuple(sites)
        if (self._scenario, self._sites) != (scenario, asked):
            self._dealt = _dealt(scenario, asked)
            self._scenario, self._sites = scenario, asked
        return self._dealt


_IN_USE: ContextVar[KeptDeal | None] = ContextVar("kept deal", default=None)


def dealt_records(scenario: Scenario, sites: Sequence[str]) -> DealtRecords:
    """Return the records of these sites in the scenario's data set.

    Raises:
        NoRecords: The scenario has no data set.
    """
    kept = _IN_USE.get()
    return kept.of(scenario, sites) if kept else _dealt(scenario, sites)


def parquet_bytes(records: pd.DataFrame) -> bytes:
    """Return records as the bytes of a Parquet file, which are the same for the same records."""
    written = BytesIO()
    records.to_parquet(written, index=False)
    return written.getvalue()


def _dealt(scenario: Scenario, sites: Sequence[str]) -> DealtRecords:
    if not sites:
        return DealtRecords({})
    if scenario.site_of_row is None or not (scenario.dataset or scenario.records):
        raise NoRecords(
            f"{scenario.name} has no data set, and there is no data for {', '.join(sites)}: "
            "give each site its own with --data",
            sites=len(sites),
        )
    frame = scenario.records() if scenario.records else load_dataset(str(scenario.dataset))
    owner = scenario.site_of_row(frame)
    return DealtRecords({name: frame[owner == name] for name in sites})
