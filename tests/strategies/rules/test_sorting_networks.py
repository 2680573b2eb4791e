from itertools import product

import numpy as np
import pytest

from strategies.rules.sorting_networks import sort_columns, sorting_network


@pytest.mark.parametrize("n_rows", range(1, 12))
def test_the_network_sorts_every_sequence_of_zeros_and_ones(n_rows: int) -> None:
    """Knuth's 0-1 principle: then it sorts every sequence."""
    block = np.array(list(product([0.0, 1.0], repeat=n_rows))).T
    rows = sort_columns(
        block, sorting_network(n_rows, 0, n_rows), np.empty((n_rows + 1, block.shape[1]))
    )
    assert np.array_equal(rows, np.sort(block, axis=0))


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5, 13, 50, 95, 130])
def test_the_wanted_ranks_are_in_place(n_rows: int) -> None:
    block = np.random.default_rng(n_rows).normal(size=(n_rows, 40)).astype(np.float32)
    expected = np.sort(block, axis=0)
    for first, stop in {(0, 1), ((n_rows - 1) // 2, n_rows // 2 + 1), (n_rows // 4, n_rows)}:
        buffer = np.empty((n_rows + 1, 64), np.float32)
        rows = sort_columns(block, sorting_network(n_rows, first, stop), buffer)
        assert np.array_equal(rows[first:stop], expected[first:stop])


def test_the_block_is_not_changed() -> None:
    block = np.array([[2.0, 1.0], [1.0, 2.0]])
    sort_columns(block, sorting_network(2, 0, 2), np.empty((3, 2)))
    assert block.tolist() == [[2.0, 1.0], [1.0, 2.0]]


def test_what_is_not_wanted_is_not_computed() -> None:
    assert len(sorting_network(50, 0, 1)) == 49
    assert len(sorting_network(50, 24, 26)) < len(sorting_network(50, 0, 50)) <= 403
