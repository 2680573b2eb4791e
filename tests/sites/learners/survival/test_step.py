"""Newton steps on sums: the same for every division of records, and pure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.learners.plans import CoxPlan
from sites.learners.survival.form import LARGEST_LIKELIHOOD
from sites.statistics.tally import ImpossibleTally
from tests.sites.learners.survival.ended_records import SCHEMA, Fitted, divided, fitted, made_up

PER_SITE = ("pairs", "log_likelihood")  # of the records of one site with each other


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 4), st.booleans())
def test_with_one_baseline_any_division_of_records_moves_alike(
    seed: int, n_sites: int, tied: bool
) -> None:
    """Bit for bit, but for what is of one site's records with each other."""
    whole = made_up(seed, 60, tied=tied, missing=False)
    parts = divided(whole, np.random.default_rng(seed).integers(0, n_sites, 60))
    run = fitted(SCHEMA, [whole], CoxPlan(baseline="pooled"), exchanges=3)
    form, state = run.task.form, run.states[-1]
    moved = []
    for sites in ([whole], parts, parts[::-1]):
        total = np.sum([run.task.count(one, run.statistics, state) for one in sites], axis=0)
        numbers = form.read(run.learner.move(state, run.statistics, total))
        moved.append({name: one.tobytes() for name, one in numbers.items() if name not in PER_SITE})
    assert moved[0] == moved[1] == moved[2]


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.permutations(range(4)))
def test_the_order_of_sites_moves_nothing(seed: int, order: list[int]) -> None:
    sites = [made_up(seed + one, 12 * one) for one in range(1, 5)]
    run, turned = fitted(SCHEMA, sites), fitted(SCHEMA, [sites[one] for one in order])
    assert [one.tobytes() for one in run.states] == [one.tobytes() for one in turned.states]


def test_a_step_that_went_too_far_is_halved() -> None:
    run: Fitted = fitted(SCHEMA, [made_up(1, 80), made_up(2, 80)], exchanges=2)
    form = run.task.form
    state = form.read(run.states[-1])
    far = form.write(state | {"next": state["at"] + 40 * (state["next"] - state["at"])})
    sums = run.task.count(made_up(1, 80), run.statistics, far) + run.task.count(
        made_up(2, 80), run.statistics, far
    )
    after = form.read(run.learner.move(far, run.statistics, sums))
    np.testing.assert_allclose(
        after["next"] - state["at"], 20 * (state["next"] - state["at"]), rtol=1e-9
    )
    np.testing.assert_array_equal(after["at"], state["at"])
    np.testing.assert_array_equal(after["information"], state["information"])


@pytest.mark.parametrize("baseline", ["by-site", "pooled"])
def test_a_settled_state_stays(baseline: str) -> None:
    plan = CoxPlan(baseline=baseline)  # type: ignore[arg-type]
    run = fitted(SCHEMA, [made_up(5, 90), made_up(6, 90)], plan, exchanges=10)
    form = run.task.form
    last, before = (form.read(state) for state in (run.states[-1], run.states[-2]))
    np.testing.assert_allclose(last["next"], before["next"], atol=1e-12)
    if baseline == "by-site":
        assert last["log_likelihood"][0] * LARGEST_LIKELIHOOD < 0
        assert last["log_likelihood"][0] > last["null_log_likelihood"][0]


@pytest.mark.parametrize("name", ["group_withdrawn", "own_weight", "exposure"])
def test_sums_that_no_records_have_are_refused_in_words(name: str) -> None:
    """A site that lies would else end every member's run in an error of its report."""
    data = made_up(1, 60)
    run = fitted(SCHEMA, [data], exchanges=1)
    tally = run.task.count(data, run.statistics, run.states[0])
    run.task.form.exchange.part(name, tally)[:1] = -(2**29)
    with pytest.raises(ImpossibleTally, match="below 0"):
        run.learner.move(run.states[0], run.statistics, tally)
