"""The later periods of a site: which records its operator declared for each, and what they gave.

A period is a data set of its own. So exact counts of it are of one roster, whoever was in another
period, and no record may be in two of them: the site remembers the records of each by their
fingerprint. What it counted itself stays here, for its operator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from consortium.site.directory import SiteConfig, SiteDirectory, read_site_config
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.storage.sqlite import DatabaseForm, SiteStore
from sites.data.fingerprint import fingerprint_of
from sites.data.source import DataSource

_FORM = DatabaseForm(
    file="periods.sqlite",
    tables=(
        "CREATE TABLE IF NOT EXISTS periods (name TEXT PRIMARY KEY, source TEXT NOT NULL,"
        " fingerprint TEXT NOT NULL) STRICT",
        "CREATE TABLE IF NOT EXISTS counts (period TEXT, model TEXT, score_bins BLOB NOT NULL,"
        " tally BLOB NOT NULL, PRIMARY KEY (period, model)) STRICT",
    ),
    holds="what this site remembers of its periods",
)
_SOURCE: TypeAdapter[DataSource] = TypeAdapter(DataSource)


class NoSuchPeriod(ConsortiumError, LookupError, code="no-such-period"):
    """The operator of this site declared no records for the period that a run counts."""


class PeriodWaits(ConsortiumError, PermissionError, code="period-waits"):
    """A period has fewer than ten new persons of a class: they wait for the next one."""


class PeriodChanged(ConsortiumError, PermissionError, code="period-changed"):
    """The records of a period are others than those that were declared, or counted."""


class RecordsOfAnotherPeriod(ConsortiumError, ValueError, code="records-of-another-period"):
    """The same records were declared for another period, or are those that the site trains on."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """The records of a later period, as the operator of a site declared them.

    Args:
        name: The name that the run gives.
        source: Where they are.
        fingerprint: Of these records.
    """

    name: str
    source: DataSource
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class OwnCount:
    """What a site counted of its own records of a period.

    Args:
        model: Digest of the model that was judged.
        score_bins: By which scores are counted.
        tally: The counts.
    """

    model: str
    score_bins: bytes
    tally: Tally


class PeriodMemory(SiteStore):
    """The periods of one site."""

    form = _FORM

    @classmethod
    def at(cls, directory: Path) -> "PeriodMemory":
        """Return those of the site in a directory; close it after use."""
        return cls(SiteDirectory(directory).periods)

    def periods(self) -> Iterator[Period]:
        """Yield the periods, by name."""
        query = "SELECT name, source, fingerprint FROM periods ORDER BY name"
        for name, source, fingerprint in self._database.rows(query):
            yield Period(name=name, source=_SOURCE.validate_json(source), fingerprint=fingerprint)

    def declare(self, wanted: Period) -> None:
        """Remember the records of a period.

        Raises:
            RecordsOfAnotherPeriod: They are those of another one.
            PeriodChanged: Others were counted under this name.
        """
        with self._database.writing():
            for other in self.periods():
                _require_apart(wanted, other, counted=bool(self.counts(other.name)))
            self._database.execute(
                "INSERT OR REPLACE INTO periods VALUES (?, ?, ?)",
                wanted.name,
                _SOURCE.dump_json(wanted.source).decode(),
                wanted.fingerprint,
            )

    def keep_count(self, period: str, count: OwnCount) -> None:
        """Keep what this site counts of its own, before anything of it leaves."""
        with self._database.writing():
            self._database.execute(
                "INSERT OR REPLACE INTO counts VALUES (?, ?, ?, ?)",
                period,
                count.model,
                count.score_bins,
                np.ascontiguousarray(count.tally, "<i8").tobytes(),
            )

    def counts(self, period: str) -> tuple[OwnCount, ...]:
        """Return what this site counted of a period, one for each model."""
        rows = self._database.rows(
            "SELECT model, score_bins, tally FROM counts WHERE period = ? ORDER BY rowid", period
        )
        return tuple(
            OwnCount(
                model=model, score_bins=bins, tally=np.frombuffer(tally, "<i8").astype(np.int64)
            )
            for model, bins, tally in rows
        )


def _require_apart(wanted: Period, other: Period, *, counted: bool) -> None:
    if other.name != wanted.name and other.fingerprint == wanted.fingerprint:
        raise RecordsOfAnotherPeriod(
            f"these are the records of {other.name}, and no record is in two periods: name the "
            f"records that came after them for {wanted.name}"
        )
    if other.name == wanted.name and other.fingerprint != wanted.fingerprint and counted:
        raise PeriodChanged(
            f"other records were counted for {wanted.name}, and the difference would be single "
            "persons: declare what came since for the next period"
        )


def declare_period(directory: Path, name: str, source: DataSource) -> Period:
    """Declare the records of a later period at a site, and return what is remembered of them.

    Until they are counted, other records may take their place.

    Args:
        directory: The site's.
        name: The name of the period, on which all members agreed.
        source: Where its records are.

    Raises:
        RecordsOfAnotherPeriod: They are those of another period, or those that the site trains on.
        PeriodChanged: Others were counted under this name.
        BadSite: There is no site.
        OSError: A file cannot be read.
    """
    config = read_site_config(directory)
    wanted = Period(name=name, source=source, fingerprint=fingerprint_of(source))
    if fingerprint_of(config.source) == wanted.fingerprint:
        raise RecordsOfAnotherPeriod(
            "these are the records that this site trains on: name those that came after them"
        )
    with PeriodMemory.at(directory) as memory:
        memory.declare(wanted)
    return wanted


def config_of_period(directory: Path, config: SiteConfig, name: str) -> SiteConfig:
    """Return what a site's `site.json` would say if a period were all that it has.

    Raises:
        NoSuchPeriod: No records were declared for it.
    """
    period = _find_period(directory, name)
    return config.model_copy(update={"source": period.source, "data_set": f"period-{name}"})


def require_declared_records(directory: Path, name: str, fingerprint: str) -> None:
    """Check that the records of a period are those that were declared for it.

    Raises:
        NoSuchPeriod: None were.
        PeriodChanged: They are others.
    """
    if _find_period(directory, name).fingerprint != fingerprint:
        raise PeriodChanged(
            f"the records of {name} are others than those that were declared: bring them back, or "
            "declare the period again if it was not counted yet"
        )


def _find_period(directory: Path, name: str) -> Period:
    if SiteDirectory(directory).periods.exists():
        with PeriodMemory.at(directory) as memory:
            for period in memory.periods():
                if period.name == name:
                    return period
    raise NoSuchPeriod(
        f"no records are declared for {name}: `consortium site period SITE {name} --data FILE`"
    )
