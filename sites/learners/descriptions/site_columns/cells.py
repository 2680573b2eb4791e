"""What one site may show of itself in a Table 1: its cells, whole columns of them or nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.counted_tables import Columns, TableRecords
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.tables.suppression import SMALLEST_SHOWN
from sites.schema.tables import Category, Feature, Number
from sites.statistics.tally import TallyLayout

Mask: TypeAlias = NDArray[np.bool_]

FEWEST_VALUES = 10
LARGEST_SHARE = 0.25
# To which means and deviations are rounded: 1, 2 or 5 times a power of ten.
STEPS = np.array([float(f"{m}e{power}") for power in range(-40, 41) for m in (1, 2, 5)])
_MOST_STEPS = 2.0**30
_MOMENTS = 3
_MANY = 1_000  # persons, of whose mean a further digit tells no more of a single one


@dataclass(frozen=True)
class OwnCells:
    """The cells of one site: of each column, value by class, and what its numbers are like.

    Args:
        counts: What all sites count together; it says which columns and classes there are.
    """

    counts: GroupCounts

    @property
    def described(self) -> tuple[Feature, ...]:
        """The columns."""
        return self.counts.described

    @property
    def num_groups(self) -> int:
        """Classes of the label; 1 if it has none."""
        return len(self.counts.groups)

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes: `records`, then `COLUMN/cells` and, of a number, `COLUMN/moments`.

        Cells stand value by value, each with all classes; of a number they are `present` and
        `missing`. Moments are three numbers for all records and, if there are several classes,
        for each: the place of a step in `STEPS`, and mean and deviation in such steps, the mean
        from the declared lower bound on.
        """
        sizes = {"records": self.num_groups}
        for item in self.described:
            sizes[f"{item.name}/cells"] = len(self.levels(item)) * self.num_groups
            if isinstance(item, Number):
                sizes[f"{item.name}/moments"] = _MOMENTS * self.num_parts
        return TallyLayout(sizes)

    @property
    def num_parts(self) -> int:
        """Of how many parts moments are told: all records, and each class if there are several."""
        return 1 + (self.num_groups if self.num_groups > 1 else 0)

    def levels(self, item: Feature) -> tuple[str, ...]:
        """Return what the rows of a column's cells are."""
        if isinstance(item, Category):
            return (*item.values, *(["missing"] if item.missing else []))
        return ("present", "missing")

    def cells(self, item: Feature, own: Tally) -> Tally:
        """Return the cells of a column, shape (levels, classes)."""
        return self.layout.part(f"{item.name}/cells", own).reshape(-1, self.num_groups)

    def pooled_cells(self, item: Feature, pooled: Tally) -> Tally:
        """Return the same cells of the counts of all sites, shape (levels, classes)."""
        counted = np.stack(
            [
                self.counts.layout.part(f"{group}/{item.name}/bins", pooled)
                for group in range(self.num_groups)
            ],
            axis=1,
        )
        if isinstance(item, Category):
            return np.asarray(counted[: len(self.levels(item))], np.int64)
        return np.stack([counted[:-1].sum(axis=0), counted[-1]])

    def pooled_records(self, pooled: Tally) -> Tally:
        """Return the records of each class of all sites, shape (classes,)."""
        layout = self.counts.layout
        return np.array([layout.count(f"{g}/records", pooled) for g in range(self.num_groups)])

    def of(self, records: TableRecords) -> Tally:
        """Return the cells of a site's training records, shape (layout.size,); of no other's."""
        groups, columns = self.counts.groups_of(records), self.counts.columns_of(records)
        parts = {"records": np.bincount(groups, minlength=self.num_groups)}
        for item in self.described:
            rows, codes = len(self.levels(item)), self._codes(item, columns)
            cells = np.bincount(codes * self.num_groups + groups, minlength=rows * self.num_groups)
            parts[f"{item.name}/cells"] = cells
            if isinstance(item, Number):
                given = self._values_by_part(item, columns, groups, _numbered(records))
                moments = [_moments(item, values) for values in given]
                parts[f"{item.name}/moments"] = np.array(moments, np.int64).reshape(-1)
        return self.layout.join(parts)

    def has_enough(self, records: TableRecords) -> bool:
        """Return whether a site may show figures at all: of a crowd of every class."""
        groups = self.counts.groups_of(records)
        return bool(_crowds(records, groups, self.num_groups)[1].all())

    def columns_to_show(self, records: TableRecords) -> Mask:
        """Return which columns this site alone would show, shape (columns,).

        A column is shown whole, all values by all classes, or not at all. Every cell of it must be
        of nobody, or of at least ten persons of whom none has more than a quarter of its records.
        Of a number, ten persons of every class must have a
        value: if one site had none, the bins of the others would be those of fewer. The means of
        these persons must be at least ten different ones, because a mean and a deviation tell the
        counts of two or three. Nobody may have more than a quarter of the values, because their
        mean would be that person's, nor carry more than a quarter of the variance, because a
        deviation tells where such a one is.
        """
        groups, columns = self.counts.groups_of(records), self.counts.columns_of(records)
        shown = []
        for item in self.described:
            places = self._codes(item, columns) * self.num_groups + groups
            size = len(self.levels(item)) * self.num_groups
            persons, crowds = _crowds(records, places, size)
            fits = bool(((persons == 0) | crowds).all())
            if fits and isinstance(item, Number):
                given = self._values_by_part(item, columns, groups, _numbered(records))
                held = bool((persons[: self.num_groups] > 0).all())
                fits = held and all(values.are_spread for values in given)
            shown.append(fits)
        return np.array(shown, np.bool_)

    def without_columns(self, own: Tally, shown: Mask) -> Tally:
        """Return the cells with zeros in the columns that are not shown."""
        kept = own.copy()
        for item, stays in zip(self.described, shown.tolist(), strict=True):
            if not stays:
                self.layout.part(f"{item.name}/cells", kept)[:] = 0
                if isinstance(item, Number):
                    self.layout.part(f"{item.name}/moments", kept)[:] = 0
        return kept

    def are_possible(self, own: Tally, shown: Mask) -> bool:
        """Return whether a site that follows the rules can show these cells."""
        records = self.layout.part("records", own)
        if (records < SMALLEST_SHOWN).any():
            return False
        for item, stays in zip(self.described, shown.tolist(), strict=True):
            cells = self.cells(item, own)
            small = (cells > 0) & (cells < SMALLEST_SHOWN)
            if stays and (small.any() or (cells.sum(axis=0) != records).any()):
                return False
            if stays and isinstance(item, Number) and not self._moments_possible(item, own):
                return False
        return np.array_equal(own, self.without_columns(own, shown))

    def moments(self, item: Number, own: Tally) -> list[tuple[float, float]]:
        """Return mean and deviation of all records and, if there are several, of each class."""
        told = self.layout.part(f"{item.name}/moments", own).reshape(-1, _MOMENTS)
        return [_told(item, *one) for one in told.tolist()]

    def _moments_possible(self, item: Number, own: Tally) -> bool:
        told = self.layout.part(f"{item.name}/moments", own).reshape(-1, _MOMENTS)
        steps, sizes = told[:, 0], told[:, 1:]
        present = self.cells(item, own)[0]
        # A step that is far too fine would make numbers that no float holds.
        return bool(
            (present >= SMALLEST_SHOWN).all()
            and (steps >= _finest(item)).all()
            and (steps < len(STEPS)).all()
            and (sizes <= _MOST_STEPS + 2).all()
        )

    def _codes(self, item: Feature, columns: Columns) -> NDArray[np.int64]:
        values = columns[item.name]
        if isinstance(item, Category):
            return np.where(values < 0, len(item.values), values).astype(np.int64)
        return np.isnan(np.asarray(values, np.float64)).astype(np.int64)

    def _values_by_part(
        self,
        item: Number,
        columns: Columns,
        groups: NDArray[np.int64],
        persons: NDArray[np.int64],
    ) -> Sequence["_Values"]:
        """Return the values that are there: of all records and, if there are several, by class."""
        values = np.asarray(columns[item.name], np.float64)
        held = ~np.isnan(values)
        parts = [held]
        if self.num_groups > 1:
            parts += [held & (groups == group) for group in range(self.num_groups)]
        return [_Values(values[part].clip(item.low, item.high), persons[part]) for part in parts]


