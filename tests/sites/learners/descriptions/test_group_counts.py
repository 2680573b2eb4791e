import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.descriptions.group_counts import GroupCounts
from sites.schema.tables import Schema
from tests.sites.learners.descriptions.described import CLASSES, NUMBERS, drawn, statistics_of


@given(st.integers(0, 200), st.integers(0, 1000), st.sampled_from([CLASSES, NUMBERS]))
def test_the_tallies_of_any_split_add_up_to_that_of_all(n: int, seed: int, schema: Schema) -> None:
    records, counts = drawn(schema, n, seed), GroupCounts(schema)
    statistics = statistics_of(schema, records)
    side = np.random.default_rng(seed).random(n) < 0.3
    parts = [counts.tally(records.part(rows), statistics) for rows in (side, ~side)]
    assert sum(parts).tolist() == counts.tally(records, statistics).tolist()  # type: ignore[union-attr]


@pytest.mark.parametrize("schema", [CLASSES, NUMBERS])
def test_every_record_is_counted_once_in_every_column_of_its_class(schema: Schema) -> None:
    records, counts = drawn(schema, 500, 3), GroupCounts(schema)
    tally = counts.tally(records, statistics_of(schema, records))
    total = 0
    for group in range(len(counts.groups)):
        size = counts.layout.count(f"{group}/records", tally)
        total += size
        for item in counts.described:
            assert counts.layout.count(f"{group}/{item.name}/bins", tally) == size
    assert total == 500


def test_a_number_that_is_the_label_is_a_column_too() -> None:
    assert [item.name for item in GroupCounts(NUMBERS).described][-1] == "cost"
    assert GroupCounts(NUMBERS).groups == ("all",)
    assert GroupCounts(CLASSES).groups == ("no", "yes")
