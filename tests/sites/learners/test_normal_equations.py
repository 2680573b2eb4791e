import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.normal_equations import matrix_of, solve, triangle_of


def positive(seed: int, n: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(3 * n + 1, n))
    return np.asarray(rows.T @ rows)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_the_solution_is_that_of_lapack(seed: int, n: int) -> None:
    matrix, right = positive(seed, n), np.random.default_rng(seed + 1).normal(size=n)
    found = solve(matrix, right)
    assert found.kept.all()
    np.testing.assert_allclose(found.solution, np.linalg.solve(matrix, right), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.inverse, np.linalg.inv(matrix), rtol=1e-6, atol=1e-9)


@given(st.integers(0, 10_000), st.integers(2, 10), st.data())
def test_a_column_that_is_a_sum_of_earlier_ones_is_left_out(
    seed: int, n: int, data: st.DataObject
) -> None:
    """The others have the solution that they have without it."""
    rows = np.random.default_rng(seed).normal(size=(3 * n, n))
    place = data.draw(st.integers(1, n - 1))
    rows[:, place] = rows[:, :place].sum(axis=1)
    matrix, right = rows.T @ rows, rows.T @ np.random.default_rng(seed).normal(size=3 * n)
    found, others = solve(matrix, right), np.arange(n) != place
    assert found.kept.tolist() == others.tolist()
    assert found.solution[place] == 0
    assert not found.inverse[place].any()
    alone = np.linalg.solve(matrix[np.ix_(others, others)], right[others])
    np.testing.assert_allclose(found.solution[others], alone, rtol=1e-6, atol=1e-8)


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_a_symmetric_matrix_is_its_triangle(seed: int, n: int) -> None:
    matrix = positive(seed, n)
    again = matrix_of(triangle_of(matrix), n)
    assert again.tolist() == again.T.tolist()
    np.testing.assert_allclose(again, matrix)


def test_a_matrix_of_zeros_keeps_nothing() -> None:
    found = solve(np.zeros((2, 2)), np.ones(2))
    assert not found.kept.any()
    assert not found.solution.any()
