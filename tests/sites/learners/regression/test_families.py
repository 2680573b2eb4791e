import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sites.learners.regression.families import (
    LARGEST_INTERCEPT,
    Family,
    Logistic,
    Normal,
    Poisson,
    TrueSums,
)
from sites.schema.tables import NumberLabel
from sites.statistics.normalisation import Standard

AMOUNT = NumberLabel(column="cost", low=-5, high=15, unit="EUR")
FAMILIES = (Logistic(0.2), Poisson(50.0, 3.0), Normal(AMOUNT, Standard(0.3, 0.2)))
PREDICTORS = arrays(np.float64, 12, elements=st.floats(-3, 3))


def labels_of(family: Family, seed: int, n: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = {
        "Logistic": rng.integers(0, 2, n),
        "Poisson": rng.poisson(3, n).astype(float),
        "Normal": rng.uniform(-5, 15, n),
    }[type(family).__name__]
    return family.labels(drawn)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: type(one).__name__)
@given(st.integers(0, 1_000), PREDICTORS)
def test_residual_and_weight_are_the_derivatives_of_the_deviance(
    family: Family, seed: int, predictors: np.ndarray
) -> None:
    labels, step, bounds = labels_of(family, seed), 1e-4, family.bounds
    below, at, above = (family.moments(labels, predictors + by) for by in (-step, 0, step))
    slope = (above.deviances - below.deviances) / (2 * step) * bounds.deviance
    curve = (above.residuals - below.residuals) / (2 * step) * bounds.residual
    np.testing.assert_allclose(slope, -2 * at.residuals * bounds.residual, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(curve, -at.weights * bounds.weight, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at", [-1e300, -100.0, 0.0, 100.0, 1e300])
@pytest.mark.parametrize(
    ("family", "labels"),
    [
        (Logistic(2.0**25), [0.0, 1.0]),
        (Logistic(2.0**-25), [0.0, 1.0]),
        (Poisson(1e12, 1e12 * 2**-33), [0.0, 1e12]),
        (Poisson(1.0, 1.0), [0.0, 1.0]),
    ],
)
def test_what_a_record_says_is_bounded_at_the_extremes(
    family: Family, labels: list[float], at: float
) -> None:
    found = family.moments(np.array(labels), np.full(2, at))
    for shares in (found.residuals, found.weights, found.deviances):
        assert np.isfinite(shares).all()
        assert (np.abs(shares) <= 1).all()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: type(one).__name__)
@given(st.integers(0, 1_000), PREDICTORS)
def test_a_site_has_its_own_intercept_where_residuals_add_up_to_nothing(
    family: Family, seed: int, predictors: np.ndarray
) -> None:
    labels = labels_of(family, seed)
    found = family.own_intercept(labels, predictors)
    if found is None:
        everybody = np.array([12.0]), np.array([labels.sum()])
        assert family.say_one_thing(*everybody).all()
        return
    assert abs(found) < LARGEST_INTERCEPT
    assert family.moments(labels, predictors + found).residuals.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("labels", [[], [0.0, 0.0], [1.0]])
def test_a_site_with_one_outcome_has_no_intercept(labels: list[float]) -> None:
    assert Logistic().own_intercept(np.array(labels), np.zeros(len(labels))) is None


def test_a_site_without_events_or_records_has_no_intercept() -> None:
    assert Poisson(9.0, 1.0).own_intercept(np.zeros(3), np.zeros(3)) is None
    assert FAMILIES[2].own_intercept(np.zeros(0), np.zeros(0)) is None


def test_groups_of_one_outcome_are_named() -> None:
    records, labels = np.array([4.0, 4.0, 4.0]), np.array([0.0, 4.0, 2.0])
    assert Logistic().say_one_thing(records, labels).tolist() == [True, True, False]
    assert Poisson(9.0, 1.0).say_one_thing(records, labels).tolist() == [True, False, False]
    assert not FAMILIES[2].say_one_thing(records, labels).any()


def test_sums_of_a_number_follow_from_those_at_zero() -> None:
    rng = np.random.default_rng(5)
    rows, labels, at = rng.uniform(-1, 1, (3, 40)), rng.uniform(-1, 1, 40), np.array([0.3, -1, 2])
    counted = TrueSums(
        deviance=float((labels**2).sum()), score=rows @ labels, information=rows @ rows.T
    )
    found, left = FAMILIES[2].sums_at(at, counted), labels - at @ rows
    assert found.deviance == pytest.approx((left**2).sum())
    assert found.score == pytest.approx(rows @ left)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: type(one).__name__)
def test_the_null_deviance_is_that_at_the_mean_of_the_labels(family: Family) -> None:
    labels = labels_of(family, 1, 50)
    zero = family.moments(labels, np.zeros(50)).deviances.sum() * family.bounds.deviance
    intercept = family.own_intercept(labels, np.zeros(50))
    assert intercept is not None
    wanted = family.moments(labels, np.full(50, intercept)).deviances.sum()
    found = family.null_deviance(float(zero), records=50, labels=float(labels.sum()))
    assert found == pytest.approx(wanted * family.bounds.deviance)
    assert Poisson(9.0, 1.0).null_deviance(6.0, records=3, labels=0.0) == 0


def test_means_are_in_the_unit_of_the_label() -> None:
    assert Logistic(0.25).means(np.zeros(1)) == pytest.approx(0.2)
    assert Poisson(50.0, 3.0).means(np.log([1.0, 2.0])) == pytest.approx([3.0, 6.0])
    number = FAMILIES[2]
    came = np.array([-5.0, 1.0, 15.0])
    assert number.means(number.labels(came)) == pytest.approx(came)
    assert number.scale.offset == pytest.approx(-5 + 0.3 * 20)
    assert Logistic(0.25).scale.offset == pytest.approx(np.log(0.25))
    assert Poisson(50.0, 3.0).scale.offset == pytest.approx(np.log(3))
