"""How the updates of a round become one: streamed where the rule allows, kept where it does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from strategies.coordinator.plaintext.evidence import Evidence, evidence_of
from strategies.model_state import State
from strategies.rules.inputs import Rule, check_values


class Gathering(Protocol):
    """Takes updates one by one and turns them into one."""

    def add(self, update: NDArray[np.floating], weight: float) -> None:
        """Take the update of one site, shape (dim,), with its weight; refuse NaN."""

    def result(self) -> Vector:
        """Return the aggregate of what was added, shape (dim,)."""


class Matrix:
    """Gathers all updates of a round for a rule that must see them together.

    Memory grows with the number of sites: float32, shape (n_sites, dim).
    """

    def __init__(self, rule: Rule, dim: int, n_sites: int) -> None:
        self._rule = rule
        self._updates = np.empty((n_sites, dim), np.float32)
        self._weights: list[float] = []

    def add(self, update: NDArray[np.floating], weight: float) -> None:
        """Take the update of one site, shape (dim,), with its weight; refuse NaN."""
        check_values(update)
        self._updates[len(self._weights)] = update
        self._weights.append(weight)

    def result(self) -> Vector:
        """Return the rule's aggregate of what was added, shape (dim,)."""
        return self._rule(self._gathered, np.array(self._weights))

    def compared(self, aggregate: Vector) -> Evidence:
        """Return how each update that was added lies to the aggregate, in the order of adding."""
        return evidence_of(self._gathered, aggregate)

    @property
    def _gathered(self) -> NDArray[np.float32]:
        return self._updates[: len(self._weights)]


@dataclass(frozen=True, kw_only=True)
class Gather:
    """How a strategy gathers updates, round after round.

    Args:
        begin: Starts the gathering of one round, from the state before it and the number of
            sites that are asked.
        needs_memory: Whether `begin` wants the last aggregate in the state.
    """

    begin: Callable[[State, int], Gathering]
    needs_memory: bool = False
