"""Solve symmetric positive systems with the same bits on every machine: nothing from BLAS.

A module of its own because several learners take Newton steps on exact sums.
"""

import math
from dataclasses import dataclass

import numpy as np

from privacy.layout import Matrix, Vector


@dataclass(frozen=True, kw_only=True)
class Solved:
    """The solution of a system, and what it says of its matrix.

    Args:
        solution: Shape (n,); 0 where a column was left out.
        inverse: Inverse of the matrix over the columns that are kept, 0 elsewhere, shape (n, n).
        kept: Whether each column is kept, shape (n,): one that is a combination of earlier ones,
            to within the tolerance, is left out.
    """

    solution: Vector
    inverse: Matrix
    kept: np.ndarray


def triangle_of(matrix: Matrix) -> Vector:
    """Return the upper triangle of a symmetric matrix, row by row, shape (n (n + 1) / 2,)."""
    return np.asarray(matrix[np.triu_indices(len(matrix))], np.float64)


def matrix_of(triangle: Vector, n: int) -> Matrix:
    """Return the symmetric matrix whose upper triangle this is, shape (n, n)."""
    matrix = np.zeros((n, n))
    rows, columns = np.triu_indices(n)
    matrix[rows, columns] = triangle
    matrix[columns, rows] = triangle
    return matrix


def total(values: Vector) -> float:
    """Return the sum of numbers, exactly rounded, and so the same bits on every machine."""
    return math.fsum(values.tolist())


def product(matrix: Matrix, vector: Vector) -> Vector:
    """Return a matrix times a vector, the same bits on every machine, shape (n,)."""
    return np.array([total(row * vector) for row in matrix], np.float64)


def solve(matrix: Matrix, right: Vector, *, tolerance: float = 1e-9) -> Solved:
    """Return the solution of a system by elimination in the order of the columns (Gauss-Jordan).

    Guarantee: the same bits on every machine: elementwise float64 operations only.

    Args:
        matrix: Symmetric, positive semi-definite, shape (n, n).
        right: Shape (n,).
        tolerance: A column is left out if what the earlier ones leave of its diagonal entry is not
            above this share of the entry.
    """
    n = len(matrix)
    work = np.concatenate([matrix, np.eye(n), right[:, None]], axis=1)
    kept = np.zeros(n, bool)
    for column in range(n):
        pivot = work[column, column]
        if not pivot > tolerance * matrix[column, column]:
            continue
        kept[column] = True
        row = work[column] / pivot
        work = work - work[:, column : column + 1] * row
        work[column] = row
    inverse = work[:, n : 2 * n] * kept * kept[:, None]
    solution = np.where(kept, work[:, 2 * n], 0.0)
    return Solved(solution=solution, inverse=inverse, kept=kept)
