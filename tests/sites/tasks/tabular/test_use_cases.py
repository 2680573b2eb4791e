from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sites.data.source import TableFile
from sites.plans import BadPlan, ModelPlan, TrainingPlan
from sites.schema.tables import Category, ClassLabel, Label, Number, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.use_cases import tabular_task
from tests.sites.sides import keyed

MODEL = ModelPlan(name="mlp", hidden_units=32)
PLAN = TrainingPlan(batch_size=128, learning_rate=0.05, momentum=0.9, weight_decay=1e-3)

Write = Callable[[pd.DataFrame], TableFile]


def schema(label: Label) -> Schema:
    features = (
        Number(name="income", low=0, high=1e6, scale="log"),
        Category(name="home", values=("own", "rent")),
    )
    return Schema(name="loans", person="borrower", features=features, label=label)


OUTCOME = schema(ClassLabel(column="outcome", classes=("good", "bad")))


def loans(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(n)
    income, rents = rng.lognormal(10, 1, n).clip(0, 1e6), rng.random(n) < 0.5
    bad = rng.random(n) < np.where(rents == (income < 22_000), 0.7, 0.1)
    return pd.DataFrame(
        {
            "borrower": range(n),
            "income": income,
            "home": np.where(rents, "rent", "own"),
            "outcome": np.where(bad, "bad", "good"),
        }
    )


def test_the_suggested_plan_learns_an_interaction_of_columns(source: Write) -> None:
    task = tabular_task("credit", OUTCOME, MODEL, seed=7)
    data = task.load(source(loans(2_000)), sides=keyed(7))
    pooled, vector = task.statistics_of(data), np.zeros(task.layout.dim)
    for server_round in range(5):
        rng = np.random.default_rng(server_round)
        vector = vector + task.train(data, pooled, vector, PLAN, rng=rng).update
    metrics = task.evaluation.metrics(task.evaluate(data, pooled, vector))
    assert metrics["roc_auc"].value > 0.75


@pytest.mark.parametrize(
    "label",
    [
        ClassLabel(column="outcome", classes=("good", "late", "bad")),
        NumberLabel(column="outcome", low=0, high=1),
    ],
)
def test_anything_but_two_classes_is_refused(label: Label) -> None:
    with pytest.raises(UnfitSchema, match="credit needs a label with two classes, but outcome"):
        tabular_task("credit", schema(label), MODEL, seed=7)


def test_linear_regression_is_refused() -> None:
    with pytest.raises(BadPlan, match="use mlp or logistic"):
        tabular_task("credit", OUTCOME, ModelPlan(name="linear"), seed=7)
