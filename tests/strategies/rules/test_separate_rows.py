import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.rules.inputs import Rows, blocks
from strategies.rules.registry import RULES, RuleOptions
from strategies.rules.separate_rows import SeparateRows, copy_of_row, row_pieces


def both(n_sites: int, dim: int, seed: int) -> tuple[Rows, Rows]:
    """Return the same updates in a matrix, and each where its bytes lie."""
    matrix = np.random.default_rng(seed).normal(size=(n_sites, dim)).astype(np.float32)
    rows = tuple(np.frombuffer(row.tobytes(), np.float32) for row in matrix)
    return matrix, SeparateRows(rows, dim)


@given(
    n_sites=st.integers(0, 5),
    dim=st.integers(1, 20),
    width=st.integers(1, 25),
    seed=st.integers(0, 99),
)
def test_separate_rows_are_read_like_a_matrix(
    n_sites: int, dim: int, width: int, seed: int
) -> None:
    matrix, separate = both(n_sites, dim, seed)
    assert (separate.shape, separate.dtype) == (matrix.shape, matrix.dtype)
    for (columns, expected), (found_columns, found) in zip(
        blocks(matrix, width), blocks(separate, width), strict=True
    ):
        assert found_columns == columns
        assert found.tobytes() == expected.tobytes()
        assert np.array_equal(row_pieces(separate, columns), row_pieces(matrix, columns))
    rows = slice(1, 3)
    assert separate[rows, :].tolist() == matrix[rows, :].tolist()
    for row in range(n_sites):
        assert copy_of_row(separate, row, width).tolist() == matrix[row : row + 1, :][0].tolist()


def test_what_lies_in_memory_is_not_copied() -> None:
    matrix, separate = both(3, 10, 1)
    for updates in (matrix, separate):
        first, again = (row_pieces(updates, slice(2, 5))[1] for _ in range(2))
        assert np.shares_memory(first, again)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_the_same_bits_wherever_the_updates_lie(name: str) -> None:
    matrix, separate = both(9, 20_011, 2)
    rule = RULES[name].build(RuleOptions(clip_norm=100.0), np.zeros(20_011))
    assert rule(separate, np.ones(9)).tobytes() == rule(matrix, np.ones(9)).tobytes()
