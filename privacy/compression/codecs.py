"""How the numbers of an update are written in fewer bytes, and read again.

Each codec is deterministic, and its length depends on nothing but how many numbers there are: no
length tells anything of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError

Numbers: TypeAlias = NDArray[np.float32]

_SINGLE, _HALF, _PLACE = 4, 2, 4  # bytes
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
_LEVELS = 127


class BadCompression(ConsortiumError, ValueError, code="bad-compression"):
    """A setting is out of range, or an update cannot be compressed, or bytes are none."""


class Codec(Protocol):
    """One way to write numbers. What it loses, error feedback sends later.

    `lengths` says how many of the numbers belong to each array of the layout.
    """

    def num_bytes(self, dim: int, arrays: int) -> int:
        """Return the bytes of so many numbers of so many arrays."""

    def write(self, numbers: Numbers, lengths: Sequence[int]) -> bytes:
        """Return the bytes for finite numbers, shape (dim,)."""

    def read(self, data: bytes, lengths: Sequence[int]) -> Numbers:
        """Return the numbers, shape (dim,), from bytes of the right length that a peer sent.

        Numbers that are not finite are left for the pass that adds updates up.

        Raises:
            BadCompression: `write` gives no such bytes.
        """


@dataclass(frozen=True)
class Float32:
    """Float32, four bytes a number: nothing is lost."""

    def num_bytes(self, dim: int, arrays: int) -> int:
        """Return four bytes a number."""
        return _SINGLE * dim

    def write(self, numbers: Numbers, lengths: Sequence[int]) -> bytes:
        """Return the numbers as they are."""
        return numbers.astype("<f4").tobytes()

    def read(self, data: bytes, lengths: Sequence[int]) -> Numbers:
        """Return the numbers as they came."""
        return np.frombuffer(data, "<f4")


FLOAT32 = Float32()


@dataclass(frozen=True)
class Float16:
    """Float16, two bytes a number.

    Guarantee: up to 65,504 a number is off by at most 2^-11 of itself or 2^-25. A larger one is
    sent as 65,504.
    """

    def num_bytes(self, dim: int, arrays: int) -> int:
        """Return two bytes a number."""
        return _HALF * dim

    def write(self, numbers: Numbers, lengths: Sequence[int]) -> bytes:
        """Return the nearest numbers of 16 bits."""
        return np.clip(numbers, -_LARGEST_FLOAT16, _LARGEST_FLOAT16).astype("<f2").tobytes()

    def read(self, data: bytes, lengths: Sequence[int]) -> Numbers:
        """Return the numbers of 16 bits as they came."""
        return np.frombuffer(data, "<f2").astype(np.float32)


@dataclass(frozen=True)
class Int8:
    """One byte a number, and for each array the largest number that a byte stands for.

    Guarantee: a number is off by at most 1/254 of the largest one of its array, up to the rounding
    of float32.
    """

    def num_bytes(self, dim: int, arrays: int) -> int:
        """Return a byte a number and four an array."""
        return dim + _SINGLE * arrays

    def write(self, numbers: Numbers, lengths: Sequence[int]) -> bytes:
        """Return the scale of each array, then the nearest level of each number."""
        parts = np.split(numbers, np.cumsum(lengths)[:-1])
        scales = np.array([np.abs(part).max(initial=0.0) for part in parts], "<f4")
        # An array of zeros has scale 0, and its levels are 0 whatever they are divided by.
        steps = np.repeat(np.where(scales > 0, scales, 1.0) / np.float64(_LEVELS), lengths)
        levels = np.rint(numbers.astype(np.float64) / steps)
        return scales.tobytes() + np.clip(levels, -_LEVELS, _LEVELS).astype("i1").tobytes()

    def read(self, data: bytes, lengths: Sequence[int]) -> Numbers:
        """Return each level times the step of its array.

        Raises:
            BadCompression: A scale is no finite number of 0 or more, or a level is -128.
        """
        scales = np.frombuffer(data, "<f4", len(lengths))
        levels = np.frombuffer(data, "i1", -1, scales.nbytes)
        if not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise BadCompression("every scale of an update in 8 bits is finite and 0 or more")
        if (levels < -_LEVELS).any():
            raise BadCompression(f"a level of an update in 8 bits is from -{_LEVELS} to {_LEVELS}")
        steps = np.repeat(scales.astype(np.float64) / _LEVELS, lengths)
        return (levels * steps).astype(np.float32)


@dataclass(frozen=True)
class TopK:
    """The numbers of the largest magnitude, as float32, each with its place.

    Guarantee: of k numbers among dim, what is lost is at most 1 - k / dim of the sum of squares
    (Alistarh et al. 2018, arXiv:1809.10505).

    Args:
        share: Of the numbers, so many are sent, rounded up.
    """

    share: float

    def count(self, dim: int) -> int:
        """Return how many of so many numbers are sent."""
        return min(dim, math.ceil(self.share * dim))

    def num_bytes(self, dim: int, arrays: int) -> int:
        """Return eight bytes for each number that is sent."""
        return (_SINGLE + _PLACE) * self.count(dim)

    def write(self, numbers: Numbers, lengths: Sequence[int]) -> bytes:
        """Return the places, from the first to the last, then their numbers."""
        places = largest(numbers, self.count(numbers.size))
        return places.astype("<u4").tobytes() + numbers[places].astype("<f4").tobytes()

    def read(self, data: bytes, lengths: Sequence[int]) -> Numbers:
        """Return the numbers at their places, and zeros at the others.

        Raises:
            BadCompression: A place is beyond the update, or not behind the one before it.
        """
        dim = sum(lengths)
        count = self.count(dim)
        places = np.frombuffer(data, "<u4", count).astype(np.int64)
        if places.max() >= dim or (np.diff(places) <= 0).any():
            raise BadCompression(
                f"the places of an update of {dim} numbers are below it and in order, each once"
            )
        numbers = np.zeros(dim, np.float32)
        numbers[places] = np.frombuffer(data, "<f4", count, _PLACE * count)
        return numbers


def largest(numbers: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Return the places of the numbers of the largest magnitude, sorted, shape (count,).

    Guarantee: of equal ones the first are taken, so every machine finds the same places.

    Args:
        numbers: Shape (dim,), all finite.
        count: How many, from 1 to dim.
    """
    sizes = np.abs(numbers)
    smallest = np.partition(sizes, numbers.size - count)[numbers.size - count]
    above = np.flatnonzero(sizes > smallest)
    equal = np.flatnonzero(sizes == smallest)[: count - above.size]
    return np.sort(np.concatenate([above, equal]))
