import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import ConsortiumError
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import Evaluation, evaluation_for
from sites.evaluation.input_checks import NonFinitePredictions, ShapesDiffer, UndeclaredLabel
from sites.evaluation.multiclass import ClassesEvaluation
from sites.evaluation.regression import RegressionEvaluation
from sites.evaluation.survival import SurvivalEvaluation
from sites.schema.tables import ClassLabel, Label, Number, NumberLabel, Schema
from sites.statistics.tally import ImpossibleTally
from tests.sites.scored_records import ENDS, Records, binary, classes, numbers, survivals


@dataclass(frozen=True)
class Kind:
    """One kind of evaluation with records for it: every law here holds for each kind."""

    evaluation: Evaluation
    records: Callable[[], st.SearchStrategy[Records]]


def evaluation_of(label: Label) -> Evaluation:
    columns = (Number(name="age", low=0, high=1),)
    return evaluation_for(Schema(name="try", person="person", features=columns, label=label))


KINDS = {
    "binary": Kind(evaluation_of(ClassLabel(column="y", classes=("no", "yes"))), binary),
    "classes": Kind(
        evaluation_of(ClassLabel(column="y", classes=("a", "b", "c"), ordered=True)),
        lambda: classes(n_classes=3),
    ),
    "regression": Kind(
        evaluation_of(NumberLabel(column="y", low=-1, high=3)), lambda: numbers(low=-1, high=3)
    ),
}
ENDED = Kind(evaluation_of(ENDS), survivals)
# Pairs of records are those within sites, so that a tally of all records has more of them.
additive = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_kind = pytest.mark.parametrize("kind", [*KINDS.values(), ENDED], ids=[*KINDS, "survival"])


def test_the_label_decides_the_evaluation() -> None:
    kinds = [type(kind.evaluation) for kind in (*KINDS.values(), ENDED)]

    assert kinds == [
        BinaryEvaluation,
        ClassesEvaluation,
        RegressionEvaluation,
        SurvivalEvaluation,
    ]


@additive
@given(data=st.data())
def test_the_tallies_of_sites_add_up_to_the_tally_of_all_records(
    kind: Kind, data: st.DataObject
) -> None:
    """Exactly, whichever site has which record in which order, and some have none."""
    records = data.draw(kind.records())
    order = np.array(data.draw(st.permutations(range(len(records.labels)))), np.int64)
    sites = np.array_split(records.at(order).labels, 3)
    ends = np.cumsum([len(site) for site in sites])
    parts = [records.at(rows) for rows in np.split(order, ends[:-1])]

    pooled = sum(
        (kind.evaluation.tally(part.predictions, part.labels) for part in parts),
        start=np.zeros(kind.evaluation.layout.size, np.int64),
    )

    together = kind.evaluation.tally(records.predictions, records.labels)
    np.testing.assert_array_equal(pooled, together)


@every_kind
@given(data=st.data())
def test_every_metric_is_finite_or_has_a_reason(kind: Kind, data: st.DataObject) -> None:
    records = data.draw(kind.records())
    tally = kind.evaluation.tally(records.predictions, records.labels)

    found = kind.evaluation.metrics(tally)

    assert all(np.isfinite([item.value, item.error_bound]).all() for item in found.values())
    assert all(item.error_bound >= 0 for item in found.values())
    assert not set(found) & set(kind.evaluation.undefined_reasons(tally))
    assert json.loads(json.dumps(kind.evaluation.curves(tally), allow_nan=False))
    assert kind.evaluation.num_examples(tally) == len(records.labels)
    assert sum(kind.evaluation.class_counts(tally)) in {0, len(records.labels)}


@every_kind
def test_a_site_without_records_adds_nothing_and_defines_nothing(kind: Kind) -> None:
    nothing = np.zeros(kind.evaluation.layout.size, np.int64)

    assert kind.evaluation.metrics(nothing) == {}
    assert len(kind.evaluation.undefined_reasons(nothing)) >= 4
    assert kind.evaluation.num_examples(nothing) == 0
    assert json.dumps(kind.evaluation.curves(nothing), allow_nan=False)


@every_kind
@given(data=st.data())
def test_any_entries_give_metrics_or_a_typed_refusal(kind: Kind, data: st.DataObject) -> None:
    """A hostile tally never becomes NaN, a warning or another error."""
    records = data.draw(kind.records())
    tally = kind.evaluation.tally(records.predictions, records.labels)
    for place in data.draw(st.lists(st.integers(0, len(tally) - 1), max_size=4)):
        tally[place] = data.draw(st.integers(-3, 3) | st.sampled_from([2**41 - 1, -(2**41)]))

    try:
        found = kind.evaluation.metrics(tally)
        curves = kind.evaluation.curves(tally)
    except ImpossibleTally:
        return
    assert all(np.isfinite([item.value, item.error_bound]).all() for item in found.values())
    assert json.dumps(curves, allow_nan=False)


@every_kind
def test_a_tally_of_another_layout_is_refused(kind: Kind) -> None:
    for shape in (kind.evaluation.layout.size + 1, (1, kind.evaluation.layout.size)):
        with pytest.raises(ImpossibleTally, match="needs the shape"):
            kind.evaluation.metrics(np.zeros(shape, np.int64))


@every_kind
@given(data=st.data())
def test_values_that_are_not_predictions_are_refused(kind: Kind, data: st.DataObject) -> None:
    records = data.draw(kind.records().filter(lambda found: len(found.labels) > 0))
    spoilt = records.predictions.copy()
    spoilt.flat[-1] = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))

    with pytest.raises(NonFinitePredictions) as refused:
        kind.evaluation.tally(spoilt, records.labels)
    assert isinstance(refused.value, ConsortiumError)
    with pytest.raises(ShapesDiffer):
        kind.evaluation.tally(records.predictions[1:], records.labels)
    with pytest.raises(UndeclaredLabel):
        kind.evaluation.tally(records.predictions, records.labels + 10)


def test_a_coordinator_evaluates_without_any_learning_library() -> None:
    modules = "sites.evaluation.contract, sites.schema.tables"
    modules += ", sites.statistics.tables, sites.statistics.tally"
    heavy = "{'torch', 'sklearn', 'pandas', 'scipy', 'flwr'}"
    check = f"import sys, {modules}; sys.exit(len({heavy} & set(sys.modules)))"

    subprocess.run([sys.executable, "-c", check], check=True)
