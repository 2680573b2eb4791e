import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.survival.wide_sums import LARGEST_PART, WideSums
from sites.statistics.tally import MOST_RECORDS, TallyOverflow

values = st.lists(st.floats(-1, 1), min_size=1, max_size=30)


@given(values, st.integers(1, 5))
def test_any_division_of_records_has_the_same_sum_to_the_bit(
    given_values: list[float], n_sites: int
) -> None:
    numbers, wide = np.array(given_values), WideSums(len(given_values))
    parts = np.array_split(numbers, n_sites)
    summed = np.sum([wide.of_records(part) for part in parts if len(part)], axis=0)
    assert wide.read(summed).tobytes() == wide.read(wide.of_records(numbers)).tobytes()
    assert abs(wide.read(summed)[0] - numbers.sum()) <= len(numbers) * 2.0**-50


@pytest.mark.parametrize("records", [1, 2, 3, 1024, 1025, 0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_largest_sums_stay_within_the_bounds(records: int, sign: float) -> None:
    """Overflow is impossible: whatever is counted, an entry is at most 2^29 in size."""
    wide, n = WideSums(records), records or 5
    for entries in (wide.of_records(np.full(n, sign)), wide.of_site(np.array([sign * n]), n)):
        assert np.abs(entries).max() <= LARGEST_PART
        assert wide.read(entries)[0] == sign * n


def test_more_records_than_agreed_are_refused_and_so_are_larger_numbers() -> None:
    with pytest.raises(TallyOverflow, match="4 records"):
        WideSums(4).of_records(np.zeros(5))
    with pytest.raises(TallyOverflow, match="beyond its bound"):
        WideSums(4).of_records(np.array([1.5]))
    with pytest.raises(TallyOverflow):
        WideSums(4).of_site(np.array([np.nan]), 2)
    assert 2 ** WideSums(0).exponent == MOST_RECORDS
