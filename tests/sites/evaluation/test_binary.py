import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.decisions import Confusion
from sites.evaluation.score_bins import BINS
from sites.schema.tables import ClassLabel
from sites.statistics.tally import UNIT, ImpossibleTally, Metric
from tests.sites.scored_records import Records, binary

EVALUATION = BinaryEvaluation(ClassLabel(column="default", classes=("paid", "default")))
LAST_PLACES = 1e-12
EXACT = ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1")


def metrics_of(records: Records) -> dict[str, Metric]:
    return EVALUATION.metrics(EVALUATION.tally(records.predictions, records.labels))


def at_alerts(records: Records, share: float) -> tuple[float, float]:
    """Recall and precision where at most a share is flagged, threshold by threshold."""
    labels, scores = records.labels, records.predictions
    flags = [scores >= threshold for threshold in [*np.unique(scores), np.inf]]
    called = next(one for one in flags if one.mean() <= share)  # thresholds rise
    return (
        sklearn.recall_score(labels, called),
        sklearn.precision_score(labels, called, zero_division=np.nan),
    )


def by_sklearn(records: Records) -> dict[str, float]:
    labels, scores = records.labels, records.predictions
    called = (scores >= 0.5).astype(int)
    one, tenth = (at_alerts(records, share) for share in (0.01, 0.001))
    return {
        "recall_at_1_percent": one[0],
        "precision_at_1_percent": one[1],
        "recall_at_0_1_percent": tenth[0],
        "precision_at_0_1_percent": tenth[1],
        "roc_auc": sklearn.roc_auc_score(labels, scores),
        "pr_auc": sklearn.average_precision_score(labels, scores),
        "gini": 2 * sklearn.roc_auc_score(labels, scores) - 1,
        "brier": sklearn.brier_score_loss(labels, scores),
        "log_loss": -np.log(np.maximum(np.where(labels == 1, scores, 1 - scores), 1e-7)).mean(),
        "accuracy": sklearn.accuracy_score(labels, called),
        "balanced_accuracy": sklearn.balanced_accuracy_score(labels, called),
        "precision": sklearn.precision_score(labels, called, zero_division=np.nan),
        "recall": sklearn.recall_score(labels, called),
        "specificity": sklearn.recall_score(labels, called, pos_label=0),
        "f1": sklearn.f1_score(labels, called),
    }


@given(binary(both=True))
@settings(max_examples=50)  # scikit-learn takes its time
def test_metrics_agree_with_scikit_learn_within_their_error_bounds(
    records: Records,
) -> None:
    found, exact = metrics_of(records), by_sklearn(records)

    defined = {name for name in exact if not np.isnan(exact[name])}
    # Scores that were not binned may flag a few where no edge of a bin does.
    assert (defined ^ set(found)) - {"ks", "ece"} <= {
        "precision_at_1_percent",
        "precision_at_0_1_percent",
    }
    assert set(found) - {"ks", "ece"} <= defined
    for name in set(found) & set(exact):
        assert abs(found[name].value - exact[name]) <= found[name].error_bound + LAST_PLACES, name
    assert all(found[name].error_bound == 0.0 for name in EXACT if name in found)


def test_the_log_loss_equals_scikit_learns_where_no_probability_is_extreme() -> None:
    rng = np.random.default_rng(3)
    labels, scores = rng.integers(0, 2, 500), rng.uniform(1e-6, 1 - 1e-6, 500)

    found = metrics_of(Records(scores, labels))["log_loss"]

    assert found.value == pytest.approx(sklearn.log_loss(labels, scores), abs=UNIT)


def test_log_loss_is_0_if_certain_and_right_and_capped_if_certain_and_wrong() -> None:
    assert metrics_of(Records(np.array([0.0, 1.0]), np.array([0, 1])))["log_loss"].value == 0.0
    wrong = metrics_of(Records(np.array([0.0, 1.0]), np.array([1, 0])))["log_loss"]
    assert wrong.value == pytest.approx(-np.log(1e-7), abs=UNIT)


