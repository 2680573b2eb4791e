import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.descriptions.group_counts import GroupCounts
from sites.schema.tables import Schema
from sites.statistics.tables import TableStatistics
from tests.sites.learners.descriptions.described import CLASSES, NUMBERS, drawn, statistics_of
from tests.sites.learners.survival.ended_records import SCHEMA, made_up


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


def test_records_of_a_time_until_an_event_are_described_by_how_they_ended() -> None:
    """The time is a column like any other."""
    data = made_up(1, 40)
    counts = GroupCounts(SCHEMA)
    assert counts.groups == ("alive", "dead")
    assert [one.name for one in counts.described] == ["age", "arm", "marker", "days"]
    table = TableStatistics(SCHEMA)
    statistics = table.tally(data.training.columns, data.training.labels, persons=40)
    tally = counts.tally(data.training, statistics)
    codes = data.training.labels[:, 0]
    held = [counts.layout.count(f"{group}/records", tally) for group in range(2)]
    assert held == [(codes == 0).sum(), (codes == 1).sum()]
    assert counts.layout.count("1/days/bins", tally) == (codes == 1).sum()
