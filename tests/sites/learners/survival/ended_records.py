"""Sites with records of a time until an event, for tests of the learner of survival."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from scenarios.data.datasets import load_dataset, lung_patients
from sites.learners.plans import CoxPlan, GlmPlan, LearnerPlans
from sites.learners.survival.cox import Cox
from sites.learners.survival.task import CoxTask
from sites.plans import ModelPlan
from sites.schema.tables import Category, EventTimeLabel, Number, Schema
from sites.tasks.tabular.data import Table, TableData
from sites.tasks.tabular.use_cases import tabular_task

SCHEMA = Schema(
    name="trial",
    person="patient",
    features=(
        Number(name="age", low=0, high=100, unit="years"),
        Category(name="arm", values=("a", "b", "c"), missing=True),
        Number(name="marker", low=-1, high=9, scale="log", missing=True),
    ),
    label=EventTimeLabel(
        column="status", classes=("alive", "dead"), time="days", high=10, bins=10, horizon=5.0
    ),
)
LUNG = Schema(
    name="lung",
    person="patient",
    features=(
        Number(name="age", low=0, high=120),
        Category(name="sex", values=("male", "female")),
        Number(name="ecog", low=0, high=5),
    ),
    label=EventTimeLabel(
        column="status",
        classes=("alive", "dead"),
        time="days",
        high=1100,
        times=tuple(30.0 * month for month in range(1, 37)),
        horizon=360,
    ),
)


def table_data(columns: dict[str, NDArray[Any]], ends: NDArray[Any]) -> TableData:
    """Return records that are all trained on; ends are codes and times, shape (n, 2)."""
    persons = np.arange(len(ends)).astype(str)
    whole = Table(columns=columns, labels=np.asarray(ends, np.float64), persons=persons)
    none = np.zeros(len(ends), bool)
    return TableData(training=whole, held_out=whole.select(none), n_classes=2)


def made_up(
    seed: int, n: int, *, tied: bool = False, events: float = 0.6, missing: bool | None = None
) -> TableData:
    """Return made-up records of SCHEMA, those of a larger site with every kind of missing value."""
    lacks = n >= 50 if missing is None else missing
    rng = np.random.default_rng(seed)
    columns = {
        "age": rng.uniform(20, 90, n),
        "arm": rng.integers(-1 if lacks else 0, 3, n),
        "marker": np.where(lacks & (rng.random(n) < 0.1), np.nan, rng.uniform(0, 5, n)),
    }
    risk = 0.02 * columns["age"] + 0.5 * (columns["arm"] == 1) + np.nan_to_num(columns["marker"])
    times = np.minimum(rng.exponential(8 * np.exp(-risk / 3)), 10.0)
    times = np.ceil(times) if tied else times
    return table_data(columns, np.stack([rng.random(n) < events, times], axis=1))


def lung(*, everybody: bool = False) -> tuple[TableData, NDArray[Any]]:
    """Return the patients of the scenario and their institutions; or all of the trial."""
    frame = load_dataset("lung") if everybody else lung_patients()
    columns = {
        "age": frame["age"].to_numpy(float),
        "sex": (frame["sex"] == "female").to_numpy(int),
        "ecog": frame["ecog"].to_numpy(float),
    }
    ends = np.stack([(frame["status"] == "dead").to_numpy(float), frame["days"].to_numpy(float)])
    return table_data(columns, ends.T), frame["institution"].to_numpy()


def divided(data: TableData, sites: NDArray[Any]) -> list[TableData]:
    """Return the records of each site."""
    each = [data.training.select(sites == one) for one in np.unique(sites)]
    return [table_data(dict(one.columns), one.labels) for one in each]


@dataclass(frozen=True)
class Fitted:
    """A run of the learner over some sites, without the protocol.

    Args:
        learner: The learner.
        task: As its sites carry it out.
        statistics: Pooled.
        states: After each exchange; first the start.
        sums: Of each exchange.
    """

    learner: Cox
    task: CoxTask
    statistics: Tally
    states: tuple[Vector, ...]
    sums: tuple[Tally, ...]

    @property
    def results(self) -> dict[str, Any]:
        """What the last state says."""
        return dict(self.learner.results(self.states[-1], self.statistics))

    def of_coefficients(self, name: str) -> Vector:
        """Return a figure of each coefficient."""
        return np.array([one[name] for one in self.results["coefficients"]], np.float64)


def learner_of(schema: Schema, plan: CoxPlan, missing: str = "complete") -> tuple[Cox, CoxTask]:
    """Return the learner and its task."""
    glm = GlmPlan(missing_values=missing)  # type: ignore[arg-type]
    learner = Cox(schema, LearnerPlans(cox=plan, glm=glm))
    return learner, learner.at_site(tabular_task("survival", schema, ModelPlan(), seed=7))


def fitted(
    schema: Schema,
    sites: list[TableData],
    plan: CoxPlan = CoxPlan(),  # noqa: B008 -- frozen
    *,
    missing: str = "complete",
    exchanges: int = 8,
) -> Fitted:
    """Return a run over sites, each sum checked as the sites of a run check it."""
    learner, task = learner_of(schema, plan, missing)
    statistics = np.sum([task.statistics_of(one) for one in sites], axis=0)
    states, sums = [np.zeros(task.layout.dim)], []
    for _ in range(exchanges):
        sums.append(np.sum([task.count(one, statistics, states[-1]) for one in sites], axis=0))
        learner.contribution.check(sums[-1], sites=len(sites))
        moved = learner.move(states[-1], statistics, sums[-1])
        states.append(moved.astype(np.float32).astype(np.float64))
        np.testing.assert_array_equal(states[-1], moved)
    return Fitted(learner, task, statistics, tuple(states), tuple(sums))
