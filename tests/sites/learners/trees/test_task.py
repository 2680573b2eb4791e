"""A site counts one node of each pair, predicts with whole trees, and loads no torch."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sites.data.source import TableFile
from sites.learners.trees.plan import TreesPlan
from tests.grown_trees import (
    DAYS,
    grown,
    learner_of,
    records,
    schema_of,
    site,
    statistics_of,
    task_of,
)


def test_a_tally_has_the_smaller_child_of_each_pair() -> None:
    learner, data = learner_of(schema_of(), TreesPlan(count=1, depth=3)), site(records(1, 400))
    statistics = statistics_of(learner, [data])
    task, cells = task_of(learner), learner.cells(statistics)
    for exchanges, pairs in ((0, 1), (1, 1), (2, 2)):
        vector = grown(learner, [data], exchanges=exchanges)
        tally = task.count(data, statistics, vector)
        sums = learner.form.tally.part("sums", tally).reshape(2, 3, -1)
        persons = sums[:, 0, : cells.bins.starts[1]].sum(axis=1)
        assert persons[pairs:].sum() == 0
        assert 0 < persons.sum() <= (400 if exchanges == 0 else 200)
        assert learner.form.tally.count("records", tally) == 400


def test_predictions_of_a_file_are_those_of_its_records(tmp_path: object) -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400), records(2, 50))
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    held_out = data.held_out.columns
    ward = pd.Series(held_out["ward"]).map({0: "day", 1: "night", 2: "intensive"})
    path = f"{tmp_path}/new.csv"
    frame = pd.DataFrame({"age": held_out["age"], "bill": held_out["bill"], "ward": ward})
    frame.assign(person=range(50)).to_csv(path, index=False)
    found = task_of(learner).predict(TableFile(path=path), statistics, vector)
    scores, labels = task_of(learner).score(data, statistics, vector)
    assert found.tolist() == scores.tolist()
    assert labels.tolist() == data.held_out.labels.tolist()


def test_a_tree_that_is_not_complete_predicts_nothing() -> None:
    learner, data = learner_of(schema_of()), site(records(1, 400), records(2, 50))
    statistics = statistics_of(learner, [data])
    scores = {
        exchanges: task_of(learner).score(
            data, statistics, grown(learner, [data], exchanges=exchanges)
        )[0]
        for exchanges in (0, 2, 3, 5)
    }
    assert len(set(scores[0])) == 1
    assert scores[2].tolist() == scores[0].tolist()
    assert scores[3].tolist() == scores[5].tolist() != scores[0].tolist()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_number_is_predicted_in_its_unit(seed: int) -> None:
    schema = schema_of(DAYS)
    learner = learner_of(schema, TreesPlan(count=40, depth=3))
    data = site(records(seed, 1000, DAYS), records(seed + 10, 300, DAYS))
    statistics, vector = statistics_of(learner, [data]), grown(learner, [data])
    found, labels = task_of(learner).score(data, statistics, vector)
    assert np.corrcoef(found, labels)[0, 1] > 0.6
    assert abs(found.mean() - labels.mean()) < 2


def test_no_library_of_learning_is_loaded() -> None:
    loaded = (
        "import sys; import tests.grown_trees as g; s = g.schema_of(); l = g.learner_of(s); "
        "d = g.site(g.records(1, 99)); g.grown(l, [d]); "
        "print({'torch', 'sklearn'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
