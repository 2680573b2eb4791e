"""What people choose of the size of updates: how each number is written, and which ones travel."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from privacy.compression.codecs import (
    FLOAT32,
    BadCompression,
    Codec,
    Float16,
    Int8,
    TopK,
    largest,
)
from privacy.declarations import Since, require_declared
from privacy.layout import Vector

Compression: TypeAlias = Literal["none", "float16", "int8", "top-k"]
Places: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class CompressionPlan:
    """How a site writes its update in a run in the clear.

    Raises:
        BadCompression: A value is out of range.
    """

    name: Annotated[
        Compression,
        Field(
            alias="compression",
            description="How a site writes its update in the clear: as it is, in 16 bits or in 8 "
            "bits a number, or only its largest numbers. What is left out is kept at the site and "
            "added to its next update (error feedback). The model that sites receive is never "
            "compressed.",
        ),
        Since("0.2.0"),
    ] = "none"
    share: Annotated[
        float,
        Field(
            alias="compression-share",
            gt=0,
            le=1,
            description="For `top-k`: share of the numbers that are sent, eight bytes each.",
        ),
        Since("0.2.0"),
    ] = 0.05

    def __post_init__(self) -> None:
        require_declared(self, BadCompression)

    @property
    def codec(self) -> Codec:
        """How the numbers of an update are written."""
        match self.name:
            case "none":
                return FLOAT32
            case "float16":
                return Float16()
            case "int8":
                return Int8()
            case "top-k":
                return TopK(self.share)


@dataclass(frozen=True, kw_only=True)
class PruningPlan:
    """Which numbers of the model are trained, sent and sealed after some rounds.

    The model is the federated vector: the difference from the start that everybody knows. After
    round `after` its smallest numbers go back to zero and stay there. Everybody who holds the
    model finds which ones, so no message says it and nothing new is told.

    Guarantee: the same model gives the same places on every machine.

    Raises:
        BadCompression: A value is out of range.
    """

    share: Annotated[
        float,
        Field(
            alias="prune-to",
            gt=0,
            le=1,
            description="Share of the model's numbers that are trained and sent after round "
            "`prune-after`: those of the largest magnitude, as changes from the start. The others "
            "go back to the start and stay there. 1 prunes nothing.",
        ),
        Since("0.2.0"),
    ] = 1.0
    after: Annotated[
        int,
        Field(
            alias="prune-after",
            ge=1,
            le=100_000,
            description="For `prune-to` below 1: the last round that trains all numbers.",
        ),
        Since("0.2.0"),
    ] = 5

    def __post_init__(self) -> None:
        require_declared(self, BadCompression)

    @property
    def prunes(self) -> bool:
        """Whether anything is pruned."""
        return self.share < 1

    def size(self, dim: int, server_round: int) -> int:
        """Return how many of so many numbers are sent in a round."""
        pruned = self.prunes and server_round > self.after
        return min(dim, math.ceil(self.share * dim)) if pruned else dim

    def places(self, vector: NDArray[np.floating], server_round: int) -> Places | None:
        """Return the places of the numbers that are trained and sent in a round, sorted.

        Args:
            vector: The model that the round starts from, shape (dim,).
            server_round: The round.

        Returns:
            Shape (size,), or None in a round that trains all of them.
        """
        if not self.prunes or server_round <= self.after:
            return None
        return largest(vector, self.size(vector.size, server_round))

    def pruned(self, before: Vector, after: Vector, server_round: int) -> Vector:
        """Return the model after a round, its pruned numbers zero.

        Args:
            before: The model that the round started from, shape (dim,).
            after: The model that it gave, shape (dim,).
            server_round: The round.
        """
        # In the round that prunes, the largest are those of the model that it gave.
        known = before if server_round > self.after else after
        places = self.places(known, max(server_round, self.after + 1))
        if places is None or server_round < self.after:
            return after
        sparse = np.zeros_like(after)
        sparse[places] = after[places]
        return sparse