@dataclass(frozen=True)
class _Values:
    """Some values of a number, each of shape (n,).

    Args:
        values: The values.
        persons: Whose each is, as a number.
    """

    values: Vector
    persons: NDArray[np.int64]

    @property
    def num_persons(self) -> int:
        """Of how many persons these are."""
        return len(np.unique(self.persons))

    @property
    def are_spread(self) -> bool:
        """Whether a mean and a deviation of these values tell those of no single person."""
        _, place, records = np.unique(self.persons, return_inverse=True, return_counts=True)
        if len(np.unique(np.bincount(place, self.values) / records)) < FEWEST_VALUES:
            return False
        squares = np.bincount(place, (self.values - _mean_and_deviation(self.values)[0]) ** 2)
        return all(bool(held.max() <= LARGEST_SHARE * held.sum()) for held in (records, squares))


def _numbered(records: TableRecords) -> NDArray[np.int64]:
    """Return whose each record is, as a number, shape (n,)."""
    return np.unique(np.asarray(records.persons), return_inverse=True)[1].astype(np.int64)


def _crowds(records: TableRecords, places: NDArray[np.int64], size: int) -> tuple[Tally, Mask]:
    """Return how many persons have a record in each place, and whether they are a crowd.

    Both of shape (size,). A crowd is of ten persons or more, of whom nobody has more than a quarter
    of the records: else their number would be about that person's.
    """
    found, each = np.unique(_numbered(records) * size + places, return_counts=True)
    persons = np.bincount(found % size, minlength=size).astype(np.int64)
    largest = np.zeros(size, np.int64)
    np.maximum.at(largest, found % size, each)
    total = np.bincount(places, minlength=size)
    return persons, (persons >= SMALLEST_SHOWN) & (largest <= LARGEST_SHARE * total)


