import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.contribution import LARGEST_ENTRY
from sites.learners.plans import GlmPlan
from sites.learners.regression.site_sums import TooFewLeftOut
from sites.schema.tables import ClassLabel, NumberLabel
from sites.tasks.tabular.data import Table
from tests.sites.learners.regression.generated import (
    AMOUNT,
    CLASSES,
    COUNTS,
    parts_of,
    schema_of,
    table_with,
)
from tests.sites.learners.regression.oracle import counts_of, fitted

FAMILIES = {"ill": "logistic", "visits": "poisson", "cost": "linear"}
LABELS = st.sampled_from([CLASSES, COUNTS, AMOUNT])
OF_A_SITE = ("sites", "heterogeneity", "rank")


def plan_of(label: ClassLabel | NumberLabel, **chosen: str | float) -> GlmPlan:
    return GlmPlan(family=FAMILIES[label.column], **chosen)  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(0, 1_000), st.integers(0, 40), st.integers(1, 5), st.booleans())
def test_the_sums_of_any_split_are_those_of_all(
    label: ClassLabel | NumberLabel, seed: int, n: int, sites: int, later: bool
) -> None:
    """With one intercept; empty sites, sites of one record and of one class among them."""
    plan, rng = plan_of(label, missing_values="indicator"), np.random.default_rng(seed)
    table = table_with(label, n, seed=seed, missing=0.3)
    parts = parts_of(table, rng.integers(0, sites, n))
    before = fitted(schema_of(label), plan, [table], exchanges=int(later))
    layout = before.learner.regression.tally
    split = sum(
        (counts_of(before.learner, before.statistics, before.vector, part) for part in parts),
        np.zeros(layout.size, np.int64),
    )
    whole = counts_of(before.learner, before.statistics, before.vector, table)
    for name in set(layout.sizes) - {*OF_A_SITE}:
        assert layout.part(name, split).tolist() == layout.part(name, whole).tolist(), name


@settings(max_examples=30, deadline=None)
@given(LABELS, st.integers(0, 1_000), st.integers(0, 30), st.sampled_from(["common", "fixed"]))
def test_no_entry_overflows_from_any_state_a_coordinator_may_plant(
    label: ClassLabel | NumberLabel, seed: int, n: int, effects: str
) -> None:
    plan = plan_of(label, missing_values="indicator", site_effects=effects)
    table = table_with(label, n, seed=seed, missing=0.3)
    fit = fitted(schema_of(label), plan, [table], exchanges=0)
    wild = np.random.default_rng(seed).choice([0, 1e-30, -1.0, 50.0, -3e38, 3e38], fit.vector.size)
    k = fit.learner.regression.design.size
    wild.reshape(2, -1)[:, 2 * k : 3 * k] = (
        0  # what is the matter with an input: a code, or refused
    )
    counted = counts_of(fit.learner, fit.statistics, wild, table)
    assert np.abs(counted).max() < LARGEST_ENTRY


@pytest.mark.parametrize("label", [CLASSES, COUNTS])
def test_a_site_with_one_outcome_adds_its_counts_alone_where_each_has_its_own_intercept(
    label: ClassLabel | NumberLabel,
) -> None:
    """It says nothing of any coefficient."""
    table = table_with(label, 50, seed=1)
    fit = fitted(schema_of(label), plan_of(label, site_effects="fixed"), [table], exchanges=0)
    alike = table.select(table.labels == 0)
    counted = counts_of(fit.learner, fit.statistics, fit.vector, alike)
    layout = fit.learner.regression.tally
    added = {name for name in layout.sizes if layout.part(name, counted).any()}
    assert added == {"records", "columns"}


@settings(max_examples=20, deadline=None)
@given(LABELS, st.integers(0, 1_000), st.integers(0, 20))
def test_counts_do_not_depend_on_whose_the_intercept_is(
    label: ClassLabel | NumberLabel, seed: int, n: int
) -> None:
    """Or two runs' sums would differ by those of the one site whose records are all alike."""
    table = table_with(label, n, seed=seed)
    counted = {}
    for effects in ("common", "fixed"):
        plan = plan_of(label, site_effects=effects)
        fit = fitted(schema_of(label), plan, [table], exchanges=0)
        tally = counts_of(fit.learner, fit.statistics, fit.vector, table)
        regression = fit.learner.regression
        parts = {
            name: regression.tally.part(name, tally)
            for name in ("records", "left_out", "labels", "columns", "column_labels")
        }
        slopes = slice(int(effects == "common"), None)
        for name in ("columns", "column_labels"):
            parts[name] = parts[name].reshape(2, -1)[:, slopes]
        counted[effects] = {name: part.tolist() for name, part in parts.items()}
    assert counted["common"] == counted["fixed"]


@pytest.mark.parametrize("label", [CLASSES, COUNTS, AMOUNT])
def test_what_remains_of_a_site_is_the_same_whatever_its_own_level(
    label: ClassLabel | NumberLabel,
) -> None:
    """Its intercept is gone: the score is of zero mean, the information that of Schur."""
    table = table_with(label, 200, seed=2)
    schema = schema_of(label)
    own = fitted(schema, plan_of(label, site_effects="fixed"), [table])
    common = fitted(schema, plan_of(label), [table])
    one, other = own.results["coefficients"], common.results["coefficients"]
    for left, right in zip(one, other, strict=True):
        assert left["own"]["coefficient"] == pytest.approx(right["own"]["coefficient"], rel=1e-6)
        assert left["own"]["error"] == pytest.approx(right["own"]["error"], rel=1e-6)


def incomplete(missing: int, n: int, *, persons: int | None = None) -> Table:
    """Return records of which so many lack a value."""
    table = table_with(CLASSES, n, seed=3)
    table.columns["income"][:missing] = np.nan
    if persons is not None:
        table.persons[:missing] = [f"p{row % persons}" for row in range(missing)]
    return table


@pytest.mark.parametrize(
    ("missing", "n", "persons"),
    [(1, 100, None), (9, 100, None), (91, 100, None), (40, 100, 9)],
)
def test_a_site_refuses_to_show_few_persons_by_a_difference(
    missing: int, n: int, persons: int | None
) -> None:
    """Of those left out, or of those counted: persons, of whom each may have many records."""
    table = incomplete(missing, n, persons=persons)
    schema = schema_of(CLASSES)
    with pytest.raises(TooFewLeftOut, match="set missing-values to indicator"):
        fitted(schema, GlmPlan(), [table])
    fitted(schema, GlmPlan(missing_values="indicator"), [table], exchanges=1)


@pytest.mark.parametrize(("missing", "n"), [(0, 3), (10, 100), (90, 100), (100, 100), (5, 5)])
def test_a_site_leaves_out_nobody_or_a_crowd(missing: int, n: int) -> None:
    """Whoever has no complete case at all adds nothing."""
    told = not 0 < missing < 10
    fit = fitted(schema_of(CLASSES), GlmPlan(), [table_with(CLASSES, 200)], exchanges=0)
    table = incomplete(missing, n)
    if not told:
        with pytest.raises(TooFewLeftOut):
            counts_of(fit.learner, fit.statistics, fit.vector, table)
        return
    counted = counts_of(fit.learner, fit.statistics, fit.vector, table)
    layout = fit.learner.regression.tally
    assert layout.count("records", counted) == n - missing
    assert layout.count("left_out", counted) == missing
