"""What a reader of the page and the file is told of single sites."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.count_noise import CountNoise
from sites.learners.descriptions.learner import Description
from sites.learners.descriptions.site_columns.exchange import REASONS
from sites.learners.descriptions.site_columns.results import site_results
from sites.plans import BadPlan
from tests.sites.learners.descriptions.described import CLASSES, drawn
from tests.sites.learners.descriptions.site_columns.exchanged import Sites
from tests.sites.learners.descriptions.site_columns.test_exchange import sites_of, three


def test_each_site_that_shows_has_its_own_figures_and_the_file_has_the_same() -> None:
    sites = Sites(CLASSES, [drawn(CLASSES, 400, seed) for seed in range(3)])
    vector = sites.vectors()[-1]
    found = sites.learner.results(vector, sites.statistics)
    by_site = found["by_site"]
    assert by_site["sites"] == ["site-0", "site-1", "site-2"]
    for place, part in enumerate(sites.parts):
        assert by_site["records"][place] == [400, *np.bincount(part.labels).tolist()]
    age, _, sex = by_site["columns"]
    assert [len(one) for one in age["values"]] == [3, 3, 3]
    assert age["values"][1][0]["mean"] == pytest.approx(sites.parts[1].columns["age"].mean(), abs=2)
    male = sex["levels"][1]["records"][2][0]
    assert male == np.count_nonzero(sites.parts[2].columns["sex"] == 1)
    file = sites.learner.files(vector, sites.statistics)["table1-by-site.csv"].decode()
    lines = [*csv.DictReader(io.StringIO(file))]
    assert {one["site"] for one in lines} == {"site-0", "site-1", "site-2"}
    (told,) = (
        one
        for one in lines
        if (one["site"], one["level"], one["group"]) == ("site-2", "male", "overall")
    )
    assert told["value"] == str(male)


@given(st.integers(1, 30))
def test_no_small_count_of_the_silent_sites_follows_from_the_page(small: int) -> None:
    """Adversary: a reader who takes the shown columns from those of all."""
    cells = np.full((6, 2, 2), 30, np.int64)
    cells[:3, 0, 0] = 0
    cells[0, 0, 0] = small
    sites = sites_of(cells, silent=frozenset({0, 1, 2}))
    told = site_results(sites.columns, sites.standing())
    assert told["withheld"] == ""
    assert told["silent"] == ["site-0", "site-1", "site-2"]
    assert ("levels" in told["columns"][0]) == (small >= 10)


def test_few_records_of_a_class_of_the_silent_sites_hide_everything() -> None:
    cells = np.full((6, 2, 2), 30, np.int64)
    cells[:3, :, 1] = 0
    cells[0, 0, 1] = 4
    sites = sites_of(cells, silent=frozenset({0, 1, 2}))
    told = site_results(sites.columns, sites.standing())
    assert told["withheld"] == "few-records"
    assert told["records"] == told["columns"] == told["sites"] == []


def test_why_nothing_is_shown_is_told() -> None:
    full = three(20)
    told = site_results(full.columns, full.columns.standing(full.vectors()[2]))
    assert told["withheld"] == "unfinished"
    for silent in ({0}, {0, 1, 2}):
        sites = replace(full, silent=frozenset(silent))
        assert site_results(sites.columns, sites.standing())["withheld"] == "few-show"
    assert {"unfinished", "few-show", "few-records"} <= set(REASONS)


def test_with_noise_there_are_no_columns_of_single_sites() -> None:
    noise = CountNoise(
        unit="person", epsilon=0.0, delta=0.0, noise_multiplier=2.0, most_records=3, rounds=1
    )
    with pytest.raises(BadPlan, match=r"set describe\.by-site to false, or dp\.unit to off"):
        Description(CLASSES, noise, ("a", "b", "c"))
