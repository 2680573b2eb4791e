"""A browser that the tests of a file share."""

from collections.abc import Iterator

import pytest

from tests.browser.tab import Tab, open_tab


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One process, one tab."""
    with open_tab(tmp_path_factory.mktemp("browser")) as opened:
        yield opened
