"""The page by site: a column for each site, or a sentence that says why there is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consortium.report.elements.blocks import Table
from consortium.report.elements.run_reader import Recorded
from consortium.report.results.site_columns import (
    site_columns_section,
    site_rows,
    withheld_in_words,
)
from sites.learners.descriptions.site_columns.exchange import REASONS
from tests.consortium.sample_run import Sample
from tests.sites.learners.descriptions.described import CLASSES, drawn
from tests.sites.learners.descriptions.site_columns.exchanged import Sites

SITES = Sites(CLASSES, [drawn(CLASSES, 400, seed) for seed in range(3)])


def found(sites: Sites) -> dict[str, Any]:
    return dict(sites.learner.results(sites.vectors()[-1], sites.statistics))


def test_a_page_has_a_table_for_all_records_and_for_each_class(tmp_path: Path) -> None:
    section = site_columns_section(Recorded.read(Sample().write(tmp_path)), found(SITES))
    tables = [one for one in section.blocks if isinstance(one, Table)]
    assert [one.caption for one in tables] == [
        "All training records, by site",
        "ill: no, by site",
        "ill: yes, by site",
    ]
    assert [one.title for one in tables[0].columns] == ["Column", "site-0", "site-1", "site-2"]
    assert tables[0].rows[0] == ("Records", "400", "400", "400")
    assert "show figures of their own" in section.lead


def test_a_hidden_column_is_told_as_hidden() -> None:
    rows = site_rows(found(Sites(CLASSES, [drawn(CLASSES, 50, seed) for seed in range(3)])))
    assert ("sex", "hidden", "hidden", "hidden") in rows


def test_a_page_says_why_there_is_no_column(tmp_path: Path) -> None:
    told = found(replace(SITES, silent=frozenset({1})))
    assert site_rows(told) == ()
    section = site_columns_section(Recorded.read(Sample().write(tmp_path)), told)
    assert not section.blocks
    assert "may show figures of their own, and that takes 3 or more" in section.lead


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence(reason: str) -> None:
    by_site = {"withheld": reason, "silent": ["a"], "showing": ["b"], "crowd": 3}
    assert withheld_in_words(by_site).endswith(".")
    assert withheld_in_words({**by_site, "withheld": ""}) == ""
