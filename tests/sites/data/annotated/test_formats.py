"""A format is told by what a file or directory holds; what is unclear is refused."""

from pathlib import Path

import pytest

from sites.data.annotated.formats import format_of, split_by_files
from sites.data.tables import UnknownFormat

PUBTATOR = "7|t|A cold\n7|a|Mild.\n"


def test_a_directory_with_an_ann_file_is_of_brat(tmp_path: Path) -> None:
    (tmp_path / "wards").mkdir()
    (tmp_path / "wards" / "a.ann").write_text("")
    assert format_of(tmp_path) == "brat"
    assert format_of(tmp_path / "wards" / "a.ann") == "brat"
    assert format_of(tmp_path / "wards" / "a.txt") == "brat"
    assert split_by_files(tmp_path) is None


@pytest.mark.parametrize("text", [PUBTATOR, f"\ufeff\n{PUBTATOR}", PUBTATOR.replace("\n", "\r\n")])
def test_pubtator_is_told_by_its_first_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert format_of(tmp_path) == "PubTator"


@pytest.mark.parametrize("text", ["7|t|x\tO\n", "fever\tB-Disease\n", "A note.\n", ""])
def test_sentences_and_notes_are_no_annotated_documents(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert format_of(tmp_path) is None
    assert format_of(tmp_path / "nowhere.txt") is None


def test_an_ending_that_promises_another_content_is_refused(tmp_path: Path) -> None:
    """But beside other files of a directory it may be anything."""
    for name in ("a.pubtator", "a.xml", "a.json"):
        (tmp_path / name).write_text('["A note."]\n')
        with pytest.raises(UnknownFormat, match="holds no annotated documents"):
            format_of(tmp_path / name)
    assert format_of(tmp_path) is None


def test_several_formats_in_a_directory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pubtator").write_text(PUBTATOR)
    (tmp_path / "b.txt").write_text("A note.\n")
    with pytest.raises(UnknownFormat, match=r"a\.pubtator \(PubTator\), b\.txt \(text\)"):
        format_of(tmp_path)
