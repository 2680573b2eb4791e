"""The stability index is 0 without a change, grows with one, and stays within chance by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.schema.tables import Category, ClassLabel, Number, Schema
from sites.statistics.drift import FEWEST, column_drifts, stability
from sites.statistics.tables import TableStatistics

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=40).map(np.array)


@given(counts=COUNTS, times=st.integers(1, 5), ordered=st.booleans())
def test_equal_shares_have_an_index_of_zero(
    counts: np.ndarray, times: int, *, ordered: bool
) -> None:
    found = stability(counts, counts * times, ordered=ordered)
    assert (found is None) == (counts.sum() < FEWEST)
    assert found is None or (found.index, found.level) == (0.0, "as before")


@given(counts=COUNTS, ordered=st.booleans())
def test_it_is_never_negative_and_the_same_both_ways_for_the_same_bins(
    counts: np.ndarray, *, ordered: bool
) -> None:
    other = np.roll(counts, 1) + 1
    found = stability(counts, other, ordered=ordered)
    assert found is None or found.index >= 0
    turned = stability(other, counts, ordered=False)
    straight = stability(counts, other, ordered=False)
    if straight is not None and turned is not None:
        assert straight.index == pytest.approx(turned.index)


def test_the_index_is_that_of_the_formula() -> None:
    before, now = np.array([5_000, 5_000]), np.array([6_000, 4_000])
    found = stability(before, now)
    wanted = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert found is not None
    assert found.index == pytest.approx(wanted, rel=1e-3)
    assert (found.bins, found.level) == (2, "as before")
    far = stability(before, np.array([9_000, 1_000]))
    assert far is not None
    assert far.level == "shifted"


@pytest.mark.parametrize("few", [0, 31])
def test_what_few_do_is_seen_beside_a_value_that_most_have(few: int) -> None:
    """Nine of ten were never late; now half are."""
    before, now = np.zeros(32, np.int64), np.zeros(32, np.int64)
    before[[few, 9]], now[[few, 9]] = (900, 9_100), (5_000, 5_000)
    found = stability(before, now)
    assert found is not None
    assert (found.bins, found.level) == (2, "shifted")


def test_high_values_that_are_no_longer_measured_are_no_high_values() -> None:
    before, now = np.full(10, 1_000), np.full(10, 1_000)
    now[-1] = 0
    found = stability(before, now, missing=(0, 1_000))
    assert found is not None
    assert (found.bins, found.level) == (11, "shifted")
    few = stability(before, before, missing=(0, FEWEST - 1))
    assert few is not None
    assert few.bins == 10


def test_no_change_stays_within_chance() -> None:
    rng = np.random.default_rng(1)
    share = np.full(20, 1 / 20)
    found = [
        stability(rng.multinomial(2_000, share), rng.multinomial(300, share)) for _ in range(200)
    ]
    indices = [one.index for one in found if one is not None]
    expected = found[0].by_chance if found[0] is not None else 0.0
    assert np.mean(indices) == pytest.approx(expected, rel=0.15)
    assert sum(one is not None and one.level != "as before" for one in found) <= 2


@given(COUNTS, COUNTS)
def test_every_compared_bin_has_enough_records(one: np.ndarray, other: np.ndarray) -> None:
    size = min(len(one), len(other))
    before, now = one[:size], other[:size]
    found = stability(before, now, ordered=False)
    if found is not None:
        assert found.bins <= max(1, int((before + now).sum()) // FEWEST)


SCHEMA = Schema(
    name="drift",
    person="person",
    features=(
        Number(name="age", low=0, high=100, missing=True),
        Category(name="ward", values=("day", "night")),
    ),
    label=ClassLabel(column="ill", classes=("no", "yes")),
)


def counted(seed: int, *, older: float = 0.0, gone: float = 0.1, n: int = 2_000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    age = np.clip(rng.normal(50 + older, 12, n), 0, 100)
    age[rng.random(n) < gone] = np.nan
    columns = {"age": age, "ward": rng.integers(0, 2, n)}
    return TableStatistics(SCHEMA).tally(columns, rng.integers(0, 2, n), persons=n)


def test_a_column_that_moved_is_named_and_no_other() -> None:
    same, moved = (column_drifts(SCHEMA, counted(1), counted(2, older=by)) for by in (0, 15))
    assert [one.stability.level for one in same] == ["as before", "as before"]
    assert [(one.name, one.stability.level) for one in moved] == [
        ("age", "shifted"),
        ("ward", "as before"),
    ]


def test_values_that_are_no_longer_filled_in_are_seen() -> None:
    (age, _) = column_drifts(SCHEMA, counted(1), counted(2, gone=0.5))
    assert age.stability.level == "shifted"
    assert age.missing_before == pytest.approx(0.1, abs=0.03)
    assert age.missing_now == pytest.approx(0.5, abs=0.05)


def test_sums_of_sites_give_what_their_records_give() -> None:
    """Drift is a function of sums, which are exact over any split."""
    parts = [counted(seed, n=300) for seed in range(4)]
    assert column_drifts(SCHEMA, parts[0] + parts[1], parts[2] + parts[3]) == column_drifts(
        SCHEMA, parts[1] + parts[0], parts[3] + parts[2]
    )


def test_of_too_few_records_nothing_is_said() -> None:
    assert column_drifts(SCHEMA, counted(1), counted(2, n=FEWEST - 1)) == ()
