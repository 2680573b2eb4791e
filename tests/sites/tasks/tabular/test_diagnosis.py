from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sites.data.source import TableFile
from sites.plans import BadPlan, ModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel, Label, Number, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.use_cases import tabular_task
from tests.sites.sides import keyed

MODEL = ModelPlan(name="logistic")
PLAN = TrainingPlan(batch_size=16, learning_rate=0.02, momentum=0.9, weight_decay=1e-2)

Write = Callable[[pd.DataFrame], TableFile]


def schema(label: Label) -> Schema:
    features = tuple(Number(name=name, low=0, high=1) for name in ("pressure", "rate"))
    return Schema(name="hearts", person="patient", features=features, label=label)


GRADES = schema(ClassLabel(column="grade", classes=("0", "1", "2", "3", "4")))


def patients(grades: tuple[int, ...], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    grade = np.repeat(grades, 60)
    return pd.DataFrame(
        {
            "patient": range(len(grade)),
            "pressure": (grade / 5 + rng.uniform(0, 0.2, len(grade))),
            "rate": rng.uniform(0, 1, len(grade)),
            "grade": grade,
        }
    )


def test_hospitals_that_lack_some_grades_learn_all_of_them_together(source: Write) -> None:
    task = tabular_task("diagnosis", GRADES, MODEL, seed=7)
    tables = [patients((0, 1), 1), patients((2, 3, 4), 2), patients((4,), 3)]
    sites = [task.load(source(table), sides=keyed(7)) for table in tables]
    pooled = np.sum([task.statistics_of(data) for data in sites], axis=0)
    vector = np.zeros(task.layout.dim)
    for server_round in range(20):
        updates = [
            task.train(data, pooled, vector, PLAN, rng=np.random.default_rng(server_round)).update
            for data in sites
        ]
        vector = vector + np.mean(updates, axis=0)
    tally = np.sum([task.evaluate(data, pooled, vector) for data in sites], axis=0)
    accuracy = task.evaluation.metrics(tally)["accuracy"].value
    assert accuracy > 0.6


@pytest.mark.parametrize("classes", [("no", "yes"), ("0", "1", "2")])
def test_yes_or_no_and_grades_are_both_a_diagnosis(classes: tuple[str, ...]) -> None:
    label = ClassLabel(column="grade", classes=classes)
    assert tabular_task("diagnosis", schema(label), MODEL, seed=7).schema.label == label


def test_a_number_is_refused() -> None:
    with pytest.raises(UnfitSchema, match="needs a label with classes, but grade is a number"):
        tabular_task("diagnosis", schema(NumberLabel(column="grade", low=0, high=4)), MODEL, seed=7)


def test_linear_regression_is_refused() -> None:
    with pytest.raises(BadPlan, match="use mlp or logistic"):
        tabular_task("diagnosis", GRADES, ModelPlan(name="linear"), seed=7)
