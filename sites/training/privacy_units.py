"""Whose records a step is made of: the units of privacy, and secret draws of them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privacy.differential.noise import poisson_sample
from sites.plans import PrivacyPlan


@dataclass(frozen=True)
class Units:
    """The records of each unit of privacy, none of them in two.

    Args:
        rows: Records, those of a unit together, shape (n_rows,).
        ends: Where in `rows` each unit's records end, shape (n_units,), rising.
    """

    rows: NDArray[np.intp]
    ends: NDArray[np.intp]

    @classmethod
    def of_persons(cls, persons: NDArray[Any], *, at_most: int, seed: int) -> "Units":
        """Return each person as a unit, with no more than so many records.

        Guarantee: which records of a person are kept depends on the seed, on the person's
        identifier and on how many there are, never on anybody else: without one person, the
        records of all others are the same.
        """
        names, of_record = np.unique(persons, return_inverse=True)
        rows = np.argsort(of_record, kind="stable")
        ends = np.cumsum(np.bincount(of_record, minlength=len(names)))
        counts = np.diff(ends, prepend=0)
        keep = np.ones(len(rows), np.bool_)
        for unit in np.flatnonzero(counts > at_most):
            mine = slice(ends[unit] - counts[unit], ends[unit])
            kept = _person_rng(names[unit], seed).choice(counts[unit], at_most, replace=False)
            keep[mine] = np.isin(np.arange(counts[unit]), kept)
        return cls(rows[keep], np.cumsum(np.minimum(counts, at_most)))

    def one_per_record(self) -> "Units":
        """Return each record as a unit by itself."""
        return Units(self.rows, np.arange(1, len(self.rows) + 1))

    def __len__(self) -> int:
        return len(self.ends)

    @cached_property
    def counts(self) -> NDArray[np.intp]:
        """Records of each unit, shape (n_units,)."""
        return np.diff(self.ends, prepend=0)

    def records_of(self, units: NDArray[np.intp]) -> "DrawnUnits":
        """Return the records of these units."""
        counts = self.counts[units]
        starts = np.repeat(self.ends[units] - np.cumsum(counts), counts)
        rows = self.rows[starts + np.arange(len(starts))]
        owners = np.repeat(np.arange(len(units)), counts)
        return DrawnUnits(
            torch.from_numpy(rows), torch.from_numpy(owners), torch.from_numpy(counts)
        )

    def batches(self, units: NDArray[np.intp], *, rows_at_once: int) -> list[NDArray[np.intp]]:
        """Return the units in groups of at most so many records; a unit is never parted."""
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
        rows: Which records, shape (B,).
        owners: The unit of each, counted from 0 in the order of `counts`, shape (B,), rising.
        counts: Records of each unit, all at least 1, shape (n_units,).
    """

    rows: Tensor
    owners: Tensor
    counts: Tensor

    def to_device(self, device: torch.device) -> "DrawnUnits":
        """Return the same where a model computes; rows stay where records are chosen."""
        return DrawnUnits(self.rows, self.owners.to(device), self.counts.to(device))

    @property
    def one_record_each(self) -> bool:
        """Whether every unit has one record."""
        return len(self.rows) == len(self.counts)


def units_of(persons: NDArray[Any], plan: PrivacyPlan) -> Units:
    """Return the units of a plan among records of these persons, shape (n,).

    Where records are the units, a person still has no more than so many of them.
    """
    units = Units.of_persons(persons, at_most=plan.max_records_per_person, seed=plan.cap_seed)
    return units if plan.unit == "person" else units.one_per_record()


def draw_units(units: Units, plan: PrivacyPlan) -> list[DrawnUnits]:
    """Draw the units of a step, each by itself; nothing at all may be drawn.

    Guarantee: Poisson sampling at the plan's rate, by the operating system's randomness.
    """
    drawn = poisson_sample(len(units), rate=plan.sampling_rate)
    return [units.records_of(part) for part in units.batches(drawn, rows_at_once=plan.rows_at_once)]


def _person_rng(person: object, seed: int) -> np.random.Generator:
    words = np.frombuffer(hashlib.sha256(str(person).encode()).digest(), "<u4")
    return np.random.default_rng([seed, *words.tolist()])
