"""Updates that lie in memory one by one, as they came, and how rows of any updates are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.rules.inputs import Rows, column_slices


@dataclass(frozen=True, eq=False)
class SeparateRows:
    """Updates that no matrix holds: what a site sent is read where it lies.

    Args:
        rows: The updates, each shape (dim,), float32. They must not change.
        dim: Values of an update.
    """

    rows: tuple[NDArray[np.float32], ...]
    dim: int

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows, and dim."""
        return len(self.rows), self.dim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Float32."""
        return np.dtype(np.float32)

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.float32]:
        chosen, columns = self.rows[key[0]], key[1]
        block = np.empty((len(chosen), len(range(*columns.indices(self.dim)))), np.float32)
        for target, row in zip(block, chosen, strict=True):
            target[:] = row[columns]
        return block


def row_pieces(updates: Rows, columns: slice) -> Sequence[NDArray[Any]]:
    """Return some columns of each update, unchecked; what lies in memory is not copied.

    Args:
        updates: Shape (n_sites, dim).
        columns: The columns.
    """
    if isinstance(updates, SeparateRows):
        return [row[columns] for row in updates.rows]
    return list(np.asarray(updates[:, columns]))


def copy_of_row(updates: Rows, row: int, width: int) -> NDArray[np.float64]:
    """Return one update, shape (dim,), as float64; read in blocks of so many columns."""
    dim = updates.shape[1]
    result = np.empty(dim)
    for columns in column_slices(dim, width):
        result[columns] = row_pieces(updates, columns)[row]
    return result
