"""Aggregation of a round's updates: streamed if the rule allows it, else stacked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from strategies.model_state import State
from strategies.rules.inputs import WIDTH, Rows, Rule, blocks, check_values
from strategies.rules.norms import row_norms
from strategies.rules.separate_rows import SeparateRows


@dataclass(frozen=True, eq=False, kw_only=True)
class UpdateDeviation:
    """Deviation of each site's update from the aggregate of the round; each shape (n_sites,).

    Args:
        norms: L2 norm of the update.
        distances: L2 norm of its difference from the aggregate.
        cosines: Cosine of the angle between the two; 0 if one of them is zero.
    """

    norms: Vector
    distances: Vector
    cosines: Vector


class Gathering(Protocol):
    """Takes updates or tallies one by one and returns their aggregate."""

    def add(self, update: NDArray[Any], weight: float) -> None:
        """Add what one site sent, shape (size,), with its weight; refuse NaN."""

    def result(self) -> NDArray[Any]:
        """Return the aggregate of what was added, shape (size,)."""


class ExactSum:
    """Adds tallies as they are; weights do not count.

    Args:
        size: Integers in a tally.
    """

    def __init__(self, size: int) -> None:
        self._total: Tally = np.zeros(size, np.int64)

    def add(self, update: NDArray[Any], weight: float) -> None:
        """Add the tally of one site, shape (size,)."""
        self._total += update

    def result(self) -> Tally:
        """Return the sum, shape (size,)."""
        return self._total


class StackedUpdates:
    """Holds all updates of a round, for a rule that must see them together.

    Memory grows with the number of sites: each update stays where it came, and none is copied.
    """

    def __init__(self, rule: Rule, dim: int) -> None:
        self._rule = rule
        self._dim = dim
        self._updates: list[NDArray[np.float32]] = []
        self._weights: list[float] = []

    def add(self, update: NDArray[np.floating], weight: float) -> None:
        """Add the update of one site, shape (dim,), with its weight; refuse NaN.

        The update must not change until the result is out.
        """
        check_values(update)
        self._updates.append(np.asarray(update, np.float32))
        self._weights.append(weight)

    def result(self) -> Vector:
        """Return the rule's aggregate of the updates added, shape (dim,)."""
        return self._rule(self._rows, np.array(self._weights))

    def deviation_from(self, aggregate: Vector) -> UpdateDeviation:
        """Return the deviation of each update from the aggregate, in the order of adding."""
        return update_deviation(self._rows, aggregate)

    @property
    def _rows(self) -> SeparateRows:
        return SeparateRows(tuple(self._updates), self._dim)


@dataclass(frozen=True, kw_only=True)
class Gather:
    """How a strategy aggregates updates, round after round.

    Args:
        begin: Returns the gathering for one round, from the state before it.
    """

    begin: Callable[[State], Gathering]


def update_deviation(updates: Rows, aggregate: Vector) -> UpdateDeviation:
    """Return the deviation of each update from the aggregate.

    Guarantee: it is computed block by block, in memory that does not grow with dim. An outlier may
    be a liar, or a site whose records differ from the others': the figures do not tell which.

    Args:
        updates: Shape (n_sites, dim).
        aggregate: Shape (dim,).
    """
    norms = row_norms(updates)
    products = np.zeros(updates.shape[0])
    for columns, block in blocks(updates, WIDTH):
        products += block.astype(np.float64) @ aggregate[columns]
    lengths = norms * np.linalg.norm(aggregate)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return UpdateDeviation(
        norms=norms, distances=row_norms(updates, aggregate), cosines=np.clip(cosines, -1, 1)
    )
