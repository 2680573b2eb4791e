"""What a site adds to the sums of a Table 1 about itself, if its policy lets it.

Why in this way is said in `sites.learners.descriptions.site_columns.exchange`.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from consortium.client.own_columns.memory import ShownBefore, ShownColumns
from consortium.site.site import Site
from privacy.layout import Tally
from privacy.policy.violations import NotReleased
from privacy.wire.messages import Position
from sites.learners.counted_tables import TableRecords, TableSides
from sites.learners.descriptions.learner import DescriptionTask
from sites.learners.descriptions.site_columns.exchange import (
    ASKED,
    CHANGED,
    COUNTED,
    Head,
    SiteColumns,
    Standing,
)
from sites.task import Trained


def with_own_columns(site: Site, stands: Position, trained: Trained) -> Trained:
    """Return what a site sends in a round of a Table 1, with what it says of itself.

    Guarantee: nothing is said of itself by a site whose policy does not show its own figures, nor
    any figure before all sites agreed. A site remembers for whom it shows figures, and which,
    before it says anything that depends on them.

    Args:
        site: Which answers.
        stands: Where the run stands.
        trained: What it counted for the pool.

    Raises:
        NotReleased: The site said that it shows figures, and its policy or its records are others
            since; or the state says so, and it did not.
        ConsortiumError: No run has this state, or what was shown before cannot be read.
    """
    columns = site_columns(site)
    if columns is None:
        return trained
    standing = columns.standing(stands.state.astype(np.float64))
    place = site.charter.names.index(site.config.name)
    answering = _Answering(site, columns, standing, place)
    if standing.stage == 0:
        said = columns.with_head(trained.summed, place, answering.head)
        return replace(trained, summed=said)
    # Of a state in which this site shows nothing, nothing is added: it never said that it would.
    if not standing.showing[place] or standing.withheld:
        return trained
    if standing.stage == COUNTED:
        return replace(trained, summed=answering.vetoes())
    if standing.stage == ASKED:
        return replace(trained, summed=answering.cells())
    return trained


def site_columns(site: Site) -> SiteColumns | None:
    """Return what a run asks of single sites; None if that is nothing."""
    task = site.task
    return task.columns if isinstance(task, DescriptionTask) else None


@dataclass(frozen=True)
class _Answering:
    """One site in one exchange."""

    site: Site
    columns: SiteColumns
    standing: Standing
    place: int

    @property
    def records(self) -> TableRecords:
        """The training records, which a description has."""
        return cast("TableSides", self.site.data).training

    @property
    def own(self) -> Tally:
        """All cells of this site."""
        return self.columns.own.of(self.records)

    @property
    def before(self) -> ShownBefore:
        """What it showed so far."""
        return ShownBefore.at(self.site.directory)

    @property
    def shows(self) -> bool:
        """Whether policy and records let it show figures of its own."""
        return self.site.releases_statistics() and self.columns.own.has_enough(self.records)

    @property
    def head(self) -> Head:
        """What the site says of itself with its counts."""
        shown = self.before.by_charter.get(self.site.fingerprint)
        remembered = 0
        if shown is not None:
            remembered = shown.roster if shown.cells == _digest(self.own) else CHANGED
        return Head(shows=self.shows, crowd=self.site.min_sites, remembered=remembered)

    def vetoes(self) -> Tally:
        """Return what the site says of each column; it remembers for whom, before."""
        self._require_shows()
        shown = ShownColumns(roster=self.standing.code, cells=_digest(self.own))
        self.before.keep(self.site.directory, self.site.fingerprint, shown)
        self._require_remembered()
        # The operating system's: from these numbers others would learn who has a veto.
        rng = np.random.default_rng(secrets.randbits(128))
        return self.columns.vetoes(self.columns.own.columns_to_show(self.records), rng)

    def cells(self) -> Tally:
        """Return the cells of the columns that all sites agreed to show."""
        self._require_shows()
        self._require_remembered()
        may_show = self.columns.own.columns_to_show(self.records)
        if (self.standing.columns & ~may_show).any():
            raise NotReleased("a column is to be shown against the veto of this site")
        return self.columns.shown_tally(self.place, self.own, self.standing.columns)

    def _require_shows(self) -> None:
        # Zeros instead would leave this site alone with what the others do not show.
        if not self.shows:
            raise NotReleased("this site does not show figures of its own, as the state says")

    def _require_remembered(self) -> None:
        shown = self.before.by_charter.get(self.site.fingerprint)
        if shown != ShownColumns(roster=self.standing.code, cells=_digest(self.own)):
            raise NotReleased("this site showed other figures, or for others, under this charter")


def _digest(own: Tally) -> str:
    return hashlib.sha256(own.astype("<i8").tobytes()).hexdigest()
