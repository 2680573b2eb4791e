import subprocess
import sys

import numpy as np
import pytest

from sites.learners.plans import GlmPlan, LearnerPlan, LearnerPlans
from sites.learners.regression.learner import generalised_linear
from sites.plans import ModelPlan
from sites.schema.tables import ClassLabel, NumberLabel
from sites.tasks.registry import task_for
from sites.tasks.tabular.data import TableData
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import counts_of, fitted, own_rows, statsmodels_fit
from tests.sites.learners.regression.test_site_sums import FAMILIES, plan_of


def test_a_run_that_names_it_has_it() -> None:
    plans = LearnerPlans(chosen=LearnerPlan(name="glm"), glm=GlmPlan())
    learner = generalised_linear(schema_of(CLASSES), plans)
    task = task_for("credit", schema_of(CLASSES), ModelPlan(), seed=7, learning=plans)
    assert learner.name == "glm"
    assert "learner=gradient" in learner.noisy_instead
    assert learner.contribution.exact
    assert task.layout == learner.at_site(task).layout
    assert plans.exchanges("diagnosis") == 8


@pytest.mark.parametrize("label", [CLASSES, COUNTS, AMOUNT])
@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_predictions_are_those_of_the_coefficients(
    label: ClassLabel | NumberLabel, effects: str
) -> None:
    table, schema = table_with(label, 400, seed=9), schema_of(label)
    fit = fitted(schema, plan_of(label, site_effects=effects), [table])
    task = fit.learner.at_site(None)  # type: ignore[arg-type]  # its records are passed
    data = TableData(training=table, held_out=table, n_classes=2)
    predicted, labels = task.score(data, fit.statistics, fit.vector)
    family = FAMILIES[label.column]
    wanted = statsmodels_fit(own_rows(schema, table), table.labels.astype(float), family)
    assert labels is table.labels
    np.testing.assert_allclose(predicted, np.clip(wanted.fittedvalues, -100, None), rtol=1e-6)


def test_nothing_is_counted_once_the_estimate_has_settled() -> None:
    table, schema = table_with(CLASSES, 300), schema_of(CLASSES)
    fit = fitted(schema, GlmPlan(), [table])
    assert fit.results["status"] == "fitted"
    assert not counts_of(fit.learner, fit.statistics, fit.vector, table).any()
    before = fitted(schema, GlmPlan(), [table], exchanges=2)
    assert counts_of(before.learner, before.statistics, before.vector, table).any()


def test_counting_loads_no_library_of_learning() -> None:
    """In a fresh process, which reads records, counts them, and predicts."""
    done = subprocess.run(
        [sys.executable, "-c", _COUNTING], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


_COUNTING = """
import sys
import numpy as np
from sites.learners.plans import GlmPlan, LearnerPlan, LearnerPlans
from sites.plans import ModelPlan, TrainingPlan
from sites.tasks.registry import task_for
from sites.tasks.tabular.data import TableData
from tests.sites.learners.regression.generated import CLASSES, schema_of, table_with

plans = LearnerPlans(chosen=LearnerPlan(name="glm"), glm=GlmPlan())
task = task_for("credit", schema_of(CLASSES), ModelPlan(), seed=7, learning=plans)
table = table_with(CLASSES, 300)
data = TableData(training=table, held_out=table, n_classes=2)
task.prepare()
pooled, state = task.statistics_of(data), np.zeros(task.layout.dim)
task.train(data, pooled, state, TrainingPlan(), rng=np.random.default_rng(0))
task.evaluate(data, pooled, state)
heavy = {"torch", "transformers", "dp_accounting", "scipy.stats", "pandas"}
print(sorted(heavy & set(sys.modules)))
"""
