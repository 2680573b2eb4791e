"""Sites that differ by one person, and how far that moves what noise is added to."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from privacy.layout import Tally, Vector
from sites.learners import count_noise
from sites.learners.count_noise import CountNoise
from sites.learners.counted_tables import BoundedTable
from sites.plans import PrivacyPlan
from sites.tasks.tabular.data import Table, TableData


def noise_of(multiplier: float = 1.0, *, most: int = 3, rounds: int = 1) -> CountNoise:
    """Return noise for persons with so many records."""
    return CountNoise(
        unit="person",
        epsilon=0.0,
        delta=0.0,
        noise_multiplier=multiplier,
        most_records=most,
        rounds=rounds,
    )


def plan_of(noise: CountNoise, *, cap_seed: int = 0) -> PrivacyPlan:
    """Return how a site counts with this noise."""
    return PrivacyPlan(
        unit=noise.unit,
        noise_multiplier=noise.multiplier,
        clip_norm=1.0,
        sampling_rate=1.0,
        steps=1,
        max_records_per_person=noise.most_records,
        cap_seed=cap_seed,
    )


def moved_by_one_person(
    task: BoundedTable, sites: tuple[TableData, TableData], vector: Vector, plan: PrivacyPlan
) -> float:
    """Return how far apart the scaled tallies of two sites are, in L2.

    Entries without a scale must not differ at all.
    """
    statistics = np.zeros(task.statistics.layout.size, np.int64)
    first, second = (task.bounded_count(one, statistics, vector, plan) for one in sites)
    scales, difference = task.scales(vector), first - second
    assert not difference[scales == 0].any()
    return float(np.linalg.norm(difference[scales > 0] / scales[scales > 0]))


def with_person(data: TableData, more: Table) -> TableData:
    """Return a site's records with those of a person more in the middle of them."""
    here, half = data.training, len(data.training) // 2

    def inserted(values: Any, new: Any) -> Any:
        return np.concatenate([values[:half], new, values[half:]])

    together = Table(
        columns={name: inserted(here.columns[name], more.columns[name]) for name in here.columns},
        labels=inserted(here.labels, more.labels),
        persons=inserted(here.persons, more.persons),
    )
    return replace(data, training=together)


def of_one_person(table: Table) -> Table:
    """Return records as if they were all of one person."""
    return replace(table, persons=np.full(len(table), "only", dtype="<U40"))


def largest_state(dim: int, seed: int) -> Vector:
    """Return a state that nobody ever reaches by learning."""
    rng: Any = np.random.default_rng(seed)
    sizes = np.array([-3e38, -50.0, 0.0, 1.0, 50.0, 3e38])
    return np.asarray(rng.choice(sizes, dim), np.float64)


def draw_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the noise follow from the counts, so that two runs can be compared."""

    def noisy(tally: Tally, scales: Vector, *, deviation: float) -> Tally:
        seed = int.from_bytes(hashlib.sha256(tally.tobytes()).digest()[:8], "little")
        noise = np.random.default_rng(seed).normal(size=len(tally)) * scales * deviation
        return np.asarray(tally + np.rint(noise).astype(np.int64), np.int64)

    monkeypatch.setattr(count_noise, "noisy_tally", noisy)
