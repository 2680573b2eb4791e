import numpy as np
import pytest
from numpy.testing import assert_allclose

from sites.learners.plans import CoxPlan
from sites.learners.survival.baseline import cumulative_hazard, curve_of_all, hazard_by_step
from tests.sites.learners.survival.ended_records import SCHEMA, fitted, made_up


def test_the_hazard_of_a_step_is_its_events_over_the_weighted_time_under_observation() -> None:
    data = [made_up(seed, 80) for seed in (1, 2)]
    run = fitted(SCHEMA, data, CoxPlan(baseline="pooled"))
    form, state = run.task.form, run.task.form.read(run.states[-1])
    constants = form.constants(run.statistics)
    ends, events, hazards = hazard_by_step(
        form, state, form.design.largest_predictor(state["at"], constants)
    )
    assert min(events) >= 10
    for k, end in enumerate(ends):
        start, died, watched = (ends[k - 1] if k else 0.0), 0, 0.0
        for one in data:
            table = one.training
            used = form.design.complete(table.columns)
            weights = np.exp(form.design.matrix(table.columns, constants)[used] @ state["at"])
            status, times = table.labels[used].T
            died += int(((status == 1) & (times > start) & (times <= end)).sum())
            watched += (np.clip(times - start, 0, end - start) * weights).sum()
        assert events[k] == died
        assert_allclose(hazards[k], died / watched, rtol=1e-9)
    top = form.design.largest_predictor(state["at"], constants)
    until = np.diff(np.clip(np.concatenate([[0.0], ends]), 0, form.label.judged_at))
    assert_allclose(cumulative_hazard(form, state, top), (hazards * until).sum())


def test_before_there_is_a_hazard_the_risk_is_that_of_all() -> None:
    run = fitted(SCHEMA, [made_up(3, 50)], exchanges=1)
    form, state = run.task.form, run.task.form.read(run.states[-1])
    survival = curve_of_all(form, state).survival[list(form.label.grid).index(5.0)]
    assert np.exp(-cumulative_hazard(form, state, 0.0)) == pytest.approx(survival)
