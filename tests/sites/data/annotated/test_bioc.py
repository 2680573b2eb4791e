"""Worked examples of BioC, and what is refused of it, with document and annotation."""

import json
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import ConsortiumError
from sites.data.annotated.bioc import read_bioc
from sites.data.annotated.texts import AnnotatedText, BadAnnotations
from sites.data.tables import BrokenFile


def mark(start: int, words: str, **other: Any) -> dict[str, Any]:
    location = {"offset": start, "length": len(words)}
    return {
        "id": "T1",
        "infons": {"type": "X"},
        "text": words,
        "locations": [location],
        **other,
    }


def passage(*marks: dict[str, Any], offset: int = 10, **other: Any) -> dict[str, Any]:
    return {"offset": offset, "text": "a cold", "annotations": list(marks), **other}


def read(folder: Path, *passages: dict[str, Any], tagged: bool = True) -> list[AnnotatedText]:
    file = folder / "a.json"
    file.write_text(json.dumps({"documents": [{"id": 7, "passages": passages}]}))
    return list(read_bioc(file, tagged=tagged))


def test_locations_count_from_the_beginning_of_the_document(tmp_path: Path) -> None:
    (found,) = read(tmp_path, passage(mark(12, "cold")))
    assert [one.parts for one in found.annotations] == [((2, 6),)]
    assert (found.document, found.place) == ("7", "a.json document 7 offset 10")


def test_sentences_of_a_passage_without_text_are_its_texts(tmp_path: Path) -> None:
    """Those of a passage with a text only hold annotations."""
    inner = passage(mark(12, "cold"))
    (found,) = read(tmp_path, {"offset": 10, "sentences": [inner]})
    (same,) = read(tmp_path, passage(sentences=[inner]))
    assert found.text == same.text == "a cold"
    assert len(found.annotations) == len(same.annotations) == 1


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (passage(mark(2, "cold")), BadAnnotations, "document 7 annotation T1"),
        (passage(mark(12, "cough")), BadAnnotations, "document 7 annotation T1"),
        (passage(mark(12, "cold", infons={})), BadAnnotations, "lacks an infon"),
        (passage(mark(12, "cold", locations=[])), BadAnnotations, "lacks an infon"),
        (
            {"offset": 0, "annotations": [mark(0, "a")], "sentences": [passage()]},
            BadAnnotations,
            "outside of the passage's sentences",
        ),
        ({"text": "a cold"}, BrokenFile, r"documents\.0\.passages\.0\.offset"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, given: dict[str, Any], error: type[ConsortiumError], said: str
) -> None:
    """The message quotes no word of the text."""
    with pytest.raises(error, match=said) as caught:
        read(tmp_path, given)
    assert "cold" not in str(caught.value)


def test_without_tags_annotations_are_not_checked(tmp_path: Path) -> None:
    (found,) = read(tmp_path, passage(mark(2, "cold")), tagged=False)
    assert found.annotations == ()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.xml", "<collection>\n<document>", "line 2 is not XML"),
        ("a.xml", '<!DOCTYPE c [<!ENTITY x "y">]><collection/>', "declares entities"),
        ("a.xml", "<collection><document/></collection>", r"documents\.0\.id"),
    ],
)
def test_what_is_no_collection_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BrokenFile, match=said):
        list(read_bioc(tmp_path / name, tagged=True))


def test_an_annotation_of_the_document_itself_is_refused(tmp_path: Path) -> None:
    document = {"id": "7", "passages": [], "annotations": [mark(0, "a")]}
    (tmp_path / "a.json").write_text(json.dumps([{"documents": [document]}]))
    with pytest.raises(BadAnnotations, match="outside of the passages"):
        list(read_bioc(tmp_path / "a.json", tagged=True))
