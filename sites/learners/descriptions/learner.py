"""The learner of a Table 1: one exchange, in which every site counts its training records.

With columns of single sites it has two more: `site_columns.exchange` says how and why.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from privacy.contribution import LARGEST_ENTRY, ExactTally
from privacy.errors import ConsortiumError
from privacy.layout import Field, Layout, Tally, Vector
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learners.count_noise import CountNoise
from sites.learners.counted_tables import BoundedTable, CappedRecords, Columns, TableSides
from sites.learners.curve_groups import CurveGroups
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.site_columns.exchange import SiteColumns
from sites.learners.descriptions.site_columns.results import site_results, written_columns
from sites.learners.descriptions.tables.csv_file import written_table
from sites.learners.descriptions.tables.noisy_table import NoisyTableOne
from sites.learners.descriptions.tables.table_one import TableOne
from sites.learners.exact_numbers import as_float32_pairs, from_float32_pairs
from sites.plans import BadPlan, Predictions, PrivacyPlan
from sites.schema.tables import Schema
from sites.schema.texts import AnySchema
from sites.task import Task, UnfitSchema


class NothingToJudge(ConsortiumError, ValueError, code="nothing-to-judge"):
    """A description predicts nothing, so there is nothing to measure or to compare."""


@dataclass(frozen=True)
class Description:
    """Describes the training records of all sites: a Table 1, overall and by class.

    Its state is the pooled counts: every round counts the same. With columns of single sites the
    state also holds what the sites said of themselves, and each round is another exchange.

    Args:
        schema: Of the records.
        noise: What every site adds to its counts; None for nothing.
        members: Whose columns stand beside those of all, where policies allow it; nobody's if
            there are none.
        curves_by: The category by which survival curves with noise are drawn; empty for one curve.

    Raises:
        UnfitSchema: The records are texts.
        BadPlan: Columns of single sites are asked beside counts with noise, or curves by what is no
            category.
    """

    schema: AnySchema
    noise: CountNoise | None = None
    members: tuple[str, ...] = ()
    curves_by: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.schema, Schema):
            raise UnfitSchema(
                "learner=describe makes a table of columns, and these records are texts: the "
                "report of a run of theirs has their statistics"
            )
        if self.noise is not None and self.members:
            raise BadPlan(
                "describe.by-site shows exact figures of single sites, and noise protects persons "
                "in the counts of all: set describe.by-site to false, or dp.unit to off"
            )
        CurveGroups.named(self.schema, self.curves_by)

    @property
    def name(self) -> str:
        """What people call it."""
        return "describe"

    @cached_property
    def counts(self) -> GroupCounts:
        """What a site counts."""
        if not isinstance(self.schema, Schema):
            raise UnfitSchema("texts have no columns")
        curves = CurveGroups.named(self.schema, self.curves_by)
        return GroupCounts(self.schema, noisy=self.noise is not None, curves=curves)

    @cached_property
    def columns(self) -> SiteColumns | None:
        """What is of single sites; None if nothing is."""
        return SiteColumns(self.counts, self.members) if self.members else None

    @property
    def contribution(self) -> ExactTally:
        """Counts, and sums of values between 0 and 1; none is negative but by noise."""
        lowest = 0 if self.noise is None else 1 - LARGEST_ENTRY
        layout = self.columns.layout if self.columns else self.counts.layout
        return ExactTally(size=layout.size, bounds=(lowest, LARGEST_ENTRY - 1))

    @property
    def noise_scales(self) -> Vector:
        """The scales of the counts, as `GroupCounts.noise_scales` proves."""
        return self.counts.noise_scales

    @property
    def predicts(self) -> bool:
        """False: a description describes."""
        return False

    @property
    def noisy_instead(self) -> str:
        """Nothing: they are counts and bounded sums, to which noise can be added."""
        return ""

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the pooled counts, and how far the sites are with columns of their own.

        Raises:
            ImpossibleTally: No records have these counts.
            ImpossibleState: No run has this state.
        """
        if self.columns is not None:
            after = self.columns.move(vector, pooled)
            self.counts.require_possible(self.columns.standing(after).counted, statistics)
            return after
        self.counts.require_possible(pooled, statistics)
        return as_float32_pairs(pooled.astype(np.float64))

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return the table; empty before the exchange. Small cells are hidden if there is no noise.

        Raises:
            ConsortiumError: As the noise says.
        """
        if self.columns is not None:
            return self._results_by_site(self.columns, vector, statistics)
        pooled = np.rint(from_float32_pairs(vector)).astype(np.int64)
        if not pooled.any():
            return {}
        if self.noise is not None:
            return NoisyTableOne(self.counts, statistics, pooled, self.noise).results
        return TableOne(self.counts, statistics, pooled).results

    def _results_by_site(
        self, columns: SiteColumns, vector: Vector, statistics: Tally
    ) -> Mapping[str, Any]:
        standing = columns.standing(vector)
        if not standing.stage:
            return {}
        table = TableOne(self.counts, statistics, standing.counted).results
        return {**table, "by_site": site_results(columns, standing)}

    def files(self, vector: Vector, statistics: Tally) -> Mapping[str, bytes]:
        """Return the tables as CSV files, as `results` gives them."""
        found = self.results(vector, statistics)
        if not found:
            return {}
        by_site = {"table1-by-site.csv": written_columns(found)} if "by_site" in found else {}
        return {"table1.csv": written_table(found), **by_site}

    def at_site(self, task: Task[Any]) -> "DescriptionTask":
        """Return the use case, described."""
        return DescriptionTask(task, self.counts, self.columns)


@dataclass(frozen=True)
class DescriptionTask(BoundedTable):
    """A use case of tables, whose records are described.

    Args:
        counts: What is counted.
        columns: What is of single sites; None if nothing is.
    """

    counts: GroupCounts
    columns: SiteColumns | None = None

    @cached_property
    def layout(self) -> Layout:
        """Layout of the state: each of its whole numbers in two parts."""
        if self.columns is not None:
            size, start = self.columns.state_size, "describe-by-site/1"
        else:
            size, start = self.counts.layout.size, "describe/1"
        return Layout(fields=(Field("counts", (2, size)),), start=start)

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Return the counts of the training records; they do not depend on the state.

        With columns of single sites they are counted in the first exchange only. What a site says
        of itself is not in them: `consortium.client.own_columns` adds it.
        """
        if self.columns is None:
            return self.counts.tally(data.training, pooled)
        if self.columns.standing(vector).stage:
            return np.zeros(self.columns.layout.size, np.int64)
        return self.columns.counted_tally(self.counts.tally(data.training, pooled))

    def bounded_count(
        self, data: TableSides, pooled: Tally, vector: Vector, plan: PrivacyPlan
    ) -> Tally:
        """Return the counts of as many records of a person as the plan says."""
        return self.counts.tally(CappedRecords(data.training, plan), pooled)

    def scales(self, vector: Vector) -> Vector:
        """Return the scale of each count; it does not depend on the state."""
        return self.counts.noise_scales

    def evaluate(
        self, data: TableSides, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return zeros: a description predicts nothing."""
        return np.zeros(self.evaluation.layout.size, np.int64)

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Refuse: a description predicts nothing.

        Raises:
            NothingToJudge: Always.
        """
        raise NothingToJudge(
            "a description predicts nothing: choose another learner, or read the run's table1.csv"
        )
