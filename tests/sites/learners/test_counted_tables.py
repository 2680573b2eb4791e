"""What a learner that counts needs of a table, the tasks of tables have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privacy.layout import Field, Layout, Tally, Vector
from sites.data.source import TableFile
from sites.learners.counted_tables import Columns, CountedTable, ReadsTables, TableSides
from sites.plans import ModelPlan, Predictions
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
