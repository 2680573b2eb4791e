"""Evaluation by declared groups of records, in the same tally as that of all records.

The records of a group are counted as all records are, so every pooled metric has its value for the
group, and for all others: their counts are the difference. Pairs of records are not: some are
across. So where a metric is of pairs, those among the others are counted by themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Tally
from sites.schema.tables import Category, Schema
from sites.schema.texts import AnySchema
from sites.statistics.tally import ImpossibleTally, Metric, TallyLayout

SMALLEST_GROUP = 10  # records of each class of which a figure of a group is shown


class UnknownSubgroup(ConsortiumError, LookupError, code="unknown-subgroup"):
    """A run asks for groups by a column that has none."""


@dataclass(frozen=True)
class Subgroup:
    """The records with one value of a category.

    Args:
        column: The category.
        value: The value.
        code: Its place among the declared values.
    """

    column: str
    value: str
    code: int

    @property
    def name(self) -> str:
        """Its name in tallies."""
        return f"{self.column}={self.value}"


def subgroups_of(schema: AnySchema, columns: str) -> tuple[Subgroup, ...]:
    """Return the groups that a run declares: one for each value of each named category.

    Args:
        schema: Of the records.
        columns: Names of categories, with commas between them; empty for none.

    Raises:
        UnknownSubgroup: A name is not that of a category of the schema.
    """
    wanted = [name.strip() for name in columns.split(",") if name.strip()]
    known = {
        item.name: item
        for item in (schema.features if isinstance(schema, Schema) else ())
        if isinstance(item, Category)
    }
    for name in wanted:
        if name not in known:
            raise UnknownSubgroup(
                f"subgroups names {name}, which is no category of {schema.name}: its categories "
                f"are {', '.join(known) or 'none'}"
            )
    return tuple(
        Subgroup(name, value, code)
        for name in dict.fromkeys(wanted)
        for code, value in enumerate(known[name].values)
    )


class _Evaluation(Protocol):
    """What is asked of the evaluation of all records."""

    @property
    def layout(self) -> TallyLayout: ...

    @property
    def pair_parts(self) -> tuple[str, ...]: ...

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally: ...

    def check(self, tally: Tally) -> None: ...

    def num_examples(self, tally: Tally) -> int: ...

    def class_counts(self, tally: Tally) -> tuple[int, ...]: ...

    def metrics(self, tally: Tally) -> dict[str, Metric]: ...

    def undefined_reasons(self, tally: Tally) -> dict[str, str]: ...

    def curves(self, tally: Tally) -> dict[str, Any]: ...


Base = TypeVar("Base", bound=_Evaluation)


@dataclass(frozen=True)
class GroupedEvaluation(Generic[Base]):
    """The evaluation of all records, and behind it that of each group.

    Guarantee: the tallies of sites add up to the tally of all their records, exactly. What it
    says without naming a group is what the evaluation of all records says.

    Args:
        base: The evaluation of all records.
        groups: The groups; those of one column have no record in common.
    """

    base: Base
    groups: tuple[Subgroup, ...]

    @cached_property
    def layout(self) -> TallyLayout:
        """The parts of the evaluation, then those of each group as `COLUMN=VALUE/PART`.

        Last come the pairs among the others, those not in a group, as `COLUMN=VALUE/others/PART`.
        """
        own = self.base.layout.sizes
        sizes = dict(own)
        for group in self.groups:
            sizes |= {f"{group.name}/{part}": n for part, n in own.items()}
        for group in self.groups:
            sizes |= {_others(group, part): own[part] for part in self.base.pair_parts}
        return TallyLayout(sizes)

    @property
    def pair_parts(self) -> tuple[str, ...]:
        """Those of the evaluation of all records."""
        return self.base.pair_parts

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of records of which no group is known."""
        return self.tally_by_group(predictions, labels, {})

    def tally_by_group(
        self,
        predictions: NDArray[Any],
        labels: NDArray[Any],
        columns: Mapping[str, NDArray[Any]],
    ) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: As the evaluation of all records takes them, one for each record.
            labels: One for each record.
            columns: Codes of categories by name, -1 where missing; a column that is not there has
                no groups.
        """
        parts = [self.base.tally(predictions, labels)]
        pairs: list[Tally] = []
        for group in self.groups:
            codes = columns.get(group.column)
            rows = np.zeros(len(labels), bool) if codes is None else codes == group.code
            parts.append(self.base.tally(predictions[rows], labels[rows]))
            if self.pair_parts:
                others = self.base.tally(predictions[~rows], labels[~rows])
                pairs.extend(self.base.layout.part(part, others) for part in self.pair_parts)
        return np.concatenate([*parts, *pairs])

    def of_all(self, tally: Tally) -> Tally:
        """Return the part of all records."""
        return tally[: self.base.layout.size]

    def of_group(self, group: Subgroup, tally: Tally) -> Tally:
        """Return the part of a group."""
        size = self.base.layout.size
        start = size * (1 + self.groups.index(group))
        return tally[start : start + size]

    def of_others(self, group: Subgroup, tally: Tally) -> Tally:
        """Return the part of the records that are not in a group, or have no value."""
        # A record is in at most one group of a column, so the others are what is left.
        rest: Tally = self.of_all(tally) - self.of_group(group, tally)
        for part in self.pair_parts:
            self.base.layout.part(part, rest)[:] = self.layout.part(_others(group, part), tally)
        return rest

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally.

        Raises:
            ImpossibleTally: They cannot, or the groups of a column hold more than all records.
        """
        self.layout.check(tally)
        self.base.check(self.of_all(tally))
        for group in self.groups:
            self.base.check(self.of_group(group, tally))
            if self.pair_parts:
                self.base.check(self.of_others(group, tally))
        for column in dict.fromkeys(group.column for group in self.groups):
            held = [self.of_group(one, tally) for one in self.groups if one.column == column]
            if (np.sum(held, axis=0) > self.of_all(tally)).any():
                raise ImpossibleTally(f"the groups of {column} hold more than all records do")

    def without_small_groups(self, tally: Tally, fewest: int) -> Tally:
        """Return a tally with zeros in the place of groups of fewer records of a class.

        Their records are among the others then, and the pairs among all are those among the others.
        """
        kept, size = tally.copy(), self.base.layout.size
        for place, group in enumerate(self.groups, start=1):
            if fewest_of(self.base, self.of_group(group, tally)) < fewest:
                kept[place * size : (place + 1) * size] = 0
                for part in self.pair_parts:
                    among_all = self.base.layout.part(part, self.of_all(tally))
                    self.layout.part(_others(group, part), kept)[:] = among_all
        return kept

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return self.base.num_examples(self.of_all(tally))

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records of each class."""
        return self.base.class_counts(self.of_all(tally))

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics of all records."""
        return self.base.metrics(self.of_all(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return why the records do not define the other metrics."""
        return self.base.undefined_reasons(self.of_all(tally))

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return points to draw, of all records."""
        return self.base.curves(self.of_all(tally))

    def with_base(self, base: Base) -> "GroupedEvaluation[Base]":
        """Return the same groups for another evaluation of all records."""
        return replace(self, base=base)


def _others(group: Subgroup, part: str) -> str:
    return f"{group.name}/others/{part}"


def fewest_of(evaluation: _Evaluation, tally: Tally) -> int:
    """Return the records of the rarest class; all of them if there are no classes."""
    return min(evaluation.class_counts(tally) or (evaluation.num_examples(tally),))


def shown_groups(
    evaluation: GroupedEvaluation[Any], tally: Tally, *, fewest: int
) -> Sequence[Subgroup]:
    """Return the groups of which figures may be shown.

    A group needs so many records of each class, and so do all other records together. If what is
    left of a column is fewer, its smallest shown group is hidden too: else the figures of the
    hidden one would be the difference.

    Args:
        evaluation: Of the groups.
        tally: Pooled.
        fewest: Records of each class that a figure must be of.
    """
    shown: list[Subgroup] = []
    total = evaluation.of_all(tally)
    for column in dict.fromkeys(group.column for group in evaluation.groups):
        of_column = [group for group in evaluation.groups if group.column == column]
        held = {group: evaluation.of_group(group, tally) for group in of_column}
        sizes = {group: fewest_of(evaluation.base, held[group]) for group in of_column}
        kept = [group for group in of_column if sizes[group] >= fewest]
        while kept:
            left = total - np.sum([held[group] for group in kept], axis=0)
            # What is left over: hidden groups, and records without a value.
            if not evaluation.base.num_examples(left):
                break
            if fewest_of(evaluation.base, left) >= fewest:
                break
            kept.remove(min(kept, key=lambda group: (sizes[group], group.code)))
        shown.extend(kept)
    return shown
