"""Cox's partial likelihood against statsmodels and published figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from statsmodels.duration.hazard_regression import PHReg

from sites.learners.survival.partial_likelihood import Ends, Ties, partial_likelihood
from tests.sites.learners.survival.ended_records import lung

each_tie = pytest.mark.parametrize("ties", ["efron", "breslow"])


@each_tie
@given(seed=st.integers(0, 10**6), n=st.integers(1, 40), tied=st.booleans())
def test_likelihood_and_derivatives_are_those_of_statsmodels(
    ties: Ties, seed: int, n: int, tied: bool
) -> None:
    rng = np.random.default_rng(seed)
    x, at = rng.normal(size=(n, 2)), rng.normal(size=2)
    times = rng.integers(1, 5, n).astype(float) if tied else rng.random(n) + 0.1
    events = rng.random(n) < 0.7
    found = partial_likelihood(x, Ends(times, events), at, ties)
    if not events.any():
        assert (found.log_likelihood, found.score.tolist()) == (0.0, [0.0, 0.0])
        return
    oracle = PHReg(times, x, status=events.astype(int), ties=ties)
    assert_allclose(found.log_likelihood, oracle.loglike(at), atol=1e-9)
    assert_allclose(found.score, oracle.score(at), atol=1e-9)
    assert_allclose(found.information, -oracle.hessian(at), atol=1e-9)


def test_the_published_coefficients_of_the_lung_trial_come_out() -> None:
    """R's survival: coxph(Surv(time, status) ~ age + sex + ph.ecog, lung), 227 patients."""
    table = lung(everybody=True)[0].training
    x = np.stack([table.columns[name] for name in ("age", "sex", "ecog")], axis=1)
    known = ~np.isnan(x).any(axis=1)
    x, ends = (
        x[known] - np.nanmean(x, axis=0),
        Ends(table.labels[known, 1], table.labels[known, 0] == 1),
    )
    at = np.zeros(3)
    for _ in range(6):
        found = partial_likelihood(x, ends, at, "efron")
        at = at + np.linalg.solve(found.information, found.score)
    assert len(x) == 227
    assert_allclose(at, [0.011067, -0.552612, 0.463728], atol=5e-7)


@each_tie
def test_the_likelihood_stays_finite_where_a_coefficient_runs_off(ties: Ties) -> None:
    x = np.array([[0.0], [1.0], [1.0], [0.0]])
    ends = Ends(np.array([4.0, 1.0, 1.0, 3.0]), np.array([True, True, True, False]))
    for at in (1e3, -1e3, 1e6):
        found = partial_likelihood(x, ends, np.array([at]), ties)
        assert np.isfinite(found.log_likelihood)
        assert np.isfinite(found.score).all()
        assert np.isfinite(found.information).all()
