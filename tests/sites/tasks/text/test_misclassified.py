"""Laws of misclassified texts: all of them are wrong, and the worst comes first."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.layout import Tally
from sites.data.source import TableFile
from sites.schema.texts import EntitySchema, NotesSchema
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.misclassified import (
    Mistake,
    ShowsMistakes,
    entities_in_words,
    worst_rows,
    worst_sentences,
)
from sites.tasks.text.named_entities import clinical_entities_task
from sites.text.iob2_tags import codes_of
from tests.sites.sides import keyed
from tests.sites.small_encoders import FINDINGS, SIDES, YES_NO, plan, table

TYPES = ("Disease", "Drug")
WORDS = ("heart", "failure", "on", "aspirin")


@given(st.integers(0, 30), st.integers(2, 5), st.integers(0, 40), st.integers(0, 9))
def test_only_misclassified_rows_are_returned_worst_first(
    n: int, n_classes: int, at_most: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(n_classes), n)
    labels = rng.integers(0, n_classes, n)
    found = worst_rows(shares, labels, at_most=at_most)
    wrong = np.flatnonzero(shares.argmax(axis=1) != labels)
    assert {row for row, _, _ in found} <= {*wrong.tolist()}
    assert len(found) == min(at_most, len(wrong))
    truly = [shares[row, labels[row]] for row, _, _ in found]
    assert truly == sorted(truly)
    assert all(true == (labels[row],) for row, true, _ in found)
    assert all(said == (shares[row].argmax(),) for row, _, said in found)


@pytest.mark.parametrize(
    ("predictions", "labels", "expected"),
    [
        pytest.param([0.5, 0.4, 0.9], [0, 1, 1], [(1, (1,), (0,)), (0, (0,), (1,))], id="two"),
        pytest.param(
            [[0.9, 0.1], [0.5, 0.2], [0.2, 0.3]],
            [[0, 0], [1, 0], [1, 1]],
            [(2, (0, 1), ()), (0, (), (0,))],
            id="several",
        ),
    ],
)
def test_the_threshold_equals_that_of_the_evaluation(
    predictions: list[object], labels: list[object], expected: list[object]
) -> None:
    codes: Tally = np.array(labels, np.int64)
    assert worst_rows(np.array(predictions, np.float64), codes, at_most=9) == expected


def test_sentences_with_the_most_wrong_entities_come_first() -> None:
    true = [codes_of(tags, TYPES) for tags in (["B-Drug", "O"], ["B-Drug", "B-Disease"], ["O"])]
    said = [codes_of(tags, TYPES) for tags in (["O", "O"], ["B-Disease", "O"], ["O"])]
    assert worst_sentences(said, true, TYPES, at_most=9) == [1, 0]
    assert worst_sentences(said, true, TYPES, at_most=1) == [1]
    assert worst_sentences([], [], TYPES, at_most=1) == []


def test_entities_are_shown_by_type_and_words() -> None:
    codes = codes_of(["B-Disease", "I-Disease", "O", "B-Drug"], TYPES)
    assert entities_in_words(codes, WORDS, TYPES) == ("Disease: heart failure", "Drug: aspirin")


@pytest.mark.parametrize("schema", [SIDES, YES_NO, FINDINGS])
def test_misclassified_notes_are_shown_unchanged(tmp_path: Path, schema: NotesSchema) -> None:
    path = tmp_path / "notes.jsonl"
    frame = table(schema, n=60)
    frame.to_json(path, orient="records", lines=True)
    task = NotesTask("clinical-notes", schema, plan("head"), 7)
    data = task.load(TableFile(path=path), sides=keyed(3))
    pooled, zero = task.statistics_of(data), np.zeros(task.layout.dim)
    found = task.mistakes(data, pooled, zero, at_most=99)
    assert isinstance(task, ShowsMistakes)
    assert found
    held = {*zip(data.held_out.persons.tolist(), data.held_out.texts.tolist(), strict=True)}
    assert {(one.person, one.text) for one in found} <= held
    assert all(one.true != one.predicted for one in found)
    if schema is SIDES:
        predictions, labels = task.score(data, pooled, zero)
        right = task.evaluation.metrics(task.evaluation.tally(predictions, labels))
        assert len(found) == round((1 - right["accuracy"].value) * len(labels))
    nothing = data.held_out.select(np.zeros(len(data.held_out), np.bool_))
    empty = type(data)(training=data.training, held_out=nothing, n_labels=data.n_labels)
    assert task.mistakes(empty, pooled, zero, at_most=5) == ()


def test_misclassified_sentences_are_shown_with_their_entities(tmp_path: Path) -> None:
    schema = EntitySchema(name="notes", types=TYPES)
    tags = ["B-Disease", "I-Disease", "O", "B-Drug"]
    path = tmp_path / "sentences.jsonl"
    rows = [{"document": f"d{n}", "tokens": WORDS, "tags": tags} for n in range(10)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = clinical_entities_task(schema, plan("head"), seed=7)
    data = task.load(TableFile(path=path), sides=keyed(3))
    silent = np.zeros(task.layout.dim)
    found = task.mistakes(data, task.statistics_of(data), silent, at_most=1)
    assert [(one.text, one.true) for one in found] == [
        ("heart failure on aspirin", ("Disease: heart failure", "Drug: aspirin"))
    ]
    assert isinstance(found[0], Mistake)
    assert found[0].predicted != found[0].true
