import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strategies.coordinator.plaintext.aggregation_buffer import update_deviation


@given(n_sites=st.integers(1, 6), dim=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_every_figure_is_that_of_the_formula(n_sites: int, dim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    updates, aggregate = rng.normal(size=(n_sites, dim)), rng.normal(size=dim)
    found = update_deviation(updates.astype(np.float32), aggregate)
    exact = updates.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(found.norms, np.linalg.norm(exact, axis=1))
    np.testing.assert_allclose(found.distances, np.linalg.norm(exact - aggregate, axis=1))
    lengths = np.linalg.norm(exact, axis=1) * np.linalg.norm(aggregate)
    np.testing.assert_allclose(found.cosines, exact @ aggregate / lengths, atol=1e-12)


def test_blocks_do_not_matter() -> None:
    """More coordinates than a block holds."""
    rng = np.random.default_rng(0)
    updates, aggregate = rng.normal(size=(3, 40_000)), rng.normal(size=40_000)
    expected = updates @ aggregate / np.linalg.norm(updates, axis=1) / np.linalg.norm(aggregate)
    np.testing.assert_allclose(update_deviation(updates, aggregate).cosines, expected)


def test_a_reversed_update_points_the_other_way_and_none_has_no_direction() -> None:
    honest = np.array([1.0, 2.0, 3.0])
    found = update_deviation(np.stack([honest, -10 * honest, 0 * honest]), honest)
    np.testing.assert_allclose(found.cosines, [1.0, -1.0, 0.0])
    np.testing.assert_allclose(found.distances / np.linalg.norm(honest), [0.0, 11.0, 1.0])
    assert update_deviation(honest[None], np.zeros(3)).cosines.tolist() == [0.0]
