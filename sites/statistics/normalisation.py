"""The constants by which every site encodes its records as all others do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sites.schema.tables import Number, NumberLabel, Schema


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of a number on its agreed [0, 1] scale.

    Args:
        mean: Over the pooled records that have a value.
        deviation: The population's, dividing by their number; never 0.
    """

    mean: float = 0.0
    deviation: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Constants:
    """What every site needs to encode its records as all others do.

    Guarantee: computed from the pooled tally by additions, products, quotients and square roots
    in float64 alone, which IEEE 754 fixes to the last bit: equal tallies give equal bytes
    everywhere.

    Args:
        numbers: By name, in the schema's order.
        label: Of a regression's label; the identity for classes.
        class_counts: Pooled training records of each class; empty for a regression.
        guarded: Numbers that no records scale, by name, and what was done about it.
    """

    numbers: Mapping[str, Standard]
    label: Standard = field(default_factory=Standard)
    class_counts: tuple[int, ...] = ()
    guarded: Mapping[str, str] = field(default_factory=dict)


def constants_by_bounds(schema: Schema) -> Constants:
    """Return constants that no record has a part in: as of values spread evenly between bounds.

    Guarantee: a function of the schema alone, so that nothing need be released to know them.
    """
    even = Standard(mean=0.5, deviation=math.sqrt(1 / 12))
    numbers = {item.name: even for item in schema.features if isinstance(item, Number)}
    label = schema.label
    return Constants(
        label=even if isinstance(label, NumberLabel) else Standard(),
        numbers=numbers,
        class_counts=() if isinstance(label, NumberLabel) else (0,) * len(label.classes),
        guarded=dict.fromkeys(numbers, "no statistics were released: scaled by declared bounds"),
    )
