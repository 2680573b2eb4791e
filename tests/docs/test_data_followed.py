"""What the page on sources says is what happens."""

from pathlib import Path

from tests.docs.reader import DOCS, Reader, follow, write_readers_files
from tests.forked import Forked


def test_the_page_on_sources_can_be_followed(tmp_path: Path) -> None:
    write_readers_files(tmp_path)
    with Forked() as forked:
        follow(DOCS / "data.md", Reader(tmp_path, forked))
