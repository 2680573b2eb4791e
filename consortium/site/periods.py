"""The later periods of a site: which records its operator declared for each, and what they gave.

A period is a data set of its own. So exact counts of it are of one roster, whoever was in another
period, and the same records are not counted for two of them: the site remembers those of
each by their fingerprint. What it counted itself stays here, for its operator.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    def find(self, name: str) -> Period:
        """Return a period.

        Raises:
            NoSuchPeriod: No records were declared for it.
        """
        for period in self.periods():
            if period.name == name:
                return period
        raise _none_declared(name)

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

    def keep_count(self, period: str, count: OwnCount, *, fingerprint: str) -> None:
        """Keep what this site counts of its own, before anything of it leaves.

        From now on no other records are counted under this name.

        Args:
            period: Its name.
            count: What was counted.
            fingerprint: Of the records that were counted.

        Raises:
            NoSuchPeriod: None were declared.
            PeriodChanged: The operator declared others since these were read.
        """
        with self._database.writing():
            _require_declared(self.find(period), fingerprint)
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
        raise _same_records(wanted, other)
    if other.name == wanted.name and other.fingerprint != wanted.fingerprint and counted:
        raise PeriodChanged(
            f"other records were counted for {wanted.name}, and the difference would be single "
            "persons: declare what came since for the next period"
        )


def _same_records(wanted: Period, other: Period) -> RecordsOfAnotherPeriod:
    return RecordsOfAnotherPeriod(
        f"these are the records of {other.name}, which are not counted for two periods: name the "
        f"records that came after them for {wanted.name}"
    )


def declare_period(directory: Path, name: str, source: DataSource) -> Period:
    """Declare the records of a later period at a site, and return what is remembered of them.

    Until they are counted, other records may take their place.

    Args:
        directory: The site's.
        name: The name of the period, on which all members agreed.
        source: Where its records are.

    Raises:
        RecordsOfAnotherPeriod: They are those of another period, or those that the site trains on,
            however they are to be read; or these have the name of the period.
        PeriodChanged: Others were counted under this name.
        BadSite: There is no site.
        OSError: A file cannot be read.
    """
    config = read_site_config(directory)
    if config.data_set == _data_set_of(name):
        raise RecordsOfAnotherPeriod(
            f"{config.data_set} is the name of the records that this site trains on: agree on "
            "another name for this period"
        )
    wanted = Period(name=name, source=source, fingerprint=fingerprint_of(source))
    if _holds(wanted, fingerprint_of(config.source), read_as=config.source):
        raise RecordsOfAnotherPeriod(
            "these are the records that this site trains on: name those that came after them"
        )
    with PeriodMemory.at(directory) as memory:
        # Before the memory is locked: the rows of a query can take long.
        for other in list(memory.periods()):
            if other.name != name and _holds(wanted, other.fingerprint, read_as=other.source):
                raise _same_records(wanted, other)
        memory.declare(wanted)
    return wanted


def _holds(wanted: Period, fingerprint: str, *, read_as: DataSource) -> bool:
    """Return whether the records are those of a fingerprint, whatever words tell how to read them.

    A fingerprint covers the words. So the records are taken as the other source is read. Two named
    sheets of one workbook are two tables.
    """
    words: dict[str, Any] = {
        name: getattr(read_as, name)
        for name in ("reading", "encoding", "sheet")
        if name in type(wanted.source).model_fields and name in type(read_as).model_fields
    }
    sheet = getattr(wanted.source, "sheet", None)
    if sheet and words.get("sheet"):
        words["sheet"] = sheet
    alike = wanted.source.model_copy(update=words)
    found = wanted.fingerprint if alike == wanted.source else fingerprint_of(alike)
    return found == fingerprint


def config_of_period(directory: Path, config: SiteConfig, name: str) -> SiteConfig:
    """Return what a site's `site.json` would say if a period were all that it has.

    Raises:
        NoSuchPeriod: No records were declared for it.
    """
    period = _find_period(directory, name)
    return config.model_copy(update={"source": period.source, "data_set": _data_set_of(name)})


def require_declared_records(directory: Path, name: str, fingerprint: str) -> None:
    """Check that the records of a period are those that were declared for it.

    Raises:
        NoSuchPeriod: None were.
        PeriodChanged: They are others.
    """
    _require_declared(_find_period(directory, name), fingerprint)


def _require_declared(period: Period, fingerprint: str) -> None:
    if period.fingerprint != fingerprint:
        raise PeriodChanged(
            f"the records of {period.name} are others than those that were declared: bring them "
            "back, or declare the period again if it was not counted yet"
        )


def _data_set_of(name: str) -> str:
    """Return the name by which the ledger counts the persons of a period."""
    return f"period-{name}"


def _find_period(directory: Path, name: str) -> Period:
    if not SiteDirectory(directory).periods.exists():
        raise _none_declared(name)
    with PeriodMemory.at(directory) as memory:
        return memory.find(name)


def _none_declared(name: str) -> NoSuchPeriod:
    return NoSuchPeriod(
        f"no records are declared for {name}: `consortium site period SITE {name} --data FILE`"
    )
