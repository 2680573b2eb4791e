"""The layout of a federated vector: names and shapes that turn it back into arrays."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError

Vector: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
Tally: TypeAlias = NDArray[np.int64]
Arrays: TypeAlias = Mapping[str, NDArray[np.float32]]

MAX_FIELDS = 10_000
MAX_DIM = 2_000_000_000


class LayoutMismatch(ConsortiumError, ValueError, code="layout-mismatch"):
    """Arrays, or a description of arrays, do not match the agreed layout."""


@dataclass(frozen=True)
class Field:
    """One named array of the federated vector."""

    name: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in the array."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The agreed order, names and shapes of the federated vector.

    Guarantee: at two sites with the same `digest`, a position of the vector stands for the same
    parameter, as a difference from the same start.

    Args:
        fields: The arrays, in the order in which they lie in the vector; names are distinct.
        start: Digest of the start that the vector is a difference from: the base weights, and how
            new parameters are initialised.

    Raises:
        LayoutMismatch: There are no fields, too many, a repeated name or an empty shape.
    """

    fields: tuple[Field, ...]
    start: str = field(default="zero")

    def __post_init__(self) -> None:
        names = [item.name for item in self.fields]
        if not 0 < len(names) <= MAX_FIELDS or len(set(names)) != len(names):
            raise LayoutMismatch(
                f"a layout needs 1 to {MAX_FIELDS} distinct names, got {len(names)} "
                f"of which {len(set(names))} are distinct"
            )
        if any(side < 1 for item in self.fields for side in item.shape) or self.dim > MAX_DIM:
            raise LayoutMismatch(f"shapes must be positive and hold at most {MAX_DIM} numbers")

    @cached_property
    def dim(self) -> int:
        """Numbers in the vector."""
        return sum(item.size for item in self.fields)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical description, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def digest_of(self, vector: Vector) -> str:
        """Return the model digest: SHA-256 of this layout and the vector's float32 numbers."""
        digest = hashlib.sha256(self.digest.encode())
        digest.update(np.ascontiguousarray(vector, "<f4").data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Return the layout as plain JSON values, the inverse of `from_description`."""
        return {
            "start": self.start,
            "fields": [[item.name, list(item.shape)] for item in self.fields],
        }

    @classmethod
    def from_description(cls, description: object) -> "Layout":
        """Parse what `describe` wrote, from untrusted JSON.

        Raises:
            LayoutMismatch: It does not describe a layout.
        """
        match description:
            case {"start": str(start), "fields": [*items]} if len(items) <= MAX_FIELDS:
                return cls(start=start, fields=tuple(_field(item) for item in items))
        raise LayoutMismatch("a layout description needs a start and at most 10000 fields")

    def flatten(self, arrays: Arrays) -> Vector:
        """Return the arrays as one vector, shape (dim,), in the order of `fields`.

        Raises:
            LayoutMismatch: A name is missing or unknown, or a shape differs.
        """
        if set(arrays) != {item.name for item in self.fields}:
            odd = sorted(set(arrays) ^ {item.name for item in self.fields})
            raise LayoutMismatch(
                f"the arrays given are not the agreed ones; they differ in {odd[:5]}"
            )
        for item in self.fields:
            if arrays[item.name].shape != item.shape:
                raise LayoutMismatch(
                    f"{item.name} needs shape {item.shape}, got {arrays[item.name].shape}"
                )
        return np.concatenate(
            [np.asarray(arrays[item.name], dtype=np.float64).ravel() for item in self.fields]
        )

    def unflatten(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the vector as named float32 arrays, the inverse of `flatten`.

        Raises:
            LayoutMismatch: The vector does not have shape (dim,).
        """
        if vector.shape != (self.dim,):
            raise LayoutMismatch(f"the layout holds {self.dim} numbers, got {vector.shape}")
        numbers, parts, start = vector.astype(np.float32), {}, 0
        for item in self.fields:
            parts[item.name] = numbers[start : start + item.size].reshape(item.shape)
            start += item.size
        return parts


def _field(item: object) -> Field:
    match item:
        case [str(name), [*sides]] if len(sides) <= 8:
            # `type`, not `isinstance`: JSON's `true` is an int in Python, and no side of a shape.
            shape = tuple(side for side in sides if type(side) is int)
            if len(shape) == len(sides):
                return Field(name, shape)
    raise LayoutMismatch(
        "each field of a layout must be a name and a list of at most 8 whole numbers"
    )
