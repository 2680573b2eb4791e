"""Worked examples of PubTator's files, and what is refused of them, with its line."""

from pathlib import Path

import pytest

from privacy.errors import ConsortiumError
from sites.data.annotated.pubtator import read_pubtator
from sites.data.annotated.texts import AnnotatedText, BadAnnotations
from sites.data.tables import BrokenFile

HEAD = "7|t|A cold \n7|a|Of cancer|a|. \n"


def read(folder: Path, text: str, *, tagged: bool = True) -> list[AnnotatedText]:
    file = folder / "a.pubtator"
    file.write_bytes(text.encode())
    return list(read_pubtator(file, tagged=tagged))


def test_the_abstract_begins_one_character_after_the_title(tmp_path: Path) -> None:
    """Spaces at the end of the title count."""
    text = f"{HEAD}7\t2\t6\tcold\tDisease\tD1\n7\t11\t17\tcancer\tDisease\tD2\n"
    for written in (text, text.replace("\n", "\r\n"), f"\ufeff{text}", text.rstrip("\n")):
        (found,) = read(tmp_path, written)
        assert [one.parts for one in found.annotations] == [((2, 6),), ((11, 17),)]


def test_a_seventh_field_names_the_concepts_of_one_entity(tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"{HEAD}7\t2\t6\tcold\tDisease\tD1|D2\tcold|colds\n")
    assert len(found.annotations) == 1


def test_relations_are_not_used_and_a_title_begins_a_document(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEAD}7\tCID\tD1\tD2\n8|t|Cough\n")
    assert [(one.document, one.place) for one in found] == [
        ("7", "a.pubtator line 1"),
        ("8", "a.pubtator line 4"),
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("7\t3\t7\tcold\tDisease\tD1", BadAnnotations),
        ("7\t2\t60\tcold\tDisease\tD1", BadAnnotations),
        ("7\t2\t6\tcold\t\tD1", BadAnnotations),
        ("8\t2\t6\tcold\tDisease\tD1", BrokenFile),
        ("7|a|Again a cold", BrokenFile),
        ("a cold", BrokenFile),
        ("7\ttwo\tsix\tcold\tDisease\tD1", BrokenFile),
    ],
)
def test_a_line_that_does_not_fit_is_refused(
    tmp_path: Path, line: str, error: type[ConsortiumError]
) -> None:
    with pytest.raises(error, match=r"a\.pubtator line 3") as caught:
        read(tmp_path, f"{HEAD}{line}\n")
    assert "cold" not in str(caught.value)


def test_without_tags_annotations_are_not_checked(tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"{HEAD}7\t3\t7\tcold\tDisease\tD1\n", tagged=False)
    assert found.annotations == ()
