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
from tests.sites.learners.regression.oracle import fitted, own_rows, statsmodels_fit
from tests.sites.learners.regression.test_site_sums import FAMILIES, plan_of


def test_a_run_that_names_it_has_it() -> None:
    plans = LearnerPlans(chosen=LearnerPlan(name="glm"), glm=GlmPlan())
    learner = generalised_linear(schema_of(CLASSES), plans)
    task = task_for("credit", schema_of(CLASSES), ModelPlan(), seed=7, learning=plans)
    assert learner.name == "glm"
    assert learner.reads_persons_exactly
    assert learner.contribution.exact
    assert task.layout == learner.at_site(task).layout
    assert plans.exchanges == 8


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
