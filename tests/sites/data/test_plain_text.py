"""A file that is not text is called what it is."""

import gzip
from pathlib import Path

import pytest

from sites.data.plain_text import open_text, reason_not_text


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04\x00", "save its sheet as .xlsx or CSV"),
        (b"\xd0\xcf\x11\xe0\x00", "save its sheet as .xlsx or CSV"),
        (gzip.compress(b"a,b\n", mtime=0), "let its name end in .gz"),
        ("a,b\n".encode("utf-16"), "in UTF-16 or UTF-32: save it as UTF-8"),
        (b"PAR1\x00", "let its name end in .parquet"),
        (b"SQLite format 3\x00", "give its URL"),
        ("a,b\n1,\u00e9\n".encode("latin-1"), "in line 2: save it as UTF-8"),
        (b"a,b\n\n1,\x00\n", "in line 3: save it as UTF-8"),
    ],
)
def test_the_reason_says_what_a_file_is_and_what_to_do(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    assert reason in reason_not_text(path)


def test_the_ends_of_lines_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    with open_text(tmp_path / "a.csv") as file:
        assert file.read() == "a\r\nb\rc\n"
