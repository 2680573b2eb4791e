"""What a site remembers to have shown: the first of a charter stays."""

from pathlib import Path

import pytest

from consortium.client.own_columns.memory import ShownBefore, ShownColumns
from consortium.run.directory import BadRunDirectory
from consortium.site.directory import SiteDirectory

FIRST, SECOND = ShownColumns(roster=2, cells="a" * 64), ShownColumns(roster=3, cells="b" * 64)


def test_the_first_of_a_charter_stays_and_a_revision_begins_anew(tmp_path: Path) -> None:
    assert ShownBefore.at(tmp_path).by_charter == {}
    for charter, shown in (("one", FIRST), ("one", SECOND), ("two", SECOND)):
        ShownBefore.at(tmp_path).keep(tmp_path, charter, shown)
    assert ShownBefore.at(tmp_path).by_charter == {"one": FIRST, "two": SECOND}


def test_a_site_that_cannot_read_what_it_showed_shows_nothing(tmp_path: Path) -> None:
    SiteDirectory(tmp_path).shown_columns.write_text("{}}")
    with pytest.raises(BadRunDirectory):
        ShownBefore.at(tmp_path)
