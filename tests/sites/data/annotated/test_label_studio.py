"""Worked examples of Label Studio's tasks, and what is refused of them, with the task.

They follow the format's own description; no file here was written by Label Studio.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import ConsortiumError
from sites.data.annotated.formats import format_of
from sites.data.annotated.label_studio import read_label_studio
from sites.data.annotated.texts import AnnotatedText, BadAnnotations
from sites.data.tables import BrokenFile


def label(start: int, end: int, words: str, *labels: str) -> dict[str, Any]:
    value = {"start": start, "end": end, "text": words, "labels": list(labels)}
    return {"id": "r1", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def task(*results: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "data": {"text": "😀 a cold"},
        "annotations": [{"id": 1, "was_cancelled": False, "result": list(results)}],
        "predictions": [],
        **other,
    }


def read(folder: Path, *tasks: dict[str, Any], tagged: bool = True) -> list[AnnotatedText]:
    file = folder / "a.json"
    file.write_text(json.dumps(tasks))
    assert format_of(file) == "Label Studio"
    return list(read_label_studio(file, tagged=tagged))


@pytest.mark.parametrize("start", [4, 5])
def test_positions_are_characters_or_utf16_units(tmp_path: Path, start: int) -> None:
    choice = {"id": "r2", "type": "choices", "value": {"choices": ["ill"]}}
    (found,) = read(tmp_path, task(label(start, start + 4, "cold", "X"), choice))
    assert [(one.kind, one.parts) for one in found.annotations] == [("X", ((4, 8),))]
    assert found.document == "7"


def test_a_skipped_annotation_does_not_count(tmp_path: Path) -> None:
    skipped = {"was_cancelled": True, "result": [label(0, 1, "wrong", "X")]}
    given = task(label(4, 8, "cold", "X"))
    given["annotations"].append(skipped)
    (found,) = read(tmp_path, given)
    assert len(found.annotations) == 1


def test_the_only_text_of_a_task_may_have_any_name(tmp_path: Path) -> None:
    (found,) = read(tmp_path, task(data={"note": "a cold", "ward": 3}))
    assert found.text == "a cold"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (task(label(3, 7, "cold", "X")), BadAnnotations, "task 7 result r1"),
        (task(label(4, 8, "cold", "X", "Y")), BadAnnotations, "task 7 result r1: labels"),
        (task(label(4, 8, "cold", "Side effect")), BadAnnotations, "without spaces"),
        (
            task({**label(4, 8, "cold", "X"), "type": "hypertextlabels"}),
            BadAnnotations,
            "something else than plain text",
        ),
        (task(annotations=[]), BadAnnotations, "task 7 was annotated 0 times"),
        (task(data={"a": "cold", "b": "cold"}), BrokenFile, "task 7 has 2 texts"),
        (task(id=None), BrokenFile, r"no export of tasks: 0\.id"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, given: dict[str, Any], error: type[ConsortiumError], said: str
) -> None:
    """The message quotes no word of the text."""
    with pytest.raises(error, match=said) as caught:
        read(tmp_path, given)
    assert "cold" not in str(caught.value)


def test_without_tags_no_annotation_is_needed(tmp_path: Path) -> None:
    (found,) = read(tmp_path, task(annotations=[]), tagged=False)
    assert found.annotations == ()
