"""Counts at a threshold, and what they are worth, are those of the scores themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.decisions import threshold_that_finds, threshold_that_flags
from sites.schema.tables import ClassLabel
from tests.sites.scored_records import Records, binary

EVALUATION = BinaryEvaluation(ClassLabel(column="default", classes=("paid", "default")))


@given(records=binary(both=True), edge=st.integers(1, 63))
def test_net_benefit_is_that_of_the_scores_themselves(records: Records, edge: int) -> None:
    """By the formula of Vickers and Elkin (2006), from the counts of scikit-learn."""
    threshold = edge / 64
    called = records.predictions >= threshold
    (_, fp), (_, tp) = confusion_matrix(records.labels, called, labels=[0, 1])
    n, odds = len(records.labels), threshold / (1 - threshold)
    found = EVALUATION.confusion(
        EVALUATION.tally(records.predictions, records.labels), threshold=threshold
    )
    assert found.threshold == threshold
    assert found.net_benefit == pytest.approx(tp / n - fp / n * odds)
    share = records.labels.mean()
    assert found.net_benefit_of_all == pytest.approx(share - (1 - share) * odds)


@given(records=binary(both=True), share=st.floats(0.01, 1))
def test_a_threshold_for_a_purpose_is_the_best_edge_that_serves_it(
    records: Records, share: float
) -> None:
    found = EVALUATION.confusions(EVALUATION.tally(records.predictions, records.labels))
    finds = threshold_that_finds(found, share)
    assert finds.true_positives >= share * finds.positives
    flags = threshold_that_flags(found, share)
    assert flags.flagged <= share * flags.records or flags is found[-1]
    for one in found:
        if one.threshold > finds.threshold:
            assert one.true_positives < share * one.positives
        if one.threshold < flags.threshold:
            assert one.flagged > share * one.records


def test_a_worked_example() -> None:
    """100 records, 10 ill; at 20 %, 8 are found among 20 flagged: 0.08 - 0.12 / 4 = 0.05."""
    labels = np.array([1] * 10 + [0] * 90)
    scores = np.where(np.isin(np.arange(100), [*range(8), *range(10, 22)]), 0.5, 0.1)
    found = EVALUATION.confusion(EVALUATION.tally(scores, labels), threshold=0.2)
    assert found.threshold == pytest.approx(0.2, abs=1e-3)
    assert (found.flagged, found.positives, found.records) == (20, 10, 100)
    assert found.net_benefit == pytest.approx(0.05, abs=1e-3)
    assert found.net_benefit_of_all == pytest.approx(0.1 - 0.9 / 4, abs=2e-3)
