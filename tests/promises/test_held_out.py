"""Who is trained on is in no exact count that leaves, in no run; and one person moves one."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from privacy.differential.accounting import epsilon
from privacy.differential.mechanisms import Gaussian, SampledGaussian
from sites.plans import PrivacyPlan
from sites.tasks.tabular.data import TableData
from sites.training.privacy_units import units_of
from tests.consortium.private_ward import private_ward, trained
from tests.small_consortium import Consortium, forget_processes, records

ONE_STEP: dict[str, Any] = {"dp.epsilon": 0.1, "dp.steps": 1, "num-server-rounds": 1}
PERSONS = 500
MOST_RECORDS = 16
DELTA = 1e-5
NOISE = 8.0


def test_nobody_that_a_run_trained_on_is_held_out_in_a_later_one(tmp_path: Path) -> None:
    """The seed is the coordinator's choice; what is held out leaves in exact counts."""
    ever_trained: set[str] = set()
    ever_held_out: set[str] = set()
    for seed in (1, 2):
        forget_processes()
        at = private_ward(tmp_path, budget=3.0, seed=seed, **ONE_STEP)
        trained(at, at.vector() * 0, 1, run=f"run-{seed}")
        data = cast(TableData, at.site.data)
        ever_trained |= set(data.training.persons)
        ever_held_out |= set(data.held_out.persons)
    assert not ever_trained & ever_held_out


def held_out(consortium: Consortium) -> set[str]:
    """Return whom north holds out, as a process that starts now."""
    forget_processes()
    return set(cast(TableData, consortium.place("north").site.data).held_out.persons)


@pytest.mark.parametrize("removed", [False, True], ids=["another-label", "removed"])
def test_one_person_moves_nobody_else_between_training_and_held_out(
    tmp_path: Path, removed: bool
) -> None:
    consortium = Consortium.placed(tmp_path / "run")
    path = consortium.run.site("north") / "data.parquet"
    table = records("north", PERSONS)
    table.to_parquet(path, index=False)
    before = held_out(consortium)
    victim = table["person"] == "north-0"
    if removed:
        table = table[~victim]
    else:
        table.loc[victim, "ill"] = "no" if table["ill"][0] == "yes" else "yes"
    table.to_parquet(path, index=False)
    assert (before ^ held_out(consortium)) <= {"north-0"}


def records_that_one_more_moves(num_records: int) -> int:
    """Return how many records are trained on or no longer if a person has one record more."""
    plan = PrivacyPlan(
        unit="record",
        noise_multiplier=1.0,
        clip_norm=1.0,
        sampling_rate=1.0,
        steps=1,
        max_records_per_person=MOST_RECORDS,
        cap_seed=7,
    )
    fewer, more = (
        set(units_of(np.array(["x"] * count), plan).rows.tolist())
        for count in (num_records, num_records + 1)
    )
    return len(fewer ^ more)


@pytest.mark.parametrize("num_records", [17, 20, 40])
def test_a_record_above_the_cap_takes_the_place_of_one_at_most(num_records: int) -> None:
    assert records_that_one_more_moves(num_records) <= 2


@pytest.mark.parametrize("num_records", [17, 20, 40])
def test_epsilon_counts_every_record_that_one_record_moves(num_records: int) -> None:
    """Without sampling, what moves k records of a step is a Gaussian with a k-th of the noise."""
    moved = records_that_one_more_moves(num_records)
    counted = SampledGaussian(
        noise_multiplier=NOISE,
        sampling_rate=1.0,
        steps=1,
        clip_norm=1.0,
        unit="record",
        max_records_per_person=MOST_RECORDS,
    )
    exact = Gaussian(noise_multiplier=NOISE / moved, count=1, sensitivity=1.0, unit="record")
    spent, lost = (epsilon([event], DELTA, unit="record") for event in (counted, exact))
    assert spent >= lost - 1e-3