def _moments(item: Number, some: _Values) -> tuple[int, int, int]:
    """Return step, mean and deviation of some values as whole numbers; zeros of fewer than ten.

    The step is at most a tenth of the deviation, and from a thousand persons on a hundredth. So of
    a hundred values or more the sum is known to a few deviations at best, and no single value
    follows from it.
    """
    if len(some.values) < SMALLEST_SHOWN:
        return 0, 0, 0
    mean, deviation = _mean_and_deviation(some.values)
    # Beyond 2^30 steps between the bounds nobody reads a digit more.
    finest_told = deviation / (100 if some.num_persons >= _MANY else 10)
    place = max(int(np.searchsorted(STEPS, finest_told, side="right")) - 1, _finest(item))
    step = float(STEPS[place])
    steps = round(mean / step) - math.floor(item.low / step)
    return place, min(max(steps, 0), int(_MOST_STEPS)), round(deviation / step)


def _finest(item: Number) -> int:
    """Return the place of the finest step between the bounds of a number."""
    place = int(np.searchsorted(STEPS, (item.high - item.low) / _MOST_STEPS))
    return min(place, len(STEPS) - 1)


def _told(item: Number, place: int, mean: int, deviation: int) -> tuple[float, float]:
    step = float(STEPS[place])
    # To twelve digits: a product of a step such as 0.1 has more, which nobody meant.
    return (
        float(f"{(mean + math.floor(item.low / step)) * step:.12g}"),
        float(f"{deviation * step:.12g}"),
    )


def _mean_and_deviation(values: Vector) -> tuple[float, float]:
    """Return mean and deviation, the same whatever the order of the values."""
    mean = math.fsum(values.tolist()) / len(values)
    squares = math.fsum(((values - mean) ** 2).tolist())
    return mean, math.sqrt(squares / (len(values) - 1))
