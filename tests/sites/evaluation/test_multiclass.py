from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from sklearn import metrics as sklearn

from sites.evaluation.multiclass import ClassesEvaluation
from sites.schema.tables import ClassLabel
from sites.statistics.tally import ImpossibleTally, Metric
from tests.sites.scored_records import Records, classes

NAMES = ("none", "mild", "severe", "fatal")
GRADES = ClassesEvaluation(ClassLabel(column="grade", classes=NAMES, ordered=True))
KINDS = ClassesEvaluation(ClassLabel(column="kind", classes=NAMES))
LAST_PLACES = 1e-12


def metrics_of(records: Records) -> dict[str, Metric]:
    return GRADES.metrics(GRADES.tally(records.predictions, records.labels))


def by_sklearn(records: Records) -> dict[str, float]:
    labels, shares = records.labels, records.predictions
    called, present = shares.argmax(axis=1), np.unique(labels)
    truth = np.eye(len(NAMES))[labels]
    exact = {
        "accuracy": sklearn.accuracy_score(labels, called),
        "balanced_accuracy": sklearn.recall_score(
            labels, called, labels=present, average="macro", zero_division=0
        ),
        "macro_f1": sklearn.f1_score(
            labels, called, labels=present, average="macro", zero_division=0
        ),
        "log_loss": -np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-7)).mean(),
        "brier": ((shares - truth) ** 2).sum(axis=1).mean(),
        "mean_class_distance": sklearn.mean_absolute_error(labels, called),
    }
    if len(present) > 1:
        areas = [sklearn.roc_auc_score(labels == code, shares[:, code]) for code in present]
        exact["macro_roc_auc"] = float(np.mean(areas))
    return exact


@given(classes(n_classes=len(NAMES), min_size=1))
@settings(max_examples=50)  # scikit-learn takes its time
def test_metrics_agree_with_scikit_learn_within_their_error_bounds(
    records: Records,
) -> None:
    found, exact = metrics_of(records), by_sklearn(records)

    assert set(found) - {"ece"} == set(exact)
    for name in exact:
        assert abs(found[name].value - exact[name]) <= found[name].error_bound + LAST_PLACES, name


def test_with_many_records_the_metrics_are_close_to_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, len(NAMES), 2000)
    raw = np.exp(rng.normal(size=(2000, len(NAMES))) + 2 * np.eye(len(NAMES))[labels])
    records = Records(raw / raw.sum(axis=1, keepdims=True), labels)

    found = metrics_of(records)

    exact = sklearn.roc_auc_score(labels, records.predictions, multi_class="ovr")
    assert found["macro_roc_auc"].error_bound < 0.01
    assert abs(found["macro_roc_auc"].value - exact) < 0.001
    assert found["log_loss"].value == pytest.approx(sklearn.log_loss(labels, records.predictions))


