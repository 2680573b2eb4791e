import numpy as np
from numpy.testing import assert_allclose
from statsmodels.duration.hazard_regression import PHReg

from sites.learners.survival.own_fit import fit_alone
from sites.learners.survival.partial_likelihood import Ends


def test_a_site_alone_has_the_coefficients_of_statsmodels() -> None:
    rng = np.random.default_rng(5)
    x, times, events = rng.normal(size=(80, 2)), rng.random(80) + 0.1, rng.random(80) < 0.7
    found = fit_alone(x, Ends(times, events), np.ones(2), "efron")
    oracle = PHReg(times, x, status=events.astype(int), ties="efron").fit(disp=0)
    assert_allclose(found.coefficients, oracle.params, rtol=1e-6)
    assert_allclose(found.weights, 1 / oracle.bse**2, rtol=1e-6)
    assert found.fitted.all()


def test_a_site_without_events_or_with_separated_ones_has_no_fit() -> None:
    x = np.array([[1.0], [1.0], [0.0], [0.0]])
    times = np.array([1.0, 2.0, 3.0, 4.0])
    for events in (np.zeros(4, bool), np.array([True, True, False, False])):
        found = fit_alone(x, Ends(times, events), np.ones(1), "efron")
        assert not found.fitted.any()
        assert not found.weights.any()
    assert not fit_alone(
        np.zeros((0, 2)), Ends(np.zeros(0), np.zeros(0, bool)), np.ones(2), "efron"
    ).fitted.any()


def test_a_column_that_does_not_vary_has_no_coefficient_and_the_others_have() -> None:
    rng = np.random.default_rng(6)
    x = np.stack([rng.normal(size=40), np.ones(40)], axis=1)
    found = fit_alone(x, Ends(rng.random(40), np.ones(40, bool)), np.ones(2), "efron")
    assert found.fitted.tolist() == [True, False]
    assert found.weights[1] == 0
