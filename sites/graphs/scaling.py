"""Numbers on their agreed scale, in a graph: `sites.statistics.tables.scale_values` and back."""

import numpy as np

from sites.graphs.columns import GraphColumns
from sites.graphs.graph import FLOAT64, Draft
from sites.schema.tables import Category, Number, Ranged
from sites.statistics.tables import compress_values


def add_scaled(columns: GraphColumns, number: Number) -> str:
    """Put a number on the scale where `low` is 0 and `high` is 1; return the tensor, (n,)."""
    draft, tensor = columns.draft, columns.values[number.name]
    low, high = _ends(number)
    if number.scale == "log":
        size = draft.add("Log", draft.add_sum(draft.add("Abs", tensor), 1.0))
        tensor = draft.add("Mul", draft.add("Sign", tensor), size)
    share = draft.add("Div", draft.add_sum(tensor, -low), draft.add_constant(high - low))
    return draft.add_clipped(share, 0.0, 1.0)


def add_unscaled(draft: Draft, number: Ranged, share: str) -> str:
    """Put a share back on the unit of a number, within its bounds; return the tensor, (n,)."""
    low, high = _ends(number)
    tensor = draft.add_sum(draft.add_product(draft.add_clipped(share, 0.0, 1.0), high - low), low)
    if number.scale == "log":
        size = draft.add_sum(draft.add("Exp", draft.add("Abs", tensor)), -1.0)
        tensor = draft.add("Mul", draft.add("Sign", tensor), size)
    return draft.add_clipped(tensor, number.low, number.high)


def add_standardised(
    columns: GraphColumns, number: Number, *, mean: float, deviation: float
) -> str:
    """Scale, shift and stretch a number; return the tensor, (n,), 0 where it is missing."""
    draft = columns.draft
    shifted = draft.add_sum(add_scaled(columns, number), -mean)
    standard = draft.add("Div", shifted, draft.add_constant(deviation))
    return columns.add_chosen(number, missing=0.0, present=standard)


def add_one_hot(columns: GraphColumns, category: Category, *, first: int = 0) -> str:
    """Say which value of a category there is; return the tensor, float64.

    Shape (n, number of values - first); 0 where it is missing.

    Args:
        columns: The columns.
        category: One of them.
        first: The code of the first value that has a column.
    """
    draft = columns.draft
    codes = draft.add_column(columns.values[category.name])
    is_there = draft.add(
        "Equal", codes, draft.add_constant(np.arange(first, len(category.values))[None])
    )
    return draft.add("Cast", is_there, to=FLOAT64)


def _ends(number: Ranged) -> tuple[float, float]:
    low, high = compress_values(number, np.array([number.low, number.high])).tolist()
    return low, high
