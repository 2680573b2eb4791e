"""What a site sends in a round: an update vector, or a tally of exact integers.

Both ends derive everything about an answer from this one value: its length on the wire, its place
in the ciphertexts, whose sums are opened, and what no site can have counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from privacy.errors import ConsortiumError, number_of
from privacy.layout import Tally

LARGEST_ENTRY = 2**41


class BadContribution(ConsortiumError, ValueError, code="bad-contribution"):
    """A tally would be empty, or its bounds are beyond what a sum holds exactly."""


class SumOutOfBounds(ConsortiumError, ValueError, code="sum-out-of-bounds"):
    """A tally holds a number that no site, or no such number of sites, can have counted."""


class Contribution(Protocol):
    """What a site sends in a round besides its evaluation counts.

    Args:
        exact: Whether it is added up without weights, buckets or rules, and opened over all
            sites of a run only: with another roster each time, exact sums would show one site.
    """

    exact: ClassVar[bool]

    @property
    def tally_size(self) -> int:
        """Exact integers that are sent; 0 for an update."""

    def update_dim(self, dim: int) -> int:
        """Return how many numbers of a federated vector of this size are sent; 0 for a tally."""

    def weight_classes(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """Return the weight classes that a receipt may claim, of those that the run allows."""

    def check(self, tally: Tally, *, sites: int) -> None:
        """Refuse integers that so many sites cannot have counted.

        Raises:
            SumOutOfBounds: They are beyond the bounds, or of another number.
        """


@dataclass(frozen=True)
class UpdateVector:
    """An update of the whole federated vector: float32 in the clear, levels under encryption.

    It has a weight, and a rule turns the updates of a round into one.
    """

    exact: ClassVar[bool] = False

    @property
    def tally_size(self) -> int:
        """No integers."""
        return 0

    def update_dim(self, dim: int) -> int:
        """Return all of them."""
        return dim

    def weight_classes(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """Return all that the run allows."""
        return tuple(allowed)

    def check(self, tally: Tally, *, sites: int) -> None:
        """Refuse integers: an update holds none. Its values are checked where it is added.

        Raises:
            SumOutOfBounds: There are some.
        """
        if tally.size:
            raise SumOutOfBounds(f"an update holds no tally, got {tally.size} integers")


@dataclass(frozen=True, kw_only=True)
class ExactTally:
    """A tally of exact integers, added up as they are: int64 in the clear, 41 bits encrypted.

    Args:
        size: Integers in it, at least 1.
        bounds: Smallest and largest integer that one site can send, below 2^41 in size. With
            them a sum over sites cannot overflow, and a lie moves it by no more.

    Raises:
        BadContribution: There is nothing to send, or the bounds are none.
    """

    size: int
    bounds: tuple[int, int] = (0, LARGEST_ENTRY - 1)

    exact: ClassVar[bool] = True

    def __post_init__(self) -> None:
        low, high = self.bounds
        if self.size < 1 or not -LARGEST_ENTRY < low <= high < LARGEST_ENTRY:
            raise BadContribution(
                f"a tally has 1 integer or more, within bounds below 2^41 in size; got "
                f"{self.size} within {low} to {high}"
            )

    @property
    def tally_size(self) -> int:
        """All of its integers."""
        return self.size

    def update_dim(self, dim: int) -> int:
        """Return 0: nothing of the federated vector is sent."""
        return 0

    def weight_classes(self, allowed: Sequence[int]) -> tuple[int, ...]:
        """Return 1 alone: integers are added as they are, and a receipt tells no size."""
        return (1,)

    def check(self, tally: Tally, *, sites: int) -> None:
        """Refuse integers that so many sites cannot have counted.

        Raises:
            SumOutOfBounds: They are beyond the bounds, or of another number.
        """
        low, high = self.bounds
        if tally.shape != (self.size,):
            raise SumOutOfBounds(f"{self.size} integers are needed, got shape {tally.shape}")
        if not sites * low <= tally.min() <= tally.max() <= sites * high:
            raise SumOutOfBounds(
                f"a sum over {number_of(sites, 'site')} is from {sites * low} to {sites * high}; "
                "an integer is "
                "beyond",
                sites=sites,
            )
