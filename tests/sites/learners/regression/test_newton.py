from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.learners.plans import GlmPlan
from sites.learners.regression.state import ALIASED, EMPTY, FITTED, SEPARATED, State, read_state
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.tasks.tabular.data import Table
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    parts_of,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import Fit, counts_of, fitted
from tests.sites.learners.regression.test_site_sums import LABELS, plan_of

THIRDS = np.arange(300) % 3


def state_of(fit: Fit) -> State:
    return read_state(fit.vector, fit.learner.regression.design.size)


@settings(max_examples=20, deadline=None)
@given(LABELS, st.integers(0, 1_000), st.integers(0, 60), st.integers(1, 5))
def test_a_run_over_any_split_ends_at_the_pooled_estimate_to_the_bit(
    label: ClassLabel | NumberLabel, seed: int, n: int, sites: int
) -> None:
    """Empty sites, sites of one record and of one class among them."""
    table = table_with(label, n, seed=seed, missing=0.2)
    plan = plan_of(label, missing_values="indicator")
    parts = parts_of(table, np.random.default_rng(seed).integers(0, sites, n))
    parts.append(table.select(np.zeros(n, np.bool_)))
    one, other = fitted(schema_of(label), plan, [table]), fitted(schema_of(label), plan, parts)
    left, right = state_of(one), state_of(other)
    for name in ("trial", "accepted", "ills", "inflation", "columns", "information"):
        assert getattr(left, name).tobytes() == getattr(right, name).tobytes(), name
    assert left.figures.deviance == right.figures.deviance


@settings(max_examples=20, deadline=None)
@given(LABELS, st.integers(0, 1_000), st.integers(30, 80), st.sampled_from(["common", "fixed"]))
def test_a_penalised_deviance_never_rises(
    label: ClassLabel | NumberLabel, seed: int, n: int, effects: str
) -> None:
    table, schema = table_with(label, n, seed=seed), schema_of(label)
    plan = plan_of(label, site_effects=effects)
    parts = parts_of(table, np.arange(n) % 2)
    before = np.inf
    for exchanges in range(1, 7):
        now = state_of(fitted(schema, plan, parts, exchanges=exchanges)).figures.deviance
        assert now <= before * (1 + 1e-9) + 1e-9
        before = now


@pytest.mark.parametrize("label", [CLASSES, COUNTS, AMOUNT])
def test_a_state_that_has_converged_stays(label: ClassLabel | NumberLabel) -> None:
    table, schema, plan = table_with(label, 300), schema_of(label), plan_of(label)
    seven, eight = (fitted(schema, plan, [table], exchanges=number) for number in (7, 8))
    assert state_of(seven).figures.converged == 1
    assert seven.vector.tobytes() == eight.vector.tobytes()


def test_an_estimate_mixes_no_two_sets_of_records() -> None:
    """A site that stays away from a later round begins the estimation anew."""
    schema, plan, parts = schema_of(CLASSES), GlmPlan(), parts_of(table_with(CLASSES, 300), THIRDS)
    fit = fitted(schema, plan, parts, exchanges=2)
    learner, statistics = fit.learner, fit.statistics
    vector = fit.vector
    for _ in range(7):
        sums = [counts_of(learner, statistics, vector, part) for part in parts[1:]]
        vector = learner.move(vector, statistics, sums[0] + sums[1])
    alone = np.zeros(len(vector))
    for _ in range(6):
        sums = [counts_of(learner, statistics, alone, part) for part in parts[1:]]
        alone = learner.move(alone, statistics, sums[0] + sums[1])
    assert learner.results(vector, statistics)["status"] == "fitted"
    assert vector.tobytes() == alone.tobytes()


def test_a_step_that_goes_too_far_is_halved() -> None:
    """One enormous count: the first step from the mean overshoots."""
    schema = Schema(
        name="bursts",
        person="person",
        features=(Number(name="dose", low=0, high=1),),
        label=NumberLabel(column="bursts", low=0, high=10_000),
    )
    dose = np.concatenate([np.zeros(200), np.ones(1)])
    table = Table(
        columns={"dose": dose},
        labels=np.where(dose > 0, 9_000.0, 1.0),
        persons=np.array([f"p{row}" for row in range(201)], dtype=str),
    )
    plan = GlmPlan(family="poisson")
    states = [state_of(fitted(schema, plan, [table], exchanges=number)) for number in range(1, 16)]
    halvings = [
        one
        for one, other in pairwise(states)
        if one.accepted.tolist() == other.accepted.tolist() and not one.figures.converged
    ]
    assert halvings
    assert states[-1].figures.converged == 1


