import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score, roc_auc_score, root_mean_squared_error

from scenarios.experiments.bootstrap import (
    Resampled,
    Resamples,
    UnknownMetric,
    resampled_metric,
)
from sites.evaluation.concordance import concordant_pairs

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, n=st.integers(4, 60), levels=st.integers(1, 12))
def test_a_resampled_auc_is_that_of_the_repeated_records(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, n) / levels  # with ties
    labels = (rng.random(n) < 0.5).astype(float)
    labels[:2] = 0.0, 1.0
    counts = rng.integers(0, 4, n).astype(float)
    counts[:2] = 1.0, 1.0
    repeated = np.repeat(np.arange(n), counts.astype(int))
    expected = roc_auc_score(labels[repeated], scores[repeated])
    assert resampled_metric("roc_auc", scores, labels)(counts) == pytest.approx(expected)


@given(seed=SEEDS, n=st.integers(3, 60))
def test_a_resampled_macro_f1_is_that_of_the_repeated_records(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((n, 3)), rng.integers(0, 3, n).astype(float)
    counts = rng.integers(0, 4, n).astype(float)
    counts[0] = 1.0
    repeated = np.repeat(np.arange(n), counts.astype(int))
    expected = f1_score(
        labels[repeated],
        scores.argmax(axis=1)[repeated],
        labels=np.unique(labels[repeated]),
        average="macro",
        zero_division=0,
    )
    assert resampled_metric("macro_f1", scores, labels)(counts) == pytest.approx(expected)


@given(seed=SEEDS, n=st.integers(1, 60))
def test_a_resampled_rmse_is_that_of_the_repeated_records(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = rng.normal(size=n), rng.normal(size=n)
    counts = rng.integers(0, 4, n).astype(float)
    counts[0] = 1.0
    repeated = np.repeat(np.arange(n), counts.astype(int))
    expected = root_mean_squared_error(labels[repeated], values[repeated])
    assert resampled_metric("rmse", values, labels)(counts) == pytest.approx(expected)


def test_a_model_differs_from_its_reverse_and_not_from_itself() -> None:
    rng = np.random.default_rng(7)
    labels = (rng.random(400) < 0.4).astype(float)
    scores = labels + rng.normal(size=400)
    good, bad = (resampled_metric("roc_auc", sign * scores, labels) for sign in (1, -1))
    resamples = Resamples.draw(400, n_resamples=100, rng=rng)
    better, worse = resamples.measure(good), resamples.measure(bad)
    same = (better - better).interval
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert (better - worse).interval.low > 0.2
    found = better.interval
    assert found.low < found.value < found.high


def test_a_metric_without_a_resampled_form_is_refused() -> None:
    with pytest.raises(UnknownMetric, match="roc_auc"):
        resampled_metric("accuracy", np.zeros(1), np.zeros(1))


@given(st.integers(0, 10**6))
def test_concordance_on_a_resample_is_that_of_records_written_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    risks, counts = rng.integers(0, 5, 12) / 5, rng.integers(0, 4, 12)
    labels = np.stack([rng.integers(0, 2, 12), rng.integers(0, 6, 12)], axis=1).astype(float)
    rows = np.repeat(np.arange(12), counts)
    written = concordant_pairs(labels[rows, 1], labels[rows, 0] == 1, risks[rows])
    found = resampled_metric("concordance", risks, labels)(counts.astype(np.float64))
    if written.total:
        assert found == pytest.approx(written.auc.value)
    else:
        assert np.isnan(found)


@given(seed=SEEDS, n=st.integers(2, 120), levels=st.integers(1, 12))
def test_a_resampled_recall_at_alerts_is_that_of_the_repeated_records(
    seed: int, n: int, levels: int
) -> None:
    """By the definition: the lowest threshold that flags at most 1 % of them, ties together."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, n) / levels
    labels = (rng.random(n) < 0.3).astype(float)
    labels[0] = 1.0
    counts = rng.integers(0, 6, n).astype(float)
    counts[0] = 1.0
    repeated = np.repeat(np.arange(n), counts.astype(int))
    scored, true = scores[repeated], labels[repeated]
    flags = [scored >= threshold for threshold in [*np.unique(scored), np.inf]]
    called = next(one for one in flags if one.mean() <= 0.01)
    found = resampled_metric("recall_at_1_percent", scores, labels)(counts)
    assert found == recall_score(true, called)


def test_the_ratio_of_two_metrics_is_that_of_each_resample() -> None:
    one, other = Resampled(0.6, np.array([0.6, 0.8])), Resampled(0.2, np.array([0.1, 0.4]))
    third = Resampled(0.4, np.array([0.3, 0.4]))
    mean = Resampled.mean([other, third])
    assert mean.value == pytest.approx(0.3)
    assert mean.values.tolist() == [pytest.approx(0.2), 0.4]
    ratio = one / mean
    assert ratio.value == pytest.approx(2)
    assert ratio.values.tolist() == [pytest.approx(3), pytest.approx(2)]
    assert np.isinf((one / Resampled(0.0, np.zeros(2))).value)
