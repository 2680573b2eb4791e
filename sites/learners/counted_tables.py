"""Tables as a learner that counts sees them: records by column, and the labels.

A module of its own because learners stand below the use cases, whose records these are.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.data.source import DataSource
from sites.evaluation.contract import in_bins, tally_by_group
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learners.count_noise import with_noise
from sites.learners.counted_task import CountedTask
from sites.plans import Labels, Predictions, PrivacyPlan
from sites.task import SiteData, UnfitSchema
from sites.training.person_cap import capped_rows

Columns: TypeAlias = Mapping[str, NDArray[Any]]


class TableRecords(Protocol):
    """Records by column, each of shape (n,)."""

    @property
    def columns(self) -> Columns:
        """Every feature: numbers in their unit, NaN where missing; codes, -1 where missing."""

    @property
    def labels(self) -> Labels:
        """Class codes, or values in the label's unit."""

    @property
    def persons(self) -> NDArray[np.str_]:
        """Whose each is."""


@dataclass(frozen=True)
class CappedRecords:
    """The records of a table that a privacy plan counts.

    Guarantee: with a person more, or a person less, those of all others are the same.

    Args:
        every: All records.
        plan: Who is protected, and the most records of a person; where records are the units
            there is no limit, or one record more would put out another one.
    """

    every: TableRecords
    plan: PrivacyPlan

    @property
    def columns(self) -> Columns:
        """Every feature of the records that are counted."""
        return {name: values[self.rows] for name, values in self.every.columns.items()}

    @property
    def labels(self) -> Labels:
        """Their labels."""
        return self.every.labels[self.rows]

    @property
    def persons(self) -> NDArray[np.str_]:
        """Whose each is."""
        return self.every.persons[self.rows]

    @cached_property
    def rows(self) -> NDArray[np.intp]:
        """Which of all records these are, in rising order."""
        if self.plan.unit == "record":
            return np.arange(len(self.every.persons))
        return capped_rows(
            self.every.persons, at_most=self.plan.max_records_per_person, seed=self.plan.cap_seed
        )


class TableSides(SiteData, Protocol):
    """A site's records, all those of a person on one side."""

    @property
    def training(self) -> TableRecords:
        """The records that are counted."""

    @property
    def held_out(self) -> TableRecords:
        """The records on which predictions are measured."""


@runtime_checkable
class ReadsTables(Protocol):
    """A use case of tables."""

    def read_columns(self, source: DataSource) -> Columns:
        """Return the validated features of a table without labels.

        Raises:
            sites.data.tables.UnreadableSource: Nothing could be read.
            sites.data.validation.BadTable: A feature breaks the schema.
        """


@dataclass(frozen=True)
class CountedTable(CountedTask[TableSides]):
    """A use case of tables as a learner that counts carries it out at a site."""

    def score(self, data: TableSides, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        held_out = data.held_out
        return self.predict_columns(held_out.columns, pooled, vector), held_out.labels

    def evaluate(
        self, data: TableSides, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions, by group where groups are declared."""
        scored, held_out = self.score(data, pooled, vector), data.held_out
        return tally_by_group(in_bins(self.evaluation, bins), *scored, held_out.columns)

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records without labels, in their order.

        Raises:
            UnfitSchema: The use case has no tables.
        """
        return self.predict_columns(self.read_columns(source), pooled, vector)

    def read_columns(self, source: DataSource) -> Columns:
        """Return the validated features of a table without labels.

        Raises:
            UnfitSchema: The use case has no tables.
        """
        if not isinstance(self.base, ReadsTables):
            raise UnfitSchema(f"{self.base.name} has no tables, whose columns are counted here")
        return self.base.read_columns(source)

    @abstractmethod
    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for records by column, as `sites.task.Task.predict` says.

        Guarantee: the prediction of a record depends on that record alone.
        """


@dataclass(frozen=True)
class BoundedTable(CountedTable):
    """One of a learner that is `sites.learner.BoundsEachRecord`: its counts can have noise."""

    @abstractmethod
    def bounded_count(
        self, data: TableSides, pooled: Tally, vector: Vector, plan: PrivacyPlan
    ) -> Tally:
        """Return what noise is added to, shape (contribution.tally_size,).

        Guarantee: with a person more, or a person less, with as many records as the plan counts,
        it moves by no more than `noise_scales` of the learner says, whatever the state is.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
            plan: Who is protected, and the most records of a person.
        """

    @abstractmethod
    def scales(self, vector: Vector) -> Vector:
        """Return the scale of each entry at a state, shape (contribution.tally_size,).

        Guarantee: those of `noise_scales`, or 0 where the entry does not depend on records then.
        """

    def noisy_count(
        self, data: TableSides, pooled: Tally, vector: Vector, plan: PrivacyPlan
    ) -> Tally:
        """Return the tally with noise; a site without training records sends noise alone."""
        return with_noise(self.bounded_count(data, pooled, vector, plan), self.scales(vector), plan)