@given(classes(n_classes=len(NAMES), min_size=1))
def test_the_calibration_error_is_that_of_the_confidence(records: Records) -> None:
    confidence = records.predictions.max(axis=1)
    right = records.predictions.argmax(axis=1) == records.labels
    held = np.minimum(confidence * 16 // 1, 15)

    by_definition = sum(
        abs((confidence - right)[held == b].sum()) / len(right) for b in np.unique(held)
    )

    found = metrics_of(records)["ece"]
    assert abs(found.value - by_definition) <= found.error_bound + LAST_PLACES


@given(classes(n_classes=len(NAMES), min_size=1))
@settings(max_examples=50)  # scikit-learn takes its time
def test_the_metrics_of_each_class_agree_with_scikit_learn(records: Records) -> None:
    labels, shares = records.labels, records.predictions
    tally = GRADES.tally(shares, labels)

    found = GRADES.curves(tally)["classes"]

    exact = sklearn.precision_recall_fscore_support(
        labels, shares.argmax(axis=1), labels=range(len(NAMES)), zero_division=np.nan
    )
    assert [found[name]["support"] for name in NAMES] == list(GRADES.class_counts(tally))
    for code, name in enumerate(NAMES):
        for figure, values in zip(("precision", "recall", "f1"), exact, strict=False):
            assert found[name].get(figure, np.nan) == pytest.approx(values[code], nan_ok=True)
        if "roc_auc" in found[name]:
            area = sklearn.roc_auc_score(labels == code, shares[:, code])
            bound = found[name]["roc_auc_error_bound"] + LAST_PLACES
            assert abs(found[name]["roc_auc"] - area) <= bound
        assert ("roc_auc" in found[name]) == (0 < found[name]["support"] < len(labels))


@given(classes(n_classes=len(NAMES), min_size=1))
@settings(max_examples=50)  # scikit-learn takes its time
def test_the_averages_over_classes_are_those_of_scikit_learns_report(records: Records) -> None:
    labels, called = records.labels, records.predictions.argmax(axis=1)
    found = GRADES.curves(GRADES.tally(records.predictions, labels))["averages"]

    def report(codes: NDArray[Any]) -> dict[str, Any]:
        told: dict[str, Any] = sklearn.classification_report(
            labels, called, labels=codes, output_dict=True, zero_division=0
        )
        return told

    everything, held = report(np.arange(len(NAMES))), report(np.unique(labels))
    assert found["micro"]["support"] == len(labels)
    for figure in ("precision", "recall", "f1"):
        theirs = "f1-score" if figure == "f1" else figure
        assert found["micro"][figure] == pytest.approx(everything["accuracy"])
        assert found["weighted"][figure] == pytest.approx(everything["weighted avg"][theirs])
        # A class without a record is in no mean.
        assert found["macro"][figure] == pytest.approx(held["macro avg"][theirs])
    assert found["macro"]["f1"] == pytest.approx(metrics_of(records)["macro_f1"].value)
    assert found["macro"]["recall"] == pytest.approx(metrics_of(records)["balanced_accuracy"].value)


def test_where_every_class_occurs_the_report_is_scikit_learns_cell_by_cell() -> None:
    rng = np.random.default_rng(5)
    labels = np.r_[np.arange(len(NAMES)), rng.integers(0, len(NAMES), 300)]
    shares = rng.dirichlet(np.ones(len(NAMES)), len(labels)) + np.eye(len(NAMES))[labels] / 2
    shares /= shares.sum(axis=1, keepdims=True)
    # Of two sites, as sums of what each counted.
    parts = [GRADES.tally(shares[half], labels[half]) for half in (slice(0, 90), slice(90, None))]
    curves = GRADES.curves(parts[0] + parts[1])
    theirs = sklearn.classification_report(
        labels, shares.argmax(axis=1), target_names=NAMES, output_dict=True
    )
    ours = {
        **{name: curves["classes"][name] for name in NAMES},
        **{f"{kind} avg": curves["averages"][kind] for kind in ("macro", "weighted")},
    }
    for name, one in ours.items():
        assert {key: theirs[name][key] for key in ("precision", "recall", "support")} == {
            key: pytest.approx(one[key]) for key in ("precision", "recall", "support")
        }
        assert theirs[name]["f1-score"] == pytest.approx(one["f1"])
    assert theirs["accuracy"] == pytest.approx(curves["averages"]["micro"]["f1"])


def test_without_records_there_are_no_averages() -> None:
    assert "averages" not in GRADES.curves(np.zeros(GRADES.layout.size, np.int64))


def test_an_absent_class_is_named_and_left_out_of_means() -> None:
    """Two of four classes occur; one record is taken for an absent class."""
    shares = np.eye(4)[[0, 0, 1, 3]]
    tally = GRADES.tally(shares, np.array([0, 0, 1, 1]))

    assert set(GRADES.undefined_reasons(tally)) == {"class severe", "class fatal"}
    assert GRADES.metrics(tally)["macro_f1"].value == pytest.approx((1 + 2 / 3) / 2)
    assert GRADES.metrics(tally)["balanced_accuracy"].value == 0.75


def test_records_of_one_class_define_no_auc() -> None:
    tally = GRADES.tally(np.full((3, 4), 0.25), np.array([2, 2, 2]))

    assert (
        GRADES.undefined_reasons(tally)["macro_roc_auc"] == "needs held-out records of two classes"
    )


def test_the_class_distance_is_defined_only_for_ordered_classes() -> None:
    shares, labels = np.eye(4)[[3, 0]], np.array([0, 0])
    tally = GRADES.tally(shares, labels)

    assert GRADES.metrics(tally)["mean_class_distance"] == Metric(1.5, 0.0)
    assert "mean_class_distance" not in KINDS.metrics(tally)
    assert "ordered" in KINDS.undefined_reasons(tally)["mean_class_distance"]


def test_the_confusion_matrix_has_a_row_per_true_class() -> None:
    tally = GRADES.tally(np.eye(4)[[3, 0, 1]], np.array([0, 0, 1]))

    assert GRADES.curves(tally)["confusion"] == {
        "classes": list(NAMES),
        "counts": [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
    }


def test_the_first_of_equal_probabilities_is_the_prediction() -> None:
    tally = GRADES.tally(np.full((1, 4), 0.25), np.array([0]))

    assert GRADES.metrics(tally)["accuracy"].value == 1.0


@pytest.mark.parametrize(
    "name", ["confusion", "own", "rest", "confident", "confidence", "brier", "log_loss"]
)
def test_counts_that_contradict_each_other_are_refused(name: str) -> None:
    tally = GRADES.tally(np.eye(4)[[3, 0, 1]], np.array([0, 0, 1]))
    GRADES.layout.part(name, tally)[0] += 2**22

    with pytest.raises(ImpossibleTally):
        GRADES.metrics(tally)
