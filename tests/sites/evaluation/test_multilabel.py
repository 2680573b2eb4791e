import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from privacy.errors import ConsortiumError
from sites.evaluation.contract import evaluation_for
from sites.evaluation.multilabel import LabelsEvaluation
from sites.schema.texts import MultiLabel, NotesSchema
from sites.statistics.tally import ImpossibleTally

LABEL = MultiLabel(column="found", labels=("a", "b", "c"))
EVALUATION = LabelsEvaluation(LABEL)


def records(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of n texts; every label occurs."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 2, (n, 3))
    true[0] = 1
    return rng.random((n, 3)), true


@given(st.integers(1, 40), st.integers(0, 99))
def test_metrics_equal_those_of_scikit_learn(n: int, seed: int) -> None:
    shares, true = records(n, seed)
    tally = EVALUATION.tally(shares, true)
    EVALUATION.check(tally)
    found = {name: metric.value for name, metric in EVALUATION.metrics(tally).items()}
    predicted = (shares >= 0.5).astype(int)
    assert found["macro_f1"] == pytest.approx(
        f1_score(true, predicted, average="macro", zero_division=0)
    )
    assert found["micro_f1"] == pytest.approx(
        f1_score(true, predicted, average="micro", zero_division=0)
    )
    assert found["subset_accuracy"] == pytest.approx(accuracy_score(true, predicted))
    reference = precision_recall_fscore_support(true, predicted, zero_division=np.nan)
    for code, name in enumerate(LABEL.labels):
        one = EVALUATION.curves(tally)["labels"][name]
        assert one["support"] == reference[3][code]
        assert one.get("precision", np.nan) == pytest.approx(reference[0][code], nan_ok=True)
        assert one["recall"] == pytest.approx(reference[1][code])


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 99))
def test_tallies_of_sites_add_up_to_that_of_their_records(n: int, cut: int, seed: int) -> None:
    shares, true = records(n, seed)
    parts = [EVALUATION.tally(shares[rows], true[rows]) for rows in (slice(cut), slice(cut, None))]
    assert (parts[0] + parts[1] == EVALUATION.tally(shares, true)).all()


def test_absent_labels_are_named_and_left_out_of_means() -> None:
    true = np.array([[1, 0, 0], [1, 0, 0]])
    tally = EVALUATION.tally(true.astype(float), true)
    assert EVALUATION.metrics(tally)["macro_f1"].value == 1
    assert set(EVALUATION.undefined_reasons(tally)) == {"class b", "class c"}
    assert EVALUATION.class_counts(tally) == (2, 0, 0)


def test_without_records_or_labels_metrics_are_undefined_with_a_reason() -> None:
    nothing = EVALUATION.tally(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    assert EVALUATION.metrics(nothing) == {}
    assert "no held-out records" in EVALUATION.undefined_reasons(nothing)["macro_f1"]
    unmarked = EVALUATION.tally(np.zeros((2, 3)), np.zeros((2, 3), np.int64))
    assert set(EVALUATION.metrics(unmarked)) == {"subset_accuracy"}


@pytest.mark.parametrize(
    ("shares", "true"),
    [
        (np.full((1, 3), np.nan), np.zeros((1, 3), int)),
        (np.full((1, 3), 1.5), np.zeros((1, 3), int)),
        (np.zeros((2, 3)), np.zeros((1, 3), int)),
        (np.zeros((1, 3)), np.full((1, 3), 2)),
        (np.zeros((1, 2)), np.zeros((1, 2), int)),
    ],
)
def test_values_that_are_not_probabilities_or_labels_are_refused(
    shares: np.ndarray, true: np.ndarray
) -> None:
    with pytest.raises(ConsortiumError):
        EVALUATION.tally(shares, true)


def test_counts_above_the_number_of_records_are_refused() -> None:
    tally = EVALUATION.tally(*records(4, 1))
    tally[0] = 1
    with pytest.raises(ImpossibleTally, match="a count is larger"):
        EVALUATION.check(tally)


def test_a_multi_label_schema_gets_the_multi_label_evaluation() -> None:
    assert evaluation_for(NotesSchema(name="notes", label=LABEL)) == EVALUATION
