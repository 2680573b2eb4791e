"""Normalisation constants, with which every site encodes its records in the same way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sites.schema.tables import Number, NumberLabel, Schema


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of a number on its agreed [0, 1] scale.

    Args:
        mean: Over the pooled records that have a value.
        deviation: Population standard deviation (divided by n, not n - 1); never 0.
    """

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The constants that every site needs to encode its records in the same way.

    Guarantee: computed from the pooled tally with additions, products, quotients and square roots
    in float64 only. IEEE 754 fixes their results to the last bit, so that equal tallies give
    equal bytes on every machine.

    Args:
        numbers: Mean and deviation of each numeric feature by name, in the schema's order.
        label: Mean and deviation of a regression's label; 0 and 1 for classes.
        class_counts: Pooled training records of each class; empty for a regression.
        guarded: By name, the numbers that could not be scaled by the records, and what was used
            instead.
    """

    numbers: Mapping[str, Standard]
    label: Standard = field(default_factory=Standard)
    class_counts: tuple[int, ...] = ()
    guarded: Mapping[str, str] = field(default_factory=dict)


def constants_by_bounds(schema: Schema) -> Constants:
    """Return constants that depend on no record, as if values were uniform between their bounds.

    Guarantee: a function of the schema alone, so that no site needs to release anything.
    """
    # Mean and standard deviation of the uniform distribution on [0, 1].
    even = Standard(mean=0.5, deviation=math.sqrt(1 / 12))
    numbers = {item.name: even for item in schema.features if isinstance(item, Number)}
    label = schema.label
    return Constants(
        label=even if isinstance(label, NumberLabel) else Standard(),
        numbers=numbers,
        class_counts=() if isinstance(label, NumberLabel) else (0,) * len(label.classes),
        guarded=dict.fromkeys(numbers, "no statistics were released: scaled by declared bounds"),
    )
