import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.contribution import LARGEST_ENTRY
from sites.statistics.tally import (
    MOST_RECORDS,
    UNIT,
    ImpossibleTally,
    Metric,
    TallyLayout,
    TallyOverflow,
    fixed_point,
    mean,
    real_sums,
)

LAYOUT = TallyLayout({"records": 1, "histogram": 3, "sum": 2, "sums": 4})
quantities = st.lists(st.floats(-1e4, 1e4), max_size=40).map(np.array)


@given(quantities)
def test_a_sum_is_right_to_half_a_unit_per_record(values: np.ndarray) -> None:
    total = real_sums(fixed_point(values))

    assert total.shape == (1,)
    assert (
        abs(total[0] - math.fsum(values)) <= len(values) * UNIT / 2 + 1e-12 * np.abs(values).sum()
    )


@given(quantities, st.randoms(use_true_random=False))
def test_the_tallies_of_any_split_in_any_order_add_up_to_the_tally_of_all(
    values: np.ndarray, random: Random
) -> None:
    shuffled = values[random.sample(range(len(values)), len(values))]
    cut = len(values) // 3

    parts = fixed_point(shuffled[:cut]) + fixed_point(shuffled[cut:])

    np.testing.assert_array_equal(parts, fixed_point(values))


@given(st.integers(0, 2**53))
def test_a_whole_number_of_units_comes_back_unchanged(units: int) -> None:
    value = units * UNIT  # below 2**21

    assert real_sums(fixed_point(np.array([value])))[0] == value


def test_each_group_has_its_own_sum() -> None:
    sums = fixed_point(np.array([1.0, 2.0, 4.0]), groups=np.array([2, 0, 2]), size=4)

    np.testing.assert_array_equal(real_sums(sums), [2.0, 0.0, 5.0, 0.0])


def test_a_sum_pooled_over_many_sites_keeps_its_precision() -> None:
    """Entries pooled over 95 sites are exact beyond float64; the sum is rounded once."""
    site = np.array([LARGEST_ENTRY - 1, LARGEST_ENTRY - 1])

    assert real_sums(95 * site)[0] == 95 * (LARGEST_ENTRY - 1) * (2**16 + 1) * UNIT


@pytest.mark.parametrize(
    "values", [[math.nan], [math.inf], [-math.inf], [2.0**25], [1e308, 1e308], [2.0**24] * 2]
)
def test_sums_out_of_range_are_refused(values: list[float]) -> None:
    with pytest.raises(TallyOverflow, match=r"2\*\*25"):
        fixed_point(np.array(values))


def test_the_largest_sums_are_accepted_and_their_entries_are_in_range() -> None:
    entries = fixed_point(np.array([2.0**25 - 1]))

    assert np.abs(entries).max() < LARGEST_ENTRY
    assert real_sums(entries)[0] == 2.0**25 - 1


def test_too_many_records_are_refused() -> None:
    everyone = np.broadcast_to(np.float64(0.0), (MOST_RECORDS,))

    with pytest.raises(TallyOverflow):
        fixed_point(everyone)


@given(st.lists(st.integers(0, LARGEST_ENTRY - 1), min_size=10, max_size=10))
def test_parts_come_back_from_the_tally_they_were_joined_to(entries: list[int]) -> None:
    given_parts = {
        "sums": np.array(entries[:4]),
        "sum": np.array(entries[4:6]),
        "histogram": np.array(entries[6:9]),
        "records": np.array(entries[9:]),
    }

    tally = LAYOUT.join(given_parts)

    assert tally.shape == (LAYOUT.size,)
    assert tally.dtype == np.int64
    for name, part in given_parts.items():
        np.testing.assert_array_equal(LAYOUT.part(name, tally), part)
    assert LAYOUT.count("histogram", tally) == sum(entries[6:9])
    assert LAYOUT.real_sum("sum", tally) == real_sums(given_parts["sum"])[0]
    np.testing.assert_array_equal(LAYOUT.real_sums("sums", tally), real_sums(given_parts["sums"]))
    LAYOUT.check(tally)


def test_an_entry_at_the_limit_is_refused() -> None:
    with pytest.raises(TallyOverflow, match=r"2\*\*41"):
        TallyLayout({"a": 1}).join({"a": np.array([-LARGEST_ENTRY])})


def test_a_part_that_is_missing_or_of_another_size_is_refused() -> None:
    with pytest.raises(KeyError):
        TallyLayout({"a": 1}).join({})
    with pytest.raises(ValueError, match="reshape"):
        TallyLayout({"a": 1}).join({"a": np.array([1, 2])})


@pytest.mark.parametrize("tally", [np.zeros(9, int), np.zeros((1, 10), int), np.full(10, -1)])
def test_a_tally_of_another_shape_or_with_a_negative_count_is_refused(tally: np.ndarray) -> None:
    with pytest.raises(ImpossibleTally):
        LAYOUT.check(tally)


def test_an_empty_layout_holds_an_empty_tally() -> None:
    TallyLayout({}).check(np.zeros(0, np.int64))


def test_the_error_bound_of_a_mean_is_the_rounding_of_its_sum() -> None:
    assert mean(3.0, 4, scale=10.0) == Metric(7.5, UNIT * 5)
