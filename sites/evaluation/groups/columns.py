"""An evaluation that counts every column of its records too, in the same tally.

So one count says of a later period how its records, its scores and its outcomes differ from those
before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.groups.subgroups import GroupedEvaluation, _Evaluation
from sites.evaluation.score_bins import BINS, EQUAL_BINS, FIXED
from sites.schema.tables import Schema
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import ImpossibleTally, TallyLayout

Base = TypeVar("Base", bound=_Evaluation)


@dataclass(frozen=True)
class EvaluationWithColumns(GroupedEvaluation[Base]):
    """The evaluation of all records and of each group, and behind it every column's histogram.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly.

    Args:
        schema: Of the records.
    """

    schema: Schema

    @cached_property
    def layout(self) -> TallyLayout:
        """The parts of the evaluation and of its groups, `unlabelled`, and `columns/PART` for each.

        `unlabelled` counts the records without a label: by 64 bins of equal width of their scores
        where there are two classes. Of persons nothing is counted: `columns/persons` is 0.
        """
        columns = {f"columns/{part}": n for part, n in self._statistics.layout.sizes.items()}
        return TallyLayout({**self._grouped.layout.sizes, "unlabelled": self._bins, **columns})

    def tally_by_group(
        self,
        predictions: NDArray[Any],
        labels: NDArray[Any],
        columns: Mapping[str, NDArray[Any]],
    ) -> Tally:
        """Return the tally of these records; of no columns where none are there.

        Args:
            predictions: One for each record.
            labels: One for each record; -1, or NaN for a number, where it is still missing.
            columns: Every feature by name.
        """
        known = _known(labels)
        counted = self._grouped.tally_by_group(
            predictions[known],
            labels[known],
            {name: values[known] for name, values in columns.items()},
        )
        bins = np.zeros(int((~known).sum()), np.int64)
        if self._bins > 1:
            bins = EQUAL_BINS.bins_of(predictions[~known].astype(np.float64)) // (BINS // FIXED)
        unlabelled = np.bincount(bins, minlength=self._bins).astype(np.int64)
        described = (
            self._statistics.tally(columns, labels, persons=0)
            if columns
            else np.zeros(self._statistics.layout.size, np.int64)
        )
        return np.concatenate([counted, unlabelled, described])

    def of_columns(self, tally: Tally) -> Tally:
        """Return what is counted of the columns, as `TableStatistics` reads it."""
        return tally[self._grouped.layout.size + self._bins :]

    def of_unlabelled(self, tally: Tally) -> Tally:
        """Return how many records have no label, by the bin of their score where there is one."""
        return self.layout.part("unlabelled", tally)

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally.

        Raises:
            ImpossibleTally: They cannot, or the columns count another number of records.
        """
        self.layout.check(tally)
        self._grouped.check(tally[: self._grouped.layout.size])
        columns = self.of_columns(tally)
        self._statistics.check(columns)
        records = self.num_examples(tally) + self.layout.count("unlabelled", tally)
        if self._statistics.layout.count("records", columns) != records:
            raise ImpossibleTally("the columns count another number of records than the scores")

    @property
    def _bins(self) -> int:
        return FIXED if isinstance(self.base, BinaryEvaluation) else 1

    @property
    def _grouped(self) -> GroupedEvaluation[Base]:
        return GroupedEvaluation(self.base, self.groups)

    @cached_property
    def _statistics(self) -> TableStatistics:
        return TableStatistics(self.schema)


def _known(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which records have a label, shape (n,)."""
    if labels.ndim > 1:
        return np.ones(len(labels), np.bool_)
    known: NDArray[np.bool_] = ~np.isnan(labels) if labels.dtype.kind == "f" else labels >= 0
    return known
