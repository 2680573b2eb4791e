"""Results follow from the state, and say what is not known."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from sites.learners.plans import CoxPlan
from sites.learners.survival.results import results_of
from sites.tasks.tabular.data import TableData
from tests.sites.learners.survival.ended_records import (
    LUNG,
    SCHEMA,
    divided,
    fitted,
    lung,
    made_up,
    table_data,
)


def test_before_the_first_exchange_there_is_nothing_to_say() -> None:
    run = fitted(SCHEMA, [made_up(1, 20)], exchanges=1)
    assert run.learner.results(run.states[0], run.statistics) == {}
    assert results_of(run.task.form, run.states[1], run.statistics)["exchanges"] == 1


def test_intervals_ratios_and_tests_follow_from_coefficient_and_error() -> None:
    data, institutions = lung()
    results = fitted(LUNG, divided(data, institutions), CoxPlan(group="sex")).results
    for one in results["coefficients"]:
        value, error = one["coefficient"], one["standard_error"]
        assert one["hazard_ratio"] == pytest.approx(math.exp(value))
        assert one["low"] == pytest.approx(math.exp(value - 1.959964 * error))
        assert one["p"] == pytest.approx(2 * stats.norm.sf(abs(value / error)))
        own = one["own"]
        assert own["q_p"] == pytest.approx(stats.chi2.sf(own["q"], own["sites"] - 1))
    tested = results["likelihood_ratio"]
    assert tested["p"] == pytest.approx(stats.chi2.sf(tested["chi_square"], 3))
    assert results["log_rank"]["p"] == pytest.approx(
        stats.chi2.sf(results["log_rank"]["chi_square"], 1)
    )
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def separated() -> TableData:
    """Return records of which all with arm b have the event first: no finite coefficient."""
    columns = {
        "age": np.linspace(30, 60, 24),
        "arm": np.repeat([1, 0], 12),
        "marker": np.tile([1.0, 2.0, 3.0], 8),
    }
    events = np.repeat([1.0, 0.0], 12)
    return table_data(columns, np.stack([events, np.where(events == 1, 2.0, 9.0)], axis=1))


def test_a_coefficient_without_a_finite_value_or_column_is_named() -> None:
    results = fitted(SCHEMA, [separated()]).results
    by_name = {one["name"]: one for one in results["coefficients"]}
    assert not by_name["arm=b"]["settled"]
    assert by_name["arm=c"]["left_out"]
    assert json.dumps(results, allow_nan=False)


def test_with_one_baseline_there_is_no_partial_likelihood_to_test() -> None:
    results = fitted(SCHEMA, [made_up(1, 60)], CoxPlan(baseline="pooled")).results
    assert "likelihood_ratio" not in results
    assert results["log_rank"] is None
    assert len(results["curves"]) == 1
    assert 0 < results["hazard"]["risk_by_horizon"] < 1


def test_a_meta_analysis_of_one_site_says_nothing() -> None:
    """It would be that site's own estimate, for every reader of the report."""
    alone = fitted(SCHEMA, [made_up(3, 120, missing=False), made_up(4, 1, missing=False)]).results
    assert alone["sites_with_own_fit"] == 1
    assert [one["own"] for one in alone["coefficients"] if not one["left_out"]]
    assert all(one["own"] is None for one in alone["coefficients"] if not one["left_out"])
