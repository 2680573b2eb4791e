import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from privacy.contribution import LARGEST_ENTRY
from sites.learners.regression.record_sums import RecordSums
from sites.statistics.tally import MOST_RECORDS, TallyOverflow

SHARES = st.floats(-1, 1, allow_subnormal=False)
TABLES = st.integers(0, 40).flatmap(lambda n: arrays(np.float64, (3, n), elements=SHARES))


@given(TABLES, st.integers(0, 40), st.integers(0, 2**25))
def test_sums_of_parts_add_up_to_the_sum_of_all(values: np.ndarray, cut: int, most: int) -> None:
    sums = RecordSums(most)
    parts = (values[:, :cut], values[:, cut:])
    one, other = (sums.sums(part) for part in parts)
    assert (one + other).tolist() == sums.sums(values).tolist()
    one, other = (_products(sums, part) for part in parts)
    assert (one + other).tolist() == _products(sums, values).tolist()


def _products(sums: RecordSums, values: np.ndarray) -> np.ndarray:
    return sums.weighted_products(values, np.ones(values.shape[1]))


PICKED = st.integers(0, 40).flatmap(
    lambda n: st.tuples(
        st.permutations(range(5)),
        arrays(np.float64, (3, n), elements=SHARES),
        arrays(np.float64, (2, n), elements=st.sampled_from([-1.0, 0.0, 1.0])),
        arrays(np.float64, n, elements=SHARES),
    )
)


@given(PICKED, st.integers(0, 2**25))
def test_a_product_is_rounded_record_by_record_whether_or_not_a_row_picks(
    table: tuple[list[int], np.ndarray, np.ndarray, np.ndarray], most: int
) -> None:
    order, numbers, picking, weights = table
    rows, sums = np.concatenate([numbers, picking])[order], RecordSums(most)
    each = [(rows[i] * weights) * rows[j] for i in range(5) for j in range(i, 5)]
    wanted = sums.sums(np.array(each))
    assert sums.weighted_products(rows, weights).tolist() == wanted.tolist()


@given(TABLES, st.integers(1, 2**25 - 1))
def test_a_sum_is_right_to_the_rounding_of_each_record(values: np.ndarray, most: int) -> None:
    sums, n = RecordSums(most), values.shape[1]
    bound = n * 4.0**-sums.bits + 1e-13 * n
    assert (np.abs(sums.real(sums.sums(values)) - values.sum(axis=1)) <= bound).all()
    rows, columns = np.triu_indices(3)
    wanted = (values @ values.T)[rows, columns]
    assert (np.abs(sums.real(_products(sums, values)) - wanted) <= bound).all()


@pytest.mark.parametrize("most", [1, 10, 2**15 - 1, 2**15, 2**20, 2**25 - 1, 0])
@pytest.mark.parametrize("value", [1.0, -1.0, 1 - 2.0**-17, 0.5 + 2.0**-30, -1e300, 1e300])
def test_no_entry_can_overflow_whatever_the_values(most: int, value: float) -> None:
    """As many records as there may be, all alike: a multiple of the entries of one."""
    sums = RecordSums(most)
    one = sums.sums(np.array([[value]]))
    records = most or MOST_RECORDS - 1
    assert (np.abs(one) * records < LARGEST_ENTRY).all()


def test_few_records_are_counted_more_finely() -> None:
    assert [RecordSums(most).bits for most in (0, 2**25 - 1, 30_000, 5)] == [16, 16, 26, 26]


def test_more_records_than_were_counted_are_refused() -> None:
    RecordSums(10).require_room(10)
    RecordSums(0).require_room(MOST_RECORDS - 1)
    with pytest.raises(TallyOverflow, match="11 records of one site"):
        RecordSums(10).require_room(11)
    with pytest.raises(TallyOverflow):
        RecordSums(0).require_room(MOST_RECORDS)
