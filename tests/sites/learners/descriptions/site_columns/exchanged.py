"""Sites that agree what each shows of itself, in one process and without messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.learner import Description
from sites.learners.descriptions.site_columns.exchange import Head, SiteColumns, Standing
from sites.schema.tables import Category, ClassLabel, Schema
from tests.sites.learners.descriptions.described import Records, statistics_of


def ward_schema(values: int) -> Schema:
    """Return a table with one category of so many values and a label of two classes."""
    ward = Category(name="ward", values=tuple(f"w{at}" for at in range(values)))
    label = ClassLabel(column="ill", classes=("no", "yes"))
    return Schema(name="t", person="p", features=(ward,), label=label)


def records_of_cells(cells: NDArray[np.int64]) -> Records:
    """Return records, one a person, with these counts by value and class, shape (values, 2)."""
    rows, groups = np.indices(cells.shape)
    ward = np.repeat(rows.reshape(-1), cells.reshape(-1))
    return Records({"ward": ward}, np.repeat(groups.reshape(-1), cells.reshape(-1)))


def joined(parts: Sequence[Records]) -> Records:
    """Return the records of several sites as those of one."""
    columns = {
        name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns
    }
    return Records(columns, np.concatenate([one.labels for one in parts]))


@dataclass(frozen=True)
class Sites:
    """Sites of a description, each of which follows the rules.

    Args:
        schema: Of their records.
        parts: The records of each.
        silent: Which of them show nothing, whatever they hold.
        crowd: What each asks for.
        remembered: What each says that it showed before; nothing if there is no number.
    """

    schema: Schema
    parts: Sequence[Records]
    silent: frozenset[int] = frozenset()
    crowd: int = 3
    remembered: Sequence[int] = ()

    @cached_property
    def learner(self) -> Description:
        """The learner of their run."""
        names = tuple(f"site-{place}" for place in range(len(self.parts)))
        return Description(self.schema, members=names)

    @property
    def columns(self) -> SiteColumns:
        """What is of single sites."""
        columns = self.learner.columns
        assert columns is not None
        return columns

    @cached_property
    def statistics(self) -> Tally:
        """The pooled statistics."""
        return statistics_of(self.schema, joined(self.parts))

    def shows(self, place: int) -> bool:
        """Return whether a site says that it shows figures."""
        return place not in self.silent and self.columns.own.has_enough(self.parts[place])

    def first(self, place: int) -> Tally:
        """Return what a site sends in the first exchange."""
        counts = GroupCounts(self.schema)
        tally = self.columns.counted_tally(counts.tally(self.parts[place], self.statistics))
        before = self.remembered[place] if self.remembered else 0
        return self.columns.with_head(tally, place, Head(self.shows(place), self.crowd, before))

    def second(self, place: int, standing: Standing) -> Tally:
        """Return what it sends in the second one."""
        if standing.withheld or not standing.showing[place]:
            return np.zeros(self.columns.layout.size, np.int64)
        shown = self.columns.own.columns_to_show(self.parts[place])
        return self.columns.vetoes(shown, np.random.default_rng(place))

    def third(self, place: int, standing: Standing) -> Tally:
        """Return what it sends in the third one."""
        if standing.withheld or not standing.showing[place]:
            return np.zeros(self.columns.layout.size, np.int64)
        own = self.columns.own.of(self.parts[place])
        return self.columns.shown_tally(place, own, standing.columns)

    def vectors(self) -> list[Vector]:
        """Return the state before the first exchange and after each."""
        states = [np.zeros(2 * self.columns.state_size)]
        places = range(len(self.parts))
        states.append(self.moved(states[-1], [self.first(place) for place in places]))
        for says in (self.second, self.third):
            standing = self.columns.standing(states[-1])
            states.append(self.moved(states[-1], [says(place, standing) for place in places]))
        return states

    def moved(self, vector: Vector, tallies: Sequence[Tally]) -> Vector:
        """Return the next state, rounded as every state is."""
        for one in tallies:
            self.learner.contribution.check(one, sites=1)
        pooled = np.stack(tallies).sum(axis=0)
        after = self.learner.move(vector, self.statistics, pooled)
        return after.astype(np.float32).astype(np.float64)

    def standing(self) -> Standing:
        """Return what the sites said in the end."""
        return self.columns.standing(self.vectors()[-1])
