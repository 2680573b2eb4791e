"""Files of annotated texts are read as they are written, so that positions count."""

from pathlib import Path

import pytest

from sites.data.annotated.texts import (
    Annotation,
    BadAnnotations,
    lines_of,
    read_characters,
    require_same_words,
)
from sites.data.tables import BrokenFile


def test_line_ends_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\r\nb\x0cc\n")
    assert read_characters(tmp_path / "a.txt") == "a\r\nb\x0cc\n"
    assert lines_of(tmp_path / "a.txt") == ["a", "b\x0cc", ""]


@pytest.mark.parametrize("content", [b"\xff", b"a\0"])
def test_what_is_not_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(BrokenFile):
        read_characters(tmp_path / "a.txt")


@pytest.mark.parametrize("kind", ["", "Side effect"])
def test_a_type_is_a_name_without_spaces(kind: str) -> None:
    annotation = Annotation(kind=kind, parts=((0, 4),), says="cold", place="line 1")
    with pytest.raises(BadAnnotations, match="line 1: a type of entity"):
        require_same_words(annotation, "cold")
