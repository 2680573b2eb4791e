"""Worked examples of brat's standoff, and what is refused of it, with its line."""

from pathlib import Path

import pytest

from privacy.errors import ConsortiumError
from sites.data.annotated.brat import read_brat
from sites.data.annotated.texts import BadAnnotations
from sites.data.tables import BrokenFile, MissingFile


def write(folder: Path, text: str, marks: str, name: str = "a") -> Path:
    (folder / f"{name}.txt").write_bytes(text.encode())
    (folder / f"{name}.ann").write_bytes(marks.encode())
    return folder


def test_other_lines_than_entities_are_not_used(tmp_path: Path) -> None:
    marks = "T1\tDrug 0 7\tAspirin\nR1\tCauses Arg1:T1 Arg2:T1\n#1\tNote T1\t?\n*\tEquiv T1 T1\n"
    (found,) = read_brat(write(tmp_path, "Aspirin.", marks), tagged=True)
    assert [(one.kind, one.parts) for one in found.annotations] == [("Drug", ((0, 7),))]


def test_a_line_feed_within_an_entity_is_written_as_a_space(tmp_path: Path) -> None:
    """And it counts as a character, as does the carriage return before it."""
    marks = "T1\tDisease 0 6;8 14\tbreast cancer\r\nT2\tDisease 0 14\tbreast  cancer\r\n"
    (found,) = read_brat(write(tmp_path, "breast\r\ncancer", marks), tagged=True)
    assert len(found.annotations) == 2


def test_directories_within_name_documents_and_a_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    write(tmp_path / "ward", "Cold.", "", name="note.v1")
    write(tmp_path, "Cold.", "")
    found = [one.document for one in read_brat(tmp_path, tagged=True)]
    assert found == ["a", "ward/note.v1"]
    (one,) = read_brat(tmp_path / "ward" / "note.v1.ann", tagged=True)
    assert one.document == "note.v1"


@pytest.mark.parametrize(
    ("marks", "error"),
    [
        ("T1\tDisease 1 5\tcold\n", BadAnnotations),
        ("T1\tDisease 0 4\tcough\n", BadAnnotations),
        ("T1\tDisease 0 9\tcold\n", BadAnnotations),
        ("T1\tDisease 2 2\t\n", BadAnnotations),
        ("T1\tDisease 2 4;0 2\tld co\n", BadAnnotations),
        ("T1\tDisease 0 4\n", BrokenFile),
        ("T1 Disease 0 4 cold\n", BrokenFile),
    ],
)
def test_what_is_not_in_the_text_at_its_place_is_refused(
    tmp_path: Path, marks: str, error: type[ConsortiumError]
) -> None:
    """The message names the line, and quotes no word of the text."""
    with pytest.raises(error, match=r"a\.ann line 2") as caught:
        list(read_brat(write(tmp_path, "cold", "\n" + marks), tagged=True))
    assert "cold" not in str(caught.value)


def test_utf16_units_are_not_characters(tmp_path: Path) -> None:
    """Behind an emoji, the same positions mean another place."""
    write(tmp_path, "😀 cold today", "T1\tDisease 3 7\tcold\n")
    with pytest.raises(BadAnnotations, match="count characters"):
        list(read_brat(tmp_path, tagged=True))
    write(tmp_path, "😀 cold", "T1\tDisease 2 6\tcold\n")
    assert len(list(read_brat(tmp_path, tagged=True))) == 1


def test_a_byte_order_mark_counts_and_is_no_word(tmp_path: Path) -> None:
    (found,) = read_brat(write(tmp_path, "\ufeffcold", "T1\tDisease 1 5\tcold\n"), tagged=True)
    assert found.text == " cold"


@pytest.mark.parametrize("absent", ["a.txt", "a.ann"])
def test_a_document_has_both_files(tmp_path: Path, absent: str) -> None:
    write(tmp_path, "Cold.", "")
    (tmp_path / absent).unlink()
    with pytest.raises(MissingFile, match=f"there is no {absent}"):
        list(read_brat(tmp_path, tagged=True))
