import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.comparison.labels import Agreement, agreement, compare_labels
from sites.schema.tables import ClassLabel

ILL = ClassLabel(column="ill", classes=("no", "yes"))
GRADE = ClassLabel(column="grade", classes=("1", "2", "3"))


def records(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and bins of a feature that is higher where the label is 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    bins = np.clip(np.rint(rng.normal(3 + 2 * labels, 1.5)), 0, 7).astype(np.int64)
    return labels, np.where(rng.random(n) < 0.1, -1, bins)


def by_class(labels: np.ndarray, bins: np.ndarray) -> np.ndarray:
    held = bins >= 0
    return np.bincount(labels[held] * 8 + bins[held], minlength=16).reshape(2, 8)


@given(st.integers(0, 30))
def test_turned_labels_are_told_and_right_ones_are_not(seed: int) -> None:
    labels, bins = records(seed, 120)
    others = {"x": by_class(*records(seed + 100, 500))}
    assert compare_labels(ILL, labels, {"x": bins}, others) is None
    found = compare_labels(ILL, 1 - labels, {"x": bins}, others)
    assert found is not None
    assert found.alarming


def test_nothing_is_said_without_enough_records_on_either_side() -> None:
    labels, bins = records(1, 120)
    others = {"x": by_class(*records(2, 500))}
    few = compare_labels(ILL, 1 - labels[:15], {"x": bins[:15]}, others)
    alone = compare_labels(ILL, 1 - labels, {"x": bins}, {"x": np.zeros((2, 8), np.int64)})
    assert few is None
    assert alone is None
    assert compare_labels(GRADE, labels, {"x": bins}, others) is None


@given(st.lists(st.integers(0, 1), min_size=2, max_size=40), st.integers(0, 9))
def test_turned_labels_agree_as_much_less_as_the_right_ones_agree(
    given_labels: list[int], seed: int
) -> None:
    labels = np.array(given_labels)
    evidence = np.random.default_rng(seed).normal(size=len(labels)).round(1)
    one, other = agreement(labels, evidence), agreement(1 - labels, evidence)
    assert np.isclose(one.auc + other.auc, 1.0)
    assert np.isclose(one.mean, -other.mean)
    assert np.isclose(one.score, -other.score)


def test_all_three_signs_must_say_so() -> None:
    assert Agreement(auc=0.2, mean=-0.5, score=-9).turned
    assert not Agreement(auc=0.6, mean=-0.5, score=-9).turned
    assert not Agreement(auc=0.2, mean=0.1, score=-9).turned
    assert not Agreement(auc=0.2, mean=-0.5, score=-1).turned


def test_no_evidence_is_no_disagreement() -> None:
    assert agreement(np.array([0, 1]), np.zeros(2)) == Agreement(auc=0.5, mean=0.0, score=0.0)
