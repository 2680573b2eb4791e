import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from sites.statistics.histograms import bins_of, distance, histograms, quantile

N_BINS = 32
shares = st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array)
counts = st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any).map(np.array)


@pytest.mark.parametrize(
    ("value", "held"),
    [(0.0, 0), (np.nextafter(0.25, 0), 0), (0.25, 1), (np.nextafter(1, 0), 3), (1.0, 3)],
)
def test_a_bin_holds_its_lower_edge_and_the_last_also_one(value: float, held: int) -> None:
    assert bins_of(np.array([value]), 4).tolist() == [held]


@given(shares, st.integers(0, 2**32 - 1))
def test_every_value_is_counted_once_in_its_group(values: np.ndarray, seed: int) -> None:
    groups = np.random.default_rng(seed).integers(0, 3, len(values))

    found = histograms(values, groups, n_groups=3, n_bins=N_BINS)

    for group in range(3):
        expected = np.histogram(values[groups == group], bins=N_BINS, range=(0, 1))[0]
        np.testing.assert_array_equal(found[group], expected)


@given(shares, st.floats(0, 1))
def test_the_quantile_lies_between_the_edges_given(values: np.ndarray, q: float) -> None:
    counted = histograms(values, np.zeros(len(values), int), n_groups=1, n_bins=N_BINS)[0]

    low, estimate, high = quantile(counted, q)

    rank = max(int(np.ceil(q * len(values))), 1)
    assert low <= np.sort(values)[rank - 1] <= high
    assert low <= estimate <= high
    assert high - low == 1 / N_BINS


@given(counts, counts)
def test_distances_agree_with_scipy_and_are_symmetric(one: np.ndarray, other: np.ndarray) -> None:
    found = distance(one, other)

    expected = jensenshannon(one / one.sum(), other / other.sum(), base=2)
    # Near 0 the square root of rounding is all that either of the two returns.
    assert found.jensen_shannon == pytest.approx(expected, abs=1e-7)
    assert found.total_variation == pytest.approx(distance(other, one).total_variation)
    assert 0 <= found.total_variation <= 1
    assert 0 <= found.jensen_shannon <= 1


@given(counts, st.integers(1, 5))
def test_the_distance_depends_on_shares_not_on_the_number_of_records(
    one: np.ndarray, times: int
) -> None:
    found = distance(one, one * times)

    assert found.total_variation == pytest.approx(0, abs=1e-12)
    assert found.jensen_shannon == pytest.approx(0, abs=1e-7)


def test_distances_stay_in_range_where_shares_do_not_add_up_to_1_in_binary() -> None:
    """Thirteenths and fifths: in float64 these shares differ by slightly more than 2."""
    found = distance(np.array([4, 3, 3, 3, 0, 0]), np.array([0, 0, 0, 0, 4, 1]))

    assert found.total_variation == 1.0


def test_sites_without_a_common_value_have_distance_1() -> None:
    found = distance(np.array([3, 0]), np.array([0, 8]))

    assert (found.total_variation, found.jensen_shannon) == (1.0, 1.0)