def doubled(table: Table) -> tuple[Schema, Table]:
    """Return records with one column twice, and one that is the same for all."""
    features = (
        *schema_of(CLASSES).features,
        Number(name="years", low=-50, high=200),
        Number(name="planet", low=0, high=10),
    )
    schema = schema_of(CLASSES).model_copy(update={"features": features})
    columns = {**table.columns, "years": table.columns["age"], "planet": np.full(len(table), 3.0)}
    return schema, Table(columns=columns, labels=table.labels, persons=table.persons)


@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_columns_that_say_what_others_say_are_left_out_by_name(effects: str) -> None:
    schema, table = doubled(table_with(CLASSES, 400))
    fit = fitted(schema, plan_of(CLASSES, site_effects=effects), [table])
    told = {one["name"]: one for one in fit.results["coefficients"]}
    assert {name for name, one in told.items() if one["state"] == "aliased"} == {"years", "planet"}
    assert told["years"]["own"] is None
    without = fitted(
        schema_of(CLASSES), plan_of(CLASSES, site_effects=effects), [table_with(CLASSES, 400)]
    )
    alone = {one["name"]: one for one in without.results["coefficients"]}
    assert told["age"]["own"]["coefficient"] == pytest.approx(alone["age"]["own"]["coefficient"])


def test_a_value_that_nobody_has_is_left_out_by_name() -> None:
    table = table_with(CLASSES, 400)
    table.columns["ward"][table.columns["ward"] == 2] = 0
    fit = fitted(schema_of(CLASSES), GlmPlan(), [table])
    ills = dict(
        zip(
            [one.name for one in fit.learner.regression.design.inputs],
            state_of(fit).ills,
            strict=True,
        )
    )
    assert ills["ward=c"] == EMPTY
    assert ills["ward=b"] == FITTED
    assert ALIASED not in ills.values()


@pytest.mark.parametrize("outcome", [0, 1])
@pytest.mark.parametrize("effects", ["common", "fixed"])
def test_a_value_that_separates_leaves_the_others_what_they_are_without_its_records(
    outcome: int, effects: str
) -> None:
    table = table_with(CLASSES, 600, seed=4)
    chosen = table.columns["ward"] == 2
    table.labels[chosen] = outcome
    plan = plan_of(CLASSES, site_effects=effects)
    fit = fitted(schema_of(CLASSES), plan, [table], exchanges=9)
    results = fit.results
    assert results["status"] == "fitted"
    assert results["separating"] == ["ward=c"]
    told = {one["name"]: one for one in results["coefficients"]}
    assert told["ward=c"]["own"] is None
    assert state_of(fit).ills.tolist().count(SEPARATED) == 1
    without = fitted(schema_of(CLASSES), plan, [table.select(~chosen)]).results
    for one in without["coefficients"]:
        if one["own"] is not None:
            there = told[one["name"]]["own"]
            assert there["coefficient"] == pytest.approx(one["own"]["coefficient"], rel=1e-6)
            assert there["error"] == pytest.approx(one["own"]["error"], rel=1e-6)


@pytest.mark.parametrize("exchanges", [8, 15, 45])
@pytest.mark.parametrize("by", ["reference", "number"])
def test_other_separation_is_named_and_no_number_is_told(by: str, exchanges: int) -> None:
    table = table_with(CLASSES, 400, seed=5)
    if by == "reference":
        table.labels[table.columns["ward"] == 0] = 0
    else:
        table.labels[:] = table.columns["age"] > 55
    results = fitted(schema_of(CLASSES), GlmPlan(), [table], exchanges=exchanges).results
    assert results["status"] == "separated"
    assert ("ward=a" if by == "reference" else "age") in results["separating"]
    assert all(one["own"] is None for one in results["coefficients"])
    assert results["intercept"] is None


def test_a_ridge_tames_separation() -> None:
    table = table_with(CLASSES, 400, seed=5)
    table.labels[:] = table.columns["age"] > 55
    results = fitted(schema_of(CLASSES), GlmPlan(ridge=0.01), [table]).results
    assert results["status"] == "fitted"
    assert results["separating"] == []
    told = results["coefficients"][0]["own"]
    assert told["coefficient"] > 0
    assert told["p"] is None
