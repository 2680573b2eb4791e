"""The graph of a regression predicts what the regression predicts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.graphs.kinds.regression import regression_graph
from sites.learners.plans import GlmPlan
from sites.learners.regression.state import Figures, State
from sites.plans import ModelPlan
from sites.schema.tables import Label, NumberLabel
from sites.tasks.tabular.task import TabularTask
from tests.graph_runs import run
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import Fit, fitted

LOG_AMOUNT = NumberLabel(column="cost", low=-100, high=1_000, unit="EUR", scale="log")


def same_as_ours(fit: Fit, label: Label, *, n: int = 200) -> None:
    """To a millionth, and to a billionth of the declared range."""
    learner, regression = fit.learner, fit.learner.regression
    # The generated records have fewer than the schema allows: missing values and bounds, too.
    columns = {**table_with(AMOUNT, n, seed=9, missing=0.2).columns}
    columns["income"] = np.append(columns["income"][:-2], [0.0, 1e6])
    columns["age"] = np.append(columns["age"][:-2], [120.0, 0.0])
    task = learner.at_site(TabularTask("credit", regression.schema, ModelPlan(), 7))
    ours = task.predict_columns(columns, fit.statistics, fit.vector)
    found = run(
        regression_graph(regression, fit.statistics, fit.vector), regression.schema, columns
    )
    name = "value" if isinstance(label, NumberLabel) else "probability"
    np.testing.assert_allclose(found[name], ours, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("label", "family"),
    [(CLASSES, "auto"), (COUNTS, "poisson"), (AMOUNT, "linear"), (LOG_AMOUNT, "linear")],
    ids=["classes", "counts", "amount", "logarithm"],
)
@pytest.mark.parametrize("missing", ["complete", "indicator"])
@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_the_graph_predicts_the_same(label: Label, family: str, missing: str, effects: str) -> None:
    plan = GlmPlan(family=family, missing_values=missing, site_effects=effects)  # type: ignore[arg-type]
    parts = [table_with(label, 150, seed=seed, missing=0.1) for seed in (1, 2)]
    same_as_ours(fitted(schema_of(label), plan, parts), label)


@settings(max_examples=20)
@given(
    st.sampled_from([CLASSES, COUNTS, AMOUNT]),
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=9, max_size=9),
)
def test_whatever_the_coefficients_are(label: Label, numbers: list[float]) -> None:
    """Also where a probability is 0 or 1, and a mean is beyond all bounds."""
    schema = schema_of(label)
    family = "poisson" if label is COUNTS else "auto"
    fit = fitted(schema, GlmPlan(family=family), [table_with(label, 60)], exchanges=1)  # type: ignore[arg-type]
    k = fit.learner.regression.design.size
    nothing = np.zeros(k)
    state = State(
        trial=np.array(numbers[:k]),
        accepted=nothing,
        ills=nothing,
        inflation=nothing,
        columns=nothing,
        column_labels=nothing,
        information=np.zeros((k, k)),
        figures=Figures(intercept=numbers[-1]),
    )
    same_as_ours(Fit(fit.learner, fit.statistics, state.vector), label, n=20)
