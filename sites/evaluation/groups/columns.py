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
from sites.evaluation.groups.subgroups import GroupedEvaluation, _Evaluation
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
        """The parts of the evaluation and of its groups, then those of columns as `columns/PART`.

        Of persons nothing is counted: `columns/persons` is 0.
        """
        columns = {f"columns/{part}": n for part, n in self._statistics.layout.sizes.items()}
        return TallyLayout({**self._grouped.layout.sizes, **columns})

    def tally_by_group(
        self,
        predictions: NDArray[Any],
        labels: NDArray[Any],
        columns: Mapping[str, NDArray[Any]],
    ) -> Tally:
        """Return the tally of these records; of no columns where none are there."""
        counted = self._grouped.tally_by_group(predictions, labels, columns)
        if not columns:
            return np.concatenate([counted, np.zeros(self._statistics.layout.size, np.int64)])
        return np.concatenate([counted, self._statistics.tally(columns, labels, persons=0)])

    def of_columns(self, tally: Tally) -> Tally:
        """Return what is counted of the columns, as `TableStatistics` reads it."""
        return tally[self._grouped.layout.size :]

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally.

        Raises:
            ImpossibleTally: They cannot, or the columns count another number of records.
        """
        self.layout.check(tally)
        self._grouped.check(tally[: self._grouped.layout.size])
        columns = self.of_columns(tally)
        self._statistics.check(columns)
        if self._statistics.layout.count("records", columns) != self.num_examples(tally):
            raise ImpossibleTally("the columns count another number of records than the scores")

    @property
    def _grouped(self) -> GroupedEvaluation[Base]:
        return GroupedEvaluation(self.base, self.groups)

    @cached_property
    def _statistics(self) -> TableStatistics:
        return TableStatistics(self.schema)
