from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sites.data.source import TableFile
from sites.plans import BadPlan, ModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.task import UnfitSchema
from sites.tasks.tabular.use_cases import tabular_task
from tests.sites.sides import keyed

MODEL = ModelPlan(name="linear")
PLAN = TrainingPlan(batch_size=64, learning_rate=0.01, momentum=0.9, weight_decay=3e-3)

Write = Callable[[pd.DataFrame], TableFile]

PRICES = Schema(
    name="houses",
    person="house",
    features=(Number(name="area", low=0, high=500), Number(name="age", low=0, high=200)),
    label=NumberLabel(column="price", low=0, high=1_000_000, unit="US$"),
)


def houses(n: int, *, age: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    area, years = rng.uniform(50, 300, n), rng.uniform(age, age + 40, n)
    price = 1_500 * area - 800 * years + 150_000 + rng.normal(0, 5_000, n)
    return pd.DataFrame({"house": range(n), "area": area, "age": years, "price": price})


def test_offices_with_different_houses_learn_the_common_line(source: Write) -> None:
    """Old houses at one office, new ones at the other: the prices follow one formula."""
    task = tabular_task("house-prices", PRICES, MODEL, seed=7)
    tables = [houses(300, age=0, seed=1), houses(300, age=80, seed=2)]
    sites = [task.load(source(table), sides=keyed(7)) for table in tables]
    pooled = np.sum([task.statistics_of(data) for data in sites], axis=0)
    vector = np.zeros(task.layout.dim)
    for server_round in range(40):
        updates = [
            task.train(data, pooled, vector, PLAN, rng=np.random.default_rng(server_round)).update
            for data in sites
        ]
        vector = vector + np.mean(updates, axis=0)
    new = source(pd.DataFrame({"area": [100.0, 200.0], "age": [10.0, 100.0]}))
    np.testing.assert_allclose(task.predict(new, pooled, vector), [292_000, 370_000], rtol=0.02)


def test_classes_are_refused() -> None:
    label = ClassLabel(column="price", classes=("low", "high"))
    with pytest.raises(UnfitSchema, match="but price has 2 classes"):
        tabular_task("house-prices", PRICES.model_copy(update={"label": label}), MODEL, seed=7)


def test_logistic_regression_is_refused() -> None:
    with pytest.raises(BadPlan, match="use mlp or linear"):
        tabular_task("house-prices", PRICES, ModelPlan(name="logistic"), seed=7)
