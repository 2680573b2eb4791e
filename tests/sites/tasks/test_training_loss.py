"""The loss on a site's own training records, for each kind of label."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sites.data.source import TableFile
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.tasks.tabular.task import TabularTask
from sites.tasks.training_loss import training_loss
from tests.sites.sides import keyed

AGE = Number(name="age", low=0, high=100)
ILL = ClassLabel(column="ill", classes=("no", "yes"))
DAYS = NumberLabel(column="days", low=0, high=50)
ROWS = 60


def table(*, shifted: bool = False) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    age = rng.uniform(0, 100, ROWS)
    return pd.DataFrame(
        {
            "person": [f"p{row}" for row in range(ROWS)],
            "age": age,
            "ill": np.where(age + (40 if shifted else 0) > 50, "yes", "no"),
            "days": age / 2,
        }
    )


def task(label: ClassLabel | NumberLabel) -> TabularTask:
    schema = Schema(name="small", person="person", features=(AGE,), label=label)
    return TabularTask(
        "example", schema, ModelPlan(name="logistic" if label is ILL else "linear"), 7
    )


def test_of_classes_it_is_the_mean_log_loss_of_the_training_records(
    source: Callable[[pd.DataFrame], TableFile],
) -> None:
    """Computed here from the model's own predictions for those records."""
    of = task(ILL)
    data = of.load(source(table()), sides=keyed(3))
    pooled, vector = of.statistics_of(data), np.full(of.layout.dim, 0.3)
    probabilities, labels = of.score(replace(data, held_out=data.training), pooled, vector)
    chosen = np.where(np.asarray(labels) == 1, probabilities, 1 - probabilities)
    told = training_loss(of, data, pooled, vector)
    assert told == pytest.approx(float(-np.log(chosen).mean()), rel=1e-4)


def test_of_a_number_it_is_the_root_mean_squared_error(
    source: Callable[[pd.DataFrame], TableFile],
) -> None:
    of = task(DAYS)
    data = of.load(source(table()), sides=keyed(3))
    pooled, vector = of.statistics_of(data), np.full(of.layout.dim, 0.3)
    predicted, labels = of.score(replace(data, held_out=data.training), pooled, vector)
    expected = float(np.sqrt(np.mean((predicted - labels) ** 2)))
    assert training_loss(of, data, pooled, vector) == pytest.approx(expected, rel=1e-3)


def test_held_out_records_play_no_part(source: Callable[[pd.DataFrame], TableFile]) -> None:
    """A model is not to be trained or left by what it is judged on."""
    of = task(ILL)
    data = of.load(source(table()), sides=keyed(3))
    other = of.load(source(table(shifted=True)), sides=keyed(3))
    pooled, vector = of.statistics_of(data), np.full(of.layout.dim, 0.3)
    mixed = replace(data, held_out=other.held_out)
    assert of.evaluate(mixed, pooled, vector).tolist() != of.evaluate(data, pooled, vector).tolist()
    assert training_loss(of, mixed, pooled, vector) == training_loss(of, data, pooled, vector)


def test_a_site_that_trains_on_nobody_has_no_loss(
    source: Callable[[pd.DataFrame], TableFile],
) -> None:
    of = task(ILL)
    data = of.load(source(table()), sides=keyed(3))
    nobody = replace(data, training=data.training.select(np.zeros(len(data.training), np.bool_)))
    assert training_loss(of, nobody, of.statistics_of(data), np.zeros(of.layout.dim)) is None


@pytest.mark.slow
def test_of_entities_it_is_one_minus_f1(tmp_path: Path) -> None:
    from tests.sites.tasks.text.test_named_entities import site
    from tests.sites.tasks.text.test_named_entities import task as entities

    of, data = entities(), site(tmp_path)
    vector = np.zeros(of.layout.dim)
    pooled = of.statistics_of(data)
    counted = of.evaluate(replace(data, held_out=data.training), pooled, vector)
    f1 = of.evaluation.metrics(counted)["entity_f1"].value
    assert training_loss(of, data, pooled, vector) == 1.0 - f1
