import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.outliers_influence import variance_inflation_factor

from scenarios.library import bank_credit, house_prices
from sites.learners.plans import GlmPlan
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.tasks.tabular.data import pooled_table
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    parts_of,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import (
    fitted,
    own_rows,
    statsmodels_fit,
    tables_of,
    worst_difference,
)
from tests.sites.learners.regression.test_site_sums import FAMILIES, plan_of

PAIRS = [
    (label, missing) for label in (CLASSES, COUNTS, AMOUNT) for missing in ("complete", "indicator")
]


def test_eight_exchanges_over_five_banks_are_statsmodels_on_all_records_at_once() -> None:
    scenario = bank_credit.SCENARIO
    assert isinstance(scenario.table, Schema)
    parts = list(tables_of(scenario).values())
    results = fitted(scenario.table, GlmPlan(), parts).results
    together = pooled_table(parts)
    wanted = statsmodels_fit(own_rows(scenario.table, together), together.labels, "logistic")
    assert results["status"] == "fitted"
    assert results["exchanges"] <= 8
    assert worst_difference(results, wanted) < 1e-6
    assert results["deviance"] == pytest.approx(wanted.deviance, rel=1e-9)
    assert results["null_deviance"] == pytest.approx(wanted.null_deviance, rel=1e-9)


def test_a_linear_regression_over_three_offices_is_statsmodels_on_all_records_at_once() -> None:
    scenario = house_prices.SCENARIO
    assert isinstance(scenario.table, Schema)
    parts = list(tables_of(scenario).values())
    fit = fitted(scenario.table, GlmPlan(), parts, exchanges=2)
    results, together = fit.results, pooled_table(parts)
    complete = together.select(fit.learner.regression.design.complete(together.columns))
    wanted = statsmodels_fit(own_rows(scenario.table, complete), complete.labels, "linear")
    assert worst_difference(results, wanted) < 1e-6
    assert results["r_squared"] == pytest.approx(wanted.rsquared, rel=1e-9)
    assert results["records"] + results["left_out"] == len(together)
    last = results["coefficients"][-1]["own"]
    assert last["p"] == pytest.approx(wanted.pvalues[-1], rel=1e-6)
    assert [last["low"], last["high"]] == pytest.approx(wanted.conf_int()[-1].tolist(), rel=1e-6)


@pytest.mark.parametrize(("label", "missing"), PAIRS, ids=str)
@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_each_family_is_statsmodels_with_either_kind_of_intercept(
    label: ClassLabel | NumberLabel, missing: str, effects: str
) -> None:
    """With each site's own intercept, statsmodels has an input for each site."""
    table, schema = table_with(label, 1_500, seed=3, missing=0.1), schema_of(label)
    sites = np.random.default_rng(1).integers(0, 4, len(table))
    plan = plan_of(label, missing_values=missing, site_effects=effects)
    fit = fitted(schema, plan, parts_of(table, sites))
    results, kept = fit.results, fit.learner.regression.design.complete(table.columns)
    rows = own_rows(schema, table.select(kept), missing=missing)
    if effects == "fixed":
        rows = np.hstack([rows[:, 1:], (sites[kept][:, None] == np.arange(4)) * 1.0])
    family = FAMILIES[label.column]
    wanted = statsmodels_fit(rows, table.labels[kept].astype(float), family)
    assert worst_difference(results, wanted) < 1e-6
    assert results["freedom"] == wanted.df_resid
    deviance = wanted.ssr if family == "linear" else wanted.deviance
    assert results["deviance"] == pytest.approx(deviance, rel=1e-8)
    first = results["coefficients"][0]["own"]
    place = int(effects == "common")
    assert first["p"] == pytest.approx(wanted.pvalues[place], rel=1e-5)
    assert [first["low"], first["high"]] == pytest.approx(
        wanted.conf_int()[place].tolist(), rel=1e-5
    )


def test_inflation_factors_are_those_of_statsmodels() -> None:
    table, schema = table_with(CLASSES, 500, seed=8), schema_of(CLASSES)
    results = fitted(schema, GlmPlan(), [table]).results
    rows = own_rows(schema, table)
    wanted = [variance_inflation_factor(rows, place) for place in range(1, rows.shape[1])]
    assert [one["inflation"] for one in results["coefficients"]] == pytest.approx(wanted, rel=1e-6)


def test_a_coefficient_for_a_deviation_is_that_for_a_unit_times_the_deviation() -> None:
    table, schema = table_with(CLASSES, 500, seed=8), schema_of(CLASSES)
    told = fitted(schema, GlmPlan(), [table]).results["coefficients"][0]
    deviation = table.columns["age"].std()
    own, scaled = told["own"], told["deviation"]
    assert scaled["coefficient"] == pytest.approx(own["coefficient"] * deviation, rel=1e-6)
    assert scaled["p"] == pytest.approx(own["p"])
    assert own["ratio"] == pytest.approx(np.exp(own["coefficient"]))
    assert own["ratio_low"] < own["ratio"] < own["ratio_high"]


