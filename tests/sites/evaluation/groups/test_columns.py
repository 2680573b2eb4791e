"""An evaluation with columns adds up over sites, and says what it says without them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for, in_bins
from sites.evaluation.groups.columns import EvaluationWithColumns
from sites.evaluation.score_bins import first_bins
from sites.plans import BadPlan, Counting
from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import ImpossibleTally

SCHEMA = Schema(
    name="people",
    person="id",
    features=(Number(name="age", low=0, high=100), Category(name="sex", values=("f", "m"))),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)
EVALUATION = in_bins(evaluation_for(SCHEMA, Counting(subgroups="sex", columns=True)), first_bins())
ROW = st.tuples(st.floats(0, 1), st.integers(-1, 1), st.floats(0, 100), st.integers(-1, 1))
ROWS = st.lists(ROW, max_size=20)


def tally(rows: list[tuple[float, int, float, int]]) -> Tally:
    scores, ages = (np.array([row[place] for row in rows], np.float64) for place in (0, 2))
    labels, sexes = (np.array([row[place] for row in rows], np.int64) for place in (1, 3))
    assert isinstance(EVALUATION, EvaluationWithColumns)
    return EVALUATION.tally_by_group(scores, labels, {"age": ages, "sex": sexes})


@given(one=ROWS, other=ROWS)
def test_tallies_of_sites_add_up_to_that_of_all_records(
    one: list[tuple[float, int, float, int]], other: list[tuple[float, int, float, int]]
) -> None:
    assert isinstance(EVALUATION, EvaluationWithColumns)
    found = tally(one + other)
    assert found.tolist() == (tally(one) + tally(other)).tolist()
    EVALUATION.check(found)
    labelled = [row for row in one + other if row[1] >= 0]
    assert EVALUATION.num_examples(found) == len(labelled)
    assert EVALUATION.of_unlabelled(found).sum() == len(one) + len(other) - len(labelled)
    columns = EVALUATION.of_columns(found)
    assert TableStatistics(SCHEMA).layout.count("records", columns) == len(one) + len(other)


def test_columns_of_other_records_than_the_scores_are_impossible() -> None:
    assert isinstance(EVALUATION, EvaluationWithColumns)
    some, more = tally([(0.5, 1, 30.0, 0)]), tally([(0.5, 1, 30.0, 0), (0.2, 0, 40.0, 1)])
    mixed = np.concatenate([some[: -EVALUATION.of_columns(some).size], EVALUATION.of_columns(more)])
    with pytest.raises(ImpossibleTally, match="another number"):
        EVALUATION.check(mixed)


def test_it_says_of_records_what_it_says_without_columns() -> None:
    found = tally([(0.9, 1, 30.0, 0), (0.2, 0, 40.0, 1), (0.4, 1, 50.0, -1)])
    plain = in_bins(evaluation_for(SCHEMA), first_bins())
    assert isinstance(EVALUATION, EvaluationWithColumns)
    assert EVALUATION.metrics(found) == plain.metrics(EVALUATION.of_all(found))
    assert EVALUATION.class_counts(found) == (1, 2)
    without = EVALUATION.tally(np.array([0.9]), np.array([1]))
    assert without.shape == found.shape


def test_a_record_without_a_label_is_in_no_metric() -> None:
    assert isinstance(EVALUATION, EvaluationWithColumns)
    rows = [(0.9, 1, 30.0, 0), (0.2, 0, 40.0, 1)]
    found = tally([*rows, (0.25, -1, 50.0, 1), (1.0, -1, 60.0, 1)])
    assert EVALUATION.metrics(found) == EVALUATION.metrics(tally(rows))
    assert np.flatnonzero(EVALUATION.of_unlabelled(found)).tolist() == [16, 63]


def test_texts_have_no_columns() -> None:
    with pytest.raises(BadPlan, match="texts"):
        evaluation_for(scenario_named("clinical-notes").table, Counting(columns=True))
