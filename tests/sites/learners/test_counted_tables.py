"""What a learner that counts needs of a table, the tasks of tables have."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from privacy.layout import Field, Layout, Tally, Vector
from sites.data.source import TableFile
from sites.learners.counted_tables import (
    CappedRecords,
    Columns,
    CountedTable,
    ReadsTables,
    TableSides,
)
from sites.plans import ModelPlan, Predictions, PrivacyPlan
from sites.task import Task, UnfitSchema
from sites.tasks.tabular.use_cases import tabular_task
from tests.small_consortium import TABLE, records


class OldAge(CountedTable):
    """Says how old the records are, as a share of 100 years."""

    @property
    def layout(self) -> Layout:
        """Nothing is learnt."""
        return Layout(fields=(Field("nothing", (1,)),))

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Count the records."""
        return np.array([len(data.training.labels)])

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return how old they are."""
        return np.asarray(columns["age"] / 100, np.float64)


def test_a_learner_that_counts_predicts_a_table_without_labels(tmp_path: Path) -> None:
    task: Task[Any] = tabular_task("diagnosis", TABLE, ModelPlan(), seed=7)
    assert isinstance(task, ReadsTables)
    frame = records("east").drop(columns=[TABLE.label.column])
    frame.to_csv(tmp_path / "new.csv", index=False)
    nothing = np.zeros(1, np.int64), np.zeros(1)
    predicted = OldAge(task).predict(TableFile(path=tmp_path / "new.csv"), *nothing)
    assert (predicted == frame["age"].to_numpy(np.float64) / 100).all()


def test_a_use_case_without_tables_is_refused() -> None:
    class Notes:
        name = "notes"

    notes: Task[Any] = Notes()  # type: ignore[assignment]  # which only has a name
    with pytest.raises(UnfitSchema, match="notes has no tables"):
        OldAge(notes).predict(TableFile(path=Path("new.csv")), np.zeros(1, np.int64), np.zeros(1))


def test_a_person_counts_with_as_many_records_as_the_plan_says() -> None:
    every = SimpleNamespace(
        columns={"age": np.arange(5.0)},
        labels=np.arange(5),
        persons=np.array(["a", "b", "a", "a", "c"]),
    )
    person = PrivacyPlan(
        noise_multiplier=1.0, clip_norm=1.0, sampling_rate=1.0, steps=1, max_records_per_person=2
    )
    capped, all_of_them = CappedRecords(every, person), CappedRecords(every, by_record(person))
    assert sorted(capped.persons.tolist()) == ["a", "a", "b", "c"]
    assert capped.columns["age"].tolist() == capped.labels.tolist()
    assert all_of_them.labels.tolist() == [0, 1, 2, 3, 4]  # a limit would put out another record


def by_record(plan: PrivacyPlan) -> PrivacyPlan:
    """Return the plan with each record as a unit."""
    return replace(plan, unit="record")
