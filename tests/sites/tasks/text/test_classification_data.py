import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privacy.errors import ConsortiumError
from sites.data.holdout import PersonOnBothSides
from sites.data.source import TableFile, TextFolder
from sites.data.tables import BadTexts
from sites.data.validation import MissingColumns
from sites.schema.tables import ClassLabel
from sites.schema.texts import MultiLabel, NotesSchema
from sites.tasks.text.classification_data import declared_names, load_notes, notes_of
from tests.sites.sides import keyed
from tests.sites.small_encoders import FINDINGS, SIDES, table


def written(folder: Path, frame: pd.DataFrame) -> TableFile:
    path = folder / "notes.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    return TableFile(path=path)


def test_a_person_is_on_one_side_and_nothing_is_lost(tmp_path: Path) -> None:
    data = load_notes(written(tmp_path, table(n=60)), SIDES, sides=keyed(1))
    assert not set(data.training.persons) & set(data.held_out.persons)
    assert data.train_examples + data.held_out_examples == 60
    assert data.held_out_examples > 0
    assert sum(data.class_counts) == data.train_examples
    assert data.train_persons == len(set(data.training.persons))
    assert sorted([*data.training.texts, *data.held_out.texts]) == sorted(table(n=60)["text"])


def test_no_person_has_more_notes_in_training_than_agreed(tmp_path: Path) -> None:
    schema = SIDES.model_copy(update={"max_notes_per_person": 3})
    frame = table(n=60).assign(person=["often"] * 30 + [f"p{i}" for i in range(30)])
    first = load_notes(written(tmp_path, frame), schema, sides=keyed(1))
    again = load_notes(written(tmp_path, frame), schema, sides=keyed(1))
    other = load_notes(written(tmp_path, frame), schema, sides=keyed(2))
    counts = pd.Series(first.training.persons).value_counts()
    assert counts.max() <= 3
    assert first.training.texts.tolist() == again.training.texts.tolist()
    if "often" in first.training.persons and "often" in other.training.persons:
        assert first.training.texts.tolist() != other.training.texts.tolist()


def test_labels_may_be_listed_in_a_text_or_as_a_list(tmp_path: Path) -> None:
    cells: list[object] = ["left|right", ["left", "right"], "", None, " mid ", [], float("nan")]
    frame = pd.DataFrame({"text": "a", "side": cells, "person": [str(i) for i in range(7)]})
    marks = notes_of(frame, FINDINGS).labels
    both, none = [1, 0, 1], [0, 0, 0]
    assert marks.tolist() == [both, both, none, none, [0, 1, 0], none, none]
    data = load_notes(written(tmp_path, table(FINDINGS, 50)), FINDINGS, sides=keyed(1))
    assert data.class_counts == tuple(data.training.labels.sum(axis=0).tolist())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"text": ["", "b", "c"]}, "no text in row 2"),
        ({"text": ["a", None, "c"]}, "no text in row 3"),
        ({"side": ["left", "up", "mid"]}, "side is not a declared class in row 3, such as .'up'."),
        (
            {"person": ["p", " ", "q"]},
            "person: expected a value, not so in row 3; fill it in",
        ),
        ({"fold": ["train", "test", "x"]}, "fold: expected one of train, test, not so in row 4"),
    ],
)
def test_the_first_bad_rows_are_named_and_no_text_is_quoted(
    change: dict[str, list[str]], said: str
) -> None:
    good = {"text": list("abc"), "side": ["left"] * 3, "person": list("pqr"), "fold": ["test"] * 3}
    frame = pd.DataFrame({**good, **change}, index=[2, 3, 4])
    with pytest.raises(BadTexts, match=said):
        notes_of(frame, SIDES, split="fold")


def test_a_label_means_the_same_in_every_form() -> None:
    """As a value of a table does: in any type, with blanks around, however it is composed."""
    classes = ("0", "1", "gripp\u00e9")
    one = NotesSchema(name="n", text="text", label=ClassLabel(column="label", classes=classes))
    several = one.model_copy(update={"label": MultiLabel(column="label", labels=classes)})
    cells = [0, 1.0, True, " 1 ", "1.0", "grippe\u0301"]
    frame = pd.DataFrame({"text": "a", "label": cells, "person": "p"}).astype(object)
    assert notes_of(frame, one).labels.tolist() == [0, 1, 1, 1, 1, 2]
    assert notes_of(frame, several).labels.argmax(axis=1).tolist() == [0, 1, 1, 1, 1, 2]


def test_labels_that_are_not_declared_are_named_with_their_rows() -> None:
    frame = pd.DataFrame({"text": "a", "side": ["up|left", 3, "mid"], "person": "p"})
    with pytest.raises(BadTexts, match=r"'3', 'up'. in 2 rows: 0, 1; declared are left, mid"):
        notes_of(frame, FINDINGS)


@pytest.mark.parametrize("column", ["text", "side", "person"])
def test_a_missing_column_is_named(column: str) -> None:
    frame = pd.DataFrame({"text": ["a"], "side": ["left"], "person": ["p"]}).drop(columns=column)
    with pytest.raises(MissingColumns, match=column):
        notes_of(frame, SIDES)


def test_a_split_that_came_with_the_data_is_kept(tmp_path: Path) -> None:
    frame = table(n=20).assign(fold=["train"] * 12 + ["test"] * 8)
    source = written(tmp_path, frame).model_copy(update={"split": "fold"})
    data = load_notes(source, SIDES, sides=keyed(1))
    assert (data.train_examples, data.held_out_examples) == (12, 8)
    with pytest.raises(PersonOnBothSides):
        load_notes(
            written(tmp_path, frame.assign(person="p")).model_copy(update={"split": "fold"}),
            SIDES,
            sides=keyed(1),
        )


def test_a_folder_of_texts_is_read(tmp_path: Path) -> None:
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        for number in range(3):
            (tmp_path / side / f"{side}{number}.txt").write_text("ein Befund", encoding="utf-8")
    source = TextFolder(path=tmp_path, label="side")
    data = load_notes(source, SIDES, sides=keyed(1))
    assert data.train_examples + data.held_out_examples == 6
    assert data.class_counts[1] == 0


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_bytes("text,side,person\nFüße,left,p\n".encode("latin-1"))
    with pytest.raises(ConsortiumError, match="UTF-8"):
        load_notes(TableFile(path=path), SIDES, sides=keyed(1))


def test_declared_names_are_classes_or_labels() -> None:
    assert declared_names(FINDINGS.label) == declared_names(SIDES.label) == ("left", "mid", "right")
    label = MultiLabel(column="x", labels=("a",))
    assert declared_names(NotesSchema(name="n", label=label).label) == ("a",)
    assert isinstance(SIDES.label, ClassLabel)
    assert np.issubdtype(notes_of(table(), SIDES).labels.dtype, np.integer)
