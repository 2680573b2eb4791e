"""What the README says is what happens: its commands run, and leave what is described."""

from pathlib import Path

from tests.docs.pages import README
from tests.docs.reader import (
    LEFT_BY,
    NOT_LEFT,
    Reader,
    documented_paths,
    follow,
    require_described,
    write_readers_files,
)
from tests.forked import Forked


def test_the_readme_can_be_followed(tmp_path: Path, forked: Forked) -> None:
    """Every command in it runs, in order, and prints what is shown.

    Its runs leave what docs/run-directory.md describes, but for what other pages show.
    """
    write_readers_files(tmp_path)
    follow(README, Reader(tmp_path, forked))
    left = require_described(tmp_path)
    absent = [one for one in documented_paths() if one not in left]
    assert sorted(absent) == sorted([*LEFT_BY, *NOT_LEFT]), "described, and in no run"
