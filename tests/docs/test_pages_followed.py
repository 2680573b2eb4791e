"""What the pages after the scientist's say is what happens: their commands run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.docs.pages import README, blocks, reading_order
from tests.docs.reader import (
    OFFICER,
    PRIVACY,
    SCIENTIST,
    Reader,
    follow,
    only_left_by,
    require_described,
    write_readers_files,
)
from tests.forked import Forked

ON_PRIVACY = (OFFICER, PRIVACY)  # of one run


def has_what_runs(page: Path) -> bool:
    """Whether a page shows commands to type, or a program."""
    return any(block.language in {"console", "python"} for block in blocks(page))


ALONE = [
    page
    for page in reading_order()
    if has_what_runs(page) and page not in (README, SCIENTIST, *ON_PRIVACY)
]


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    with Forked(also=("peft",)) as forking:
        yield forking


def require_followed(pages: Sequence[Path], folder: Path, forked: Forked) -> None:
    """Every command runs, in order, prints what is shown and leaves what is described."""
    write_readers_files(folder)
    for page in pages:
        follow(page, Reader(folder, forked))
    left = set(require_described(folder))
    assert set().union(*map(only_left_by, pages)) <= left


def test_the_pages_on_privacy_can_be_followed(tmp_path: Path, forked: Forked) -> None:
    require_followed(ON_PRIVACY, tmp_path, forked)


@pytest.mark.parametrize("page", ALONE, ids=lambda page: page.stem)
def test_a_page_can_be_followed(page: Path, tmp_path: Path, forked: Forked) -> None:
    require_followed([page], tmp_path, forked)
