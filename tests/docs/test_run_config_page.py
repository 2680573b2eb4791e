from consortium.config import SETTINGS
from tests.docs.run_config_page import HEADINGS, PAGE, written


def test_the_tables_on_the_page_are_those_of_the_code() -> None:
    """If this fails, run `python -m tests.docs.run_config_page`."""
    assert PAGE.read_text() == written(PAGE.read_text())


def test_every_key_stands_under_a_heading_and_in_a_row_of_its_own() -> None:
    assert {one.part for one in SETTINGS.values()} == set(HEADINGS)
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(SETTINGS)
    assert all(row.count("|") == 5 for row in rows)