def test_a_number_has_no_ratio() -> None:
    told = fitted(schema_of(AMOUNT), GlmPlan(), [table_with(AMOUNT, 200)]).results
    assert "ratio" not in told["coefficients"][0]["own"]
    assert told["residual"] == pytest.approx(40, rel=0.1)


def test_a_ridge_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    table, schema = table_with(CLASSES, 400, seed=6), schema_of(CLASSES)
    results = fitted(schema, GlmPlan(ridge=0.05), [table]).results
    rows = own_rows(schema, table)[:, 1:]
    rows[:, :2] = (rows[:, :2] - rows[:, :2].mean(axis=0)) / rows[:, :2].std(axis=0)
    model = LogisticRegression(C=1 / (0.05 * 400), tol=1e-12, max_iter=10_000)
    wanted = model.fit(rows, table.labels).coef_[0]
    told = [one["deviation"]["coefficient"] for one in results["coefficients"]]
    assert told == pytest.approx(wanted, rel=1e-5)
    assert results["coefficients"][0]["own"]["low"] is None
    assert results["heterogeneity"] is None


def test_heterogeneity_is_raos_test_of_coefficients_of_each_sites_own() -> None:
    table, schema = table_with(CLASSES, 900, seed=2), schema_of(CLASSES)
    sites = np.arange(900) % 3
    told = fitted(schema, GlmPlan(), parts_of(table, sites)).results["heterogeneity"]
    rows = own_rows(schema, table)
    own = np.hstack([rows * (sites == site)[:, None] for site in range(3)])
    null = statsmodels_fit(rows, table.labels.astype(float), "logistic")
    restricted = np.tile(null.params, 3)
    score = own.T @ (table.labels - null.fittedvalues)
    weights = null.fittedvalues * (1 - null.fittedvalues)
    wanted = score @ np.linalg.solve(own.T @ (own * weights[:, None]), score)
    assert restricted.shape == score.shape
    assert told["statistic"] == pytest.approx(wanted, rel=1e-6)
    assert told["freedom"] == 2 * rows.shape[1]


def test_heterogeneity_of_numbers_is_the_f_test_of_nested_regressions() -> None:
    table, schema = table_with(AMOUNT, 600, seed=2), schema_of(AMOUNT)
    sites = np.arange(600) % 3
    told = fitted(schema, GlmPlan(), parts_of(table, sites)).results["heterogeneity"]
    rows = own_rows(schema, table)
    own = np.hstack([rows * (sites == site)[:, None] for site in range(3)])
    full, small = sm.OLS(table.labels, own).fit(), sm.OLS(table.labels, rows).fit()
    below = full.df_resid
    statistic = (small.ssr - full.ssr) / (small.df_resid - below) / (full.ssr / below)
    assert told["statistic"] == pytest.approx(statistic, rel=1e-6)
    assert (told["freedom"], told["freedom_below"]) == (small.df_resid - below, below)


def test_sites_that_differ_are_found_to_differ() -> None:
    table, schema = table_with(CLASSES, 900, seed=2), schema_of(CLASSES)
    sites = np.arange(900) % 3
    alike = fitted(schema, GlmPlan(), parts_of(table, sites)).results["heterogeneity"]
    chosen = sites == 0
    table.labels[chosen] = 1 - table.labels[chosen]
    turned = fitted(schema, GlmPlan(), parts_of(table, sites)).results["heterogeneity"]
    assert turned["p"] < 1e-6 < alike["p"]


@pytest.mark.parametrize(
    ("rows", "labels", "status"),
    [(0, None, "empty"), (200, 0, "one-outcome"), (200, 1, "one-outcome"), (4, None, "no-freedom")],
)
def test_records_that_define_no_regression_have_no_numbers(
    rows: int, labels: int | None, status: str
) -> None:
    table = table_with(CLASSES, rows, seed=1)
    if labels is not None:
        table.labels[:] = labels
    if status == "no-freedom":
        table.labels[:] = [0, 1, 0, 1]
    results = fitted(schema_of(CLASSES), GlmPlan(), [table]).results
    assert results["status"] == status
    assert all(one["own"] is None for one in results["coefficients"])
    assert results["heterogeneity"] is None


def test_sites_of_one_outcome_each_have_no_numbers_with_their_own_intercepts() -> None:
    table = table_with(CLASSES, 200, seed=1)
    plan = plan_of(CLASSES, site_effects="fixed")
    results = fitted(schema_of(CLASSES), plan, parts_of(table, table.labels)).results
    assert results["status"] == "one-outcome"


def test_too_few_exchanges_are_said_to_be_too_few() -> None:
    results = fitted(schema_of(CLASSES), GlmPlan(), [table_with(CLASSES, 300)], exchanges=2).results
    assert results["status"] == "not-converged"
    assert results["deviance"] is None