@given(binary(), st.integers(0, BINS))
def test_confusion_counts_are_exact_at_every_edge_of_a_bin(records: Records, edge: int) -> None:
    threshold = edge / BINS
    tally = EVALUATION.tally(records.predictions, records.labels)
    inside = np.minimum(records.predictions, 1 - 1e-12)  # nothing is called above 1 itself
    called, true = inside >= threshold, records.labels == 1

    assert EVALUATION.confusion(tally, threshold=threshold) == Confusion(
        threshold=threshold,
        true_positives=int((called & true).sum()),
        false_positives=int((called & ~true).sum()),
        true_negatives=int((~called & ~true).sum()),
        false_negatives=int((~called & true).sum()),
    )


@pytest.mark.parametrize(
    ("asked", "used"), [(-3.0, 0.0), (0.3, 307 / 1024), (0.5, 0.5), (1.0, 1.0), (9.0, 1.0)]
)
def test_other_thresholds_move_to_the_nearest_edge_which_is_reported(
    asked: float, used: float
) -> None:
    tally = EVALUATION.tally(np.array([0.2]), np.array([1]))

    assert EVALUATION.confusion(tally, threshold=asked).threshold == used


@pytest.mark.parametrize(("code", "name"), [(0, "paid"), (1, "default")])
def test_a_site_with_one_class_has_the_metrics_that_need_no_other(code: int, name: str) -> None:
    tally = EVALUATION.tally(np.array([0.1, 0.7]), np.array([code, code]))

    found, missing = EVALUATION.metrics(tally), EVALUATION.undefined_reasons(tally)

    assert {"brier", "log_loss", "ece", "accuracy", "precision"} <= set(found), name
    assert {"roc_auc", "pr_auc", "ks", "gini", "balanced_accuracy"} <= set(missing)
    assert missing["roc_auc"] == "needs held-out records of both classes"
    assert not set(found) & set(missing)
    assert {"roc", "precision_recall"}.isdisjoint(EVALUATION.curves(tally))


def test_pooled_sites_of_one_class_each_have_every_metric() -> None:
    healthy = EVALUATION.tally(np.array([0.1, 0.3]), np.array([0, 0]))
    ill = EVALUATION.tally(np.array([0.9]), np.array([1]))

    assert EVALUATION.metrics(healthy + ill)["roc_auc"] == Metric(1.0, 0.0)
    assert {*EVALUATION.undefined_reasons(healthy + ill)} == {
        "precision_at_1_percent",  # of three records, none is one in a hundred
        "precision_at_0_1_percent",
    }


def test_precision_is_undefined_if_nothing_is_predicted_positive() -> None:
    tally = EVALUATION.tally(np.array([0.1, 0.2]), np.array([0, 1]))

    few = "no edge of a score bin flags so few records"
    assert EVALUATION.undefined_reasons(tally) == {
        "precision": "no record scores as positive",
        "precision_at_1_percent": few,
        "precision_at_0_1_percent": few,
    }


@given(binary())
def test_the_curves_count_every_record(records: Records) -> None:
    tally = EVALUATION.tally(records.predictions, records.labels)

    curves = EVALUATION.curves(tally)

    n = len(records.labels)
    assert np.sum(curves["scores"]["counts"]) == sum(curves["calibration"]["count"]) == n
    assert np.sum(curves["confusion"]["counts"], axis=1).tolist() == list(
        EVALUATION.class_counts(tally)
    )
    for code, counts in enumerate(curves["scores"]["counts"]):
        of_class = records.predictions[records.labels == code]
        expected = np.histogram(of_class, bins=np.array(curves["scores"]["edges"]))[0]
        np.testing.assert_array_equal(counts, expected)


def test_the_confusion_matrix_has_a_row_per_true_class() -> None:
    scores, labels = np.array([0.9, 0.8, 0.1, 0.7]), np.array([1, 0, 0, 1])
    confusion = EVALUATION.curves(EVALUATION.tally(scores, labels))["confusion"]

    assert confusion == {"classes": ["paid", "default"], "counts": [[1, 1], [0, 2]]}


def test_sums_that_no_scores_can_have_are_refused() -> None:
    tally = EVALUATION.tally(np.array([0.9, 0.2]), np.array([1, 0]))

    for name in ("brier", "log_loss", "scores"):
        forged = tally.copy()
        EVALUATION.layout.part(name, forged)[0] += 2**21
        with pytest.raises(ImpossibleTally):
            EVALUATION.metrics(forged)
