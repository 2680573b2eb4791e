"""Small tables for score cards, drawn by hypothesis or by a generator, and a run without sites."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.learners.cards.learner import ScoreCard, ScoreCardTask
from sites.learners.cards.plan import CardPlan
from sites.plans import ModelPlan
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.tasks.tabular.data import Table, TableData, pooled_table
from sites.tasks.tabular.use_cases import tabular_task

Values: TypeAlias = Sequence[float] | NDArray[Any]

SCHEMA = Schema(
    name="loans",
    person="person",
    features=(
        Number(name="age", low=18, high=110, missing=True),
        Number(name="bill", low=-1e6, high=1e7, scale="log", missing=True),
        Category(name="work", values=("none", "salaried", "own", "other"), missing=True),
    ),
    label=ClassLabel(column="default", classes=("no", "yes")),
)


def learner_with(**plan: Any) -> ScoreCard:
    return ScoreCard.of(SCHEMA, CardPlan(**plan))


def task_of(learner: ScoreCard) -> ScoreCardTask:
    return learner.at_site(tabular_task("credit", SCHEMA, ModelPlan(), seed=7))


def site_data(training: Table, held_out: Table | None = None) -> TableData:
    nobody = training.select(np.zeros(len(training), bool))
    return TableData(training=training, held_out=held_out or nobody, n_classes=2)


def table_of(ages: Values, bills: Values, work: Values, labels: Values) -> Table:
    columns: dict[str, np.ndarray[Any, Any]] = {
        "age": np.array(ages, np.float64),
        "bill": np.array(bills, np.float64),
        "work": np.array(work, np.int64),
    }
    persons = np.array([f"p{one}" for one in range(len(labels))], dtype=str)
    return Table(columns=columns, labels=np.array(labels, np.int64), persons=persons)


def loans(n: int, *, seed: int = 7) -> Table:
    """Return records whose risk falls with age, rises with bills, and differs by work."""
    rng = np.random.default_rng(seed)
    ages, bills = rng.uniform(18, 90, n), np.exp(rng.uniform(0, 13, n))
    work = rng.integers(0, 4, n)
    log_odds = 1.5 - ages / 25 + np.log(bills) / 6 - np.array([0.0, 1.0, 0.3, 0.4])[work]
    labels = rng.uniform(size=n) < 1 / (1 + np.exp(-log_odds))
    absent = rng.uniform(size=n) < 0.1
    return table_of(np.where(absent, np.nan, ages), bills, work, labels.astype(int))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draw a table: also without records, of one class, of one value, or of missing values."""
    n = draw(st.integers(0, 40))
    times = draw(st.sampled_from([1, 10]))  # repeated, so that floors can be met
    numbers = {
        "age": st.one_of(st.just(float("nan")), st.integers(18, 110), st.floats(18, 110)),
        "bill": st.one_of(st.just(float("nan")), st.floats(-1e6, 1e7)),
    }
    age, bill = (draw(st.lists(one, min_size=n, max_size=n)) for one in numbers.values())
    work = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return table_of(age * times, bill * times, work * times, labels * times)


def fitted(learner: ScoreCard, parts: Sequence[Table], *, exchanges: int = 16) -> Vector:
    """Return the state after so many exchanges between these sites, as a run would have it."""
    task, data = task_of(learner), [site_data(part) for part in parts]
    statistics = statistics_of(learner, parts)
    vector = np.zeros(task.layout.dim)
    for _ in range(exchanges):
        pooled = np.sum([task.count(one, statistics, vector) for one in data], axis=0)
        learner.contribution.check(pooled, sites=len(parts))
        moved = learner.move(vector, statistics, pooled)
        vector = moved.astype(np.float32).astype(np.float64)
        assert (vector == moved).all(), "a state holds float32 numbers"
    return vector


def statistics_of(learner: ScoreCard, parts: Sequence[Table]) -> Tally:
    task = task_of(learner)
    return np.asarray(np.sum([task.statistics_of(site_data(one)) for one in parts], axis=0))


def together(parts: Sequence[Table]) -> Table:
    return pooled_table(parts)


def points_by_hand(card: Mapping[str, Any], record: Mapping[str, Any]) -> int:
    """Add the points up as `formula` says, with nothing of this program."""
    total = card["start"]
    for feature in card["features"]:
        value = record[feature["name"]]
        total += next(
            one["points"] for one in feature["bins"] if holds(one, value, feature["kind"])
        )
    return int(total)


def holds(one: Mapping[str, Any], value: Any, kind: str) -> bool:
    if value is None:
        return bool(one["missing"])
    if kind == "category":
        return value in one["values"]
    x = np.float32(value)
    low = one["from"] is None or x >= np.float32(one["from"])
    high = one["below"] is None or x < np.float32(one["below"])
    return bool(low and high and not one["only_missing"])
