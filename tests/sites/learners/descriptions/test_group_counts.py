import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.curve_groups import CurveGroups
from sites.learners.descriptions.group_counts import GroupCounts
from sites.schema.tables import EventTimeLabel, Schema
from sites.statistics.life_tables import LifeTable
from sites.statistics.tables import TableStatistics
from tests.sites.learners.descriptions.described import (
    CLASSES,
    ENDS,
    NUMBERS,
    Records,
    drawn,
    statistics_of,
)
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


def moved(counts: GroupCounts, persons: Records, others: Records) -> float:
    """Return how far a person's records move the scaled tally of all, in L2."""
    statistics = np.zeros(TableStatistics(counts.schema).layout.size, np.int64)
    both = Records(
        {
            name: np.concatenate([values, persons.columns[name]])
            for name, values in others.columns.items()
        },
        np.concatenate([others.labels, persons.labels]),
    )
    difference = counts.tally(both, statistics) - counts.tally(others, statistics)
    scales = counts.noise_scales
    still = scales == 0
    assert not difference[still].any()
    return float(np.linalg.norm(difference[~still] / scales[~still]))


@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([CLASSES, NUMBERS, ENDS]))
def test_a_person_with_k_records_moves_the_scaled_tally_by_k_at_most(
    k: int, seed: int, schema: Schema
) -> None:
    counts = GroupCounts(schema, noisy=True)
    assert moved(counts, drawn(schema, k, seed), drawn(schema, 20, seed + 1)) <= k * (1 + 1e-12)


@pytest.mark.parametrize("share", [0.0, 1.0, 0.5 - 2.0**-17, 2.0**-16 - 2.0**-33, 1 - 2.0**-32])
@pytest.mark.parametrize("k", [1, 7])
def test_the_bound_holds_at_the_extremes_and_is_nearly_reached(share: float, k: int) -> None:
    counts = GroupCounts(CLASSES, noisy=True)
    columns = {
        "age": np.full(k, 18 + share * 82),
        "income": np.full(k, share * 1e6),
        "sex": np.zeros(k, np.int64),
    }
    far = moved(counts, Records(columns, np.ones(k, np.int64)), drawn(CLASSES, 5, 1))
    assert far <= k * (1 + 1e-12)
    if share in (0.0, 1.0):
        assert far > 0.99 * k


def test_counts_are_not_drowned_by_sums() -> None:
    counts = GroupCounts(CLASSES, noisy=True)
    scale, layout = counts.count_scale, counts.layout
    places = np.arange(layout.size)
    assert set(counts.noise_scales[layout.part("0/records", places)]) == {scale}
    assert set(counts.noise_scales[layout.part("1/age/bins", places)]) == {scale}
    assert scale < 3  # of three columns
    high, low = counts.noise_scales[layout.part("0/age/sum", places)]
    assert (high * 2.0**16 + low) * 2.0**-32 < 0.51 * scale  # of shares


def test_sites_are_counted_where_there_is_noise() -> None:
    counts, records = GroupCounts(NUMBERS, noisy=True), drawn(NUMBERS, 0, 1)
    statistics = np.zeros(TableStatistics(NUMBERS).layout.size, np.int64)
    assert counts.tally(records, statistics).tolist()[0] == 1
    assert not counts.tally(records, statistics)[1:].any()


def test_a_life_table_is_counted_with_noise_and_not_without() -> None:
    records, none = drawn(ENDS, 80, 3), np.zeros(TableStatistics(ENDS).layout.size, np.int64)
    noisy, exact = GroupCounts(ENDS, noisy=True), GroupCounts(ENDS)
    tally = noisy.tally(records, none)
    label = ENDS.label
    assert isinstance(label, EventTimeLabel)
    times = np.asarray(records.labels[:, 1], np.float64)
    life = LifeTable.of(times, records.labels[:, 0] == 1, label.grid)
    assert noisy.layout.part("life/0/events", tally).tolist() == life.events.tolist()
    assert noisy.layout.part("life/0/withdrawn", tally).tolist() == life.withdrawn.tolist()
    assert "life/0/events" not in exact.layout.sizes
    places = np.arange(noisy.layout.size)
    assert set(noisy.noise_scales[noisy.layout.part("life/0/events", places)]) == {
        noisy.count_scale
    }


def test_life_tables_by_group_add_up_to_that_of_all_and_have_the_same_noise() -> None:
    records, none = drawn(ENDS, 200, 4), np.zeros(TableStatistics(ENDS).layout.size, np.int64)
    groups = CurveGroups.named(ENDS, "sex")
    one, each = GroupCounts(ENDS, noisy=True), GroupCounts(ENDS, noisy=True, curves=groups)
    alone, split = one.tally(records, none), each.tally(records, none)
    assert len(groups.names) > 1
    for what in ("events", "withdrawn"):
        parts = [each.layout.part(f"life/{k}/{what}", split) for k in range(len(groups.names))]
        assert sum(map(np.count_nonzero, parts)) > 0
        total = one.layout.part(f"life/0/{what}", alone)
        assert np.sum(parts, axis=0).tolist() == total.tolist()
    assert each.count_scale == one.count_scale
    places = each.layout.part("life/1/events", np.arange(each.layout.size))
    assert set(each.noise_scales[places]) == {each.count_scale}
