"""A later period beside earlier records, by counts alone."""

import numpy as np
import pytest

from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.periods import Counted, PeriodFigures
from sites.evaluation.regression import RegressionEvaluation
from sites.evaluation.score_bins import first_bins
from sites.schema.tables import ClassLabel, Number, NumberLabel, Schema
from sites.statistics.tables import TableStatistics

LABEL = ClassLabel(column="ill", classes=("no", "yes"))
SCHEMA = Schema(
    name="people",
    person="id",
    features=(Number(name="age", low=0, high=100), Number(name="weight", low=0, high=200)),
    label=LABEL,
)
EQUAL, FOLLOWING = BinaryEvaluation(LABEL), BinaryEvaluation(LABEL, first_bins())
SPREAD = np.linspace(0.01, 0.99, 400)


def counted(
    scores: np.ndarray, *, older: float = 0.0, evaluation: BinaryEvaluation = EQUAL
) -> Counted:
    """Return the counts of people of whom every second one is ill."""
    labels = np.arange(len(scores)) % 2
    columns = {"age": 20 + 60 * SPREAD + older, "weight": 50 + 50 * SPREAD}
    return Counted(
        evaluation=evaluation,
        scores=evaluation.tally(scores, labels),
        columns=TableStatistics(SCHEMA).tally(columns, labels, persons=0),
    )


def test_equal_records_have_not_moved_whatever_the_bins() -> None:
    found = PeriodFigures.of(
        SCHEMA, before=counted(SPREAD), now=counted(SPREAD, evaluation=FOLLOWING)
    )
    assert found.records == 400
    assert found.scores is not None
    assert found.scores.index == 0.0
    assert [one.stability.index for one in found.columns] == [0.0, 0.0]


def test_what_moved_farthest_comes_first() -> None:
    found = PeriodFigures.of(SCHEMA, before=counted(SPREAD), now=counted(SPREAD**3, older=15.0))
    assert [one.name for one in found.columns] == ["age", "weight"]
    assert found.scores is not None
    assert found.scores.level == "shifted"


def test_the_ratio_is_of_positives_that_came_to_those_predicted() -> None:
    now = counted(SPREAD / 2)
    assert now.share_observed == 0.5
    assert now.share_predicted == pytest.approx(0.25, abs=1e-9)
    assert now.calibration_ratio == pytest.approx(2.0, abs=1e-8)
    low, high = now.auc_interval or (1.0, 0.0)
    assert low < now.metrics["roc_auc"].value < high


def test_without_earlier_counts_nothing_is_compared() -> None:
    before = Counted(evaluation=EQUAL, scores=None, columns=None)
    found = PeriodFigures.of(SCHEMA, before=before, now=counted(SPREAD))
    assert (found.scores, found.columns, found.before.metrics) == (None, (), {})


def test_a_number_has_no_scores_to_compare() -> None:
    label = NumberLabel(column="price", low=0, high=10)
    evaluation = RegressionEvaluation(label)
    tally = evaluation.tally(np.array([0.2, 0.4]), np.array([1.0, 2.0]))
    now = Counted(evaluation=evaluation, scores=tally, columns=None)
    found = PeriodFigures.of(SCHEMA, before=now, now=now)
    assert (found.scores, now.calibration_ratio, now.auc_interval) == (None, None, None)
