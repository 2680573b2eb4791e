"""Units of privacy (persons, or records), and their Poisson sampling."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privacy.differential.noise import poisson_samples
from sites.plans import PrivacyPlan
from sites.training.person_cap import ContentOf, kept_of_person


@dataclass(frozen=True)
class Units:
    """The records of each unit of privacy; no record belongs to two units.

    Args:
        rows: Indices of the records, those of a unit next to each other, shape (n_rows,).
        ends: Where in `rows` each unit's records end, shape (n_units,), rising.
    """

    rows: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of_persons(
        cls,
        persons: NDArray[Any],
        *,
        at_most: int,
        seed: int,
        content_of: ContentOf | None = None,
    ) -> "Units":
        """Return each person as a unit, with at most `at_most` records.

        Guarantee: each record of a person has a rank of its own, and those of the lowest ranks are
        kept. So one record more takes the place of one at most, and nobody else's records have a
        say: without one person, the records of all others are the same.

        Args:
            persons: Whose each record is, shape (n,), sortable.
            at_most: Most records of one person.
            seed: Of the ranks.
            content_of: What tells the record at a row from the others of its person; by default
                its number among them.
        """
        names, of_record = np.unique(persons, return_inverse=True)
        rows = np.argsort(of_record, kind="stable")
        ends = np.cumsum(np.bincount(of_record, minlength=len(names)))
        counts = np.diff(ends, prepend=0)
        keep = np.ones(len(rows), np.bool_)
        for unit in np.flatnonzero(counts > at_most):
            mine = slice(ends[unit] - counts[unit], ends[unit])
            keep[mine] = kept_of_person(
                names[unit], rows[mine], at_most=at_most, seed=seed, content_of=content_of
            )
        return cls(rows[keep], np.cumsum(np.minimum(counts, at_most)))

    @classmethod
    def one_per_record(cls, n_records: int) -> "Units":
        """Return units of one record each."""
        return cls(np.arange(n_records), np.arange(1, n_records + 1))

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def one_record_each(self) -> bool:
        """Whether every unit has one record."""
        return len(self.rows) == len(self.ends)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Records of each unit, shape (n_units,)."""
        return np.diff(self.ends, prepend=0)

    def records_of(self, units: NDArray[np.intp]) -> "DrawnUnits":
        """Return the records of these units, unit after unit."""
        if self.one_record_each:
            each = torch.ones(len(units), dtype=torch.int64)
            return DrawnUnits(torch.from_numpy(self.rows[units]), torch.arange(len(units)), each)
        counts = self.counts[units]
        # The j-th record of all is record j - (cumsum - count) of its unit, and the unit begins at
        # end - count in `rows`: the counts cancel, and its place is end - cumsum + j.
        starts = np.repeat(self.ends[units] - np.cumsum(counts), counts)
        rows = self.rows[starts + np.arange(len(starts))]
        owners = np.repeat(np.arange(len(units)), counts)
        return DrawnUnits(
            torch.from_numpy(rows), torch.from_numpy(owners), torch.from_numpy(counts)
        )

    def batches(self, units: NDArray[np.intp], *, rows_at_once: int) -> list[NDArray[np.intp]]:
        """Return the units in groups of at most `rows_at_once` records.

        A unit is never split; one with more records is a group by itself.
        """
        if self.one_record_each:
            starts = range(0, len(units), rows_at_once)
            return [units[start : start + rows_at_once] for start in starts]
        within = np.cumsum(self.counts[units])
        groups, start = [], 0
        while start < len(units):
            before = within[start - 1] if start else 0
            end = int(np.searchsorted(within, before + rows_at_once, side="right"))
            groups.append(units[start : max(end, start + 1)])
            start += len(groups[-1])
        return groups


@dataclass(frozen=True)
class DrawnUnits:
    """The records of some units, for one pass through a model.

    Args:
        rows: Indices of the records, shape (B,).
        owners: The unit of each, counted from 0 in the order of `counts`, shape (B,), rising.
        counts: Records of each unit, all at least 1, shape (n_units,).
    """

    rows: Tensor
    owners: Tensor
    counts: Tensor

    def to_device(self, device: torch.device) -> "DrawnUnits":
        """Return a copy with `owners` and `counts` on the model's device.

        `rows` stay on the CPU, where they index the records.
        """
        if device == self.owners.device:
            return self
        return DrawnUnits(self.rows, self.owners.to(device), self.counts.to(device))

    @cached_property
    def one_record_each(self) -> bool:
        """Whether every unit has one record."""
        return self.rows.shape == self.counts.shape


def pad_by_person(values: Tensor, drawn: DrawnUnits) -> Tensor:
    """Return values of records (B, T, ...) laid out by person (n_units, K, ...), padded with 0.

    Zeros add nothing to a norm, so that persons with fewer records than the most can be padded.
    """
    if drawn.one_record_each:
        return values
    most = int(drawn.counts.max())
    # `place` is where a record goes in (n_units * most): its person's first slot, plus how many
    # records of that person come before it.
    firsts = (drawn.counts.cumsum(0) - drawn.counts)[drawn.owners]
    place = drawn.owners * most + torch.arange(len(drawn.owners), device=firsts.device) - firsts
    padded = values.new_zeros((len(drawn.counts) * most, *values.shape[1:]))
    return padded.index_copy_(0, place, values).reshape(
        len(drawn.counts), most * values.shape[1], *values.shape[2:]
    )


def sum_by_person(values: Tensor, drawn: DrawnUnits) -> Tensor:
    """Return the sums by person (n_units, ...) of values of records (B, ...)."""
    if drawn.one_record_each:
        return values
    totals = values.new_zeros((len(drawn.counts), *values.shape[1:]))
    return totals.index_add_(0, drawn.owners, values)


def units_of(
    persons: NDArray[Any], plan: PrivacyPlan, content_of: ContentOf | None = None
) -> Units:
    """Return the plan's units of privacy among the records of these persons, shape (n,).

    Where records are the units, every record is trained on, whatever the plan's
    `max_records_per_person`: with a limit, one record more would put out another one, and two
    records would move where the accounting counts one.
    """
    if plan.unit == "record":
        return Units.one_per_record(len(persons))
    return Units.of_persons(
        persons,
        at_most=plan.max_records_per_person,
        seed=plan.cap_seed,
        content_of=content_of,
    )


def draw_units(units: Units, plan: PrivacyPlan) -> Iterator[list[DrawnUnits]]:
    """Draw the units of one step after another, each independently, in groups that fit in memory.

    A draw may be empty.

    Guarantee: Poisson sampling at the plan's rate, with randomness of the operating system.
    """
    for drawn in poisson_samples(len(units), rate=plan.sampling_rate, times=plan.steps):
        groups = units.batches(drawn, rows_at_once=plan.rows_at_once)
        yield [units.records_of(group) for group in groups]
