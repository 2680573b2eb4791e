"""The whole learner against statsmodels on pooled records, and what it refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from statsmodels.duration.hazard_regression import PHReg

from sites.learners.plans import CoxPlan, LearnerPlan, LearnerPlans
from sites.learners.registry import learner_for
from sites.learners.survival.cox import Cox
from sites.plans import BadPlan
from sites.schema.tables import ClassLabel
from sites.tasks.tabular.data import TableData
from tests.sites.learners.survival.ended_records import (
    LUNG,
    SCHEMA,
    divided,
    fitted,
    lung,
    made_up,
)


def oracle(sites: list[TableData], ties: str, *, stratified: bool) -> PHReg:
    """Return the model of pooled records, with covariates in their own units."""
    rows = [
        np.column_stack([np.full(len(one.training), place), one.training.labels, *_own_units(one)])
        for place, one in enumerate(sites)
    ]
    pooled = np.concatenate(rows)
    pooled = pooled[~np.isnan(pooled).any(axis=1)]
    site, status, times, x = pooled[:, 0], pooled[:, 1], pooled[:, 2], pooled[:, 3:]
    strata = site if stratified else None
    return PHReg(times, x, status=status.astype(int), strata=strata, ties=ties)


def _own_units(one: TableData) -> list[np.ndarray]:
    columns = one.training.columns
    if "sex" in columns:
        return [columns["age"], columns["sex"].astype(float), columns["ecog"]]
    arm = np.where(columns["arm"] < 0, np.nan, columns["arm"])
    marker = columns["marker"]
    return [
        columns["age"],
        np.where(np.isnan(arm), np.nan, arm == 1),
        np.where(np.isnan(arm), np.nan, arm == 2),
        np.sign(marker) * np.log1p(np.abs(marker)),
    ]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), tied=st.booleans())
def test_the_model_is_that_of_pooled_records_stratified_by_site(
    ties: str, seed: int, tied: bool
) -> None:
    """To 1e-6, without a grid of times."""
    sites = [made_up(seed + place, n, tied=tied) for place, n in enumerate((70, 25, 60, 3))]
    run = fitted(SCHEMA, sites, CoxPlan(ties=ties))  # type: ignore[arg-type]
    pooled = oracle(sites, ties, stratified=True)
    found = run.of_coefficients("coefficient")
    assert_allclose(pooled.score(found), 0, atol=1e-5)
    fit = pooled.fit(disp=0)
    assert_allclose(found, fit.params, rtol=1e-6, atol=1e-7)
    assert_allclose(run.of_coefficients("standard_error"), fit.bse, rtol=1e-6)
    assert_allclose(run.results["log_likelihood"], fit.llf, rtol=1e-9)
    assert run.of_coefficients("settled").all()


def test_a_column_that_says_only_which_site_it_is_has_no_coefficient() -> None:
    """Records are compared within sites, where it is the same for all: nothing is left to tell."""
    sites = [made_up(1, 70, missing=False), made_up(2, 60, missing=False)]
    for place, one in enumerate(sites):
        one.training.columns["age"][:] = (37.3, 61.9)[place]
    run = fitted(SCHEMA, sites)
    age, *others = run.results["coefficients"]
    assert age["left_out"]
    assert all(one["settled"] for one in others)
    assert run.results["likelihood_ratio"]["degrees"] == len(others)
    assert run.learner._form.read(run.states[-1])["next"][0] == 0  # it predicts


def test_eighteen_institutions_of_the_lung_trial_give_the_stratified_model() -> None:
    data, institutions = lung()
    run = fitted(LUNG, divided(data, institutions), CoxPlan(group="sex"))
    fit = oracle(divided(data, institutions), "efron", stratified=True).fit(disp=0)
    assert_allclose(run.of_coefficients("coefficient"), fit.params, rtol=1e-9)
    assert_allclose(run.of_coefficients("standard_error"), fit.bse, rtol=1e-9)
    assert run.results["records"] == {"used": 226, "left_out": 0, "events": 163}


@pytest.mark.parametrize(("floor", "ratio", "errors"), [(10, 0.02, 0.2), (1, 0.01, 0.1)])
def test_one_baseline_on_declared_times_is_near_the_model_without_a_grid(
    floor: int, ratio: float, errors: float
) -> None:
    """Steps of 30 days, merged to the floor: hazard ratios near those of pooled records."""
    data, institutions = lung()
    run = fitted(LUNG, divided(data, institutions), CoxPlan(baseline="pooled", floor=floor))
    fit = oracle([data], "efron", stratified=False).fit(disp=0)
    gap = run.of_coefficients("coefficient") - fit.params
    assert np.abs(np.expm1(gap)).max() < ratio
    assert np.abs(gap / fit.bse).max() < errors
    assert min(run.results["hazard"]["events"]) >= floor


def test_what_others_do_is_off_where_sites_are_small() -> None:
    """A meta-analysis of each institution's own model: six have none, and the rest disagree."""
    data, institutions = lung()
    run = fitted(LUNG, divided(data, institutions))
    assert (run.results["sites"], run.results["sites_with_own_fit"]) == (18, 12)
    together = run.of_coefficients("coefficient")
    meta = np.array([one["own"]["coefficient"] for one in run.results["coefficients"]])
    gap = np.abs(meta / together - 1)
    assert gap[1] > 0.2  # sex
    assert gap[0] > 1  # age


@pytest.mark.parametrize(
    ("plans", "said"),
    [
        (
            LearnerPlans(cox=CoxPlan(group="age")),
            r"cox.group must be a category .*\(arm\), got age",
        ),
        (LearnerPlans(cox=CoxPlan(group="nothing")), "got nothing"),
    ],
)
def test_a_group_that_is_no_category_is_refused(plans: LearnerPlans, said: str) -> None:
    with pytest.raises(BadPlan, match=said):
        Cox(SCHEMA, plans)


def test_a_label_without_a_time_and_a_learner_of_models_are_refused() -> None:
    classes = SCHEMA.model_copy(update={"label": ClassLabel(column="ill", classes=("no", "yes"))})
    with pytest.raises(BadPlan, match="kind event-time; ill is none"):
        Cox(classes, LearnerPlans())
    others = {
        "gradient": "auto or cox, got gradient: days",
        "glm": "days is a time until an event: set learner to cox",
        "trees": "two classes or is a number",
    }
    for name, said in others.items():
        plans = LearnerPlans(chosen=LearnerPlan(name=name))  # type: ignore[arg-type]
        with pytest.raises(BadPlan, match=said):
            learner_for("survival", SCHEMA, plans)
    assert learner_for("survival", SCHEMA, LearnerPlans()).name == "cox"
    assert "learner=describe" in learner_for("survival", SCHEMA, LearnerPlans()).noisy_instead
