"""The cells of a column, as one resource after the other is seen.

Guarantee: the order in which resources are seen changes nothing, but the last bits of a mean.
"""

import math
from array import array
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import pandas as pd

Value: TypeAlias = float | str
Series: TypeAlias = "pd.Series[Any]"
Take: TypeAlias = Literal["exists", "count", "first", "latest", "min", "max", "mean"]
_NOWHERE = -1


class Cells(Protocol):
    """The cells of a column, one for each row."""

    places: "array[int]"
    """Where the resource stands that a cell comes from; -1 if none does."""

    def add(self, row: int, instant_s: float, value: Value, place: int) -> None:
        """Take what a resource says of a row.

        Args:
            row: The row.
            instant_s: When it was.
            value: What it says.
            place: Where it stands.
        """

    def column(self, rows: Sequence[int]) -> Series:
        """Return the cells of these rows; missing where no resource says anything."""


class Tallied:
    """How many resources there are, or whether there is one.

    Args:
        n_rows: Number of rows.
        answers: What a cell says if there is none, and if there is one; None for the number.
    """

    def __init__(self, n_rows: int, answers: tuple[str, str] | None = None) -> None:
        self.places = array("q", [_NOWHERE]) * n_rows
        self._counts = array("q", [0]) * n_rows
        self._answers = answers

    def add(self, row: int, instant_s: float, value: Value, place: int) -> None:
        """Count a resource."""
        self._counts[row] += 1
        self.places[row] = place

    def column(self, rows: Sequence[int]) -> Series:
        """Return the numbers, or the answers."""
        if self._answers is None:
            return pd.Series([float(self._counts[row]) for row in rows], dtype=np.float64)
        return pd.Series([self._answers[self._counts[row] > 0] for row in rows], dtype=object)


class Nearest:
    """What the first or the latest resource says.

    Of several at the same moment, the first is that with the smallest value, and the latest that
    with the largest.

    Args:
        take: Which of them.
        n_rows: Number of rows.
    """

    def __init__(self, take: Literal["first", "latest"], n_rows: int) -> None:
        self.places = array("q", [_NOWHERE]) * n_rows
        self._instants = array("d", [0.0]) * n_rows
        self._values: list[Value | None] = [None] * n_rows
        self._latest = take == "latest"

    def add(self, row: int, instant_s: float, value: Value, place: int) -> None:
        """Keep what a resource says if it is nearer than what is there."""
        before = self._values[row]
        if before is not None:
            old, new = (self._instants[row], before), (instant_s, value)
            if not (new > old if self._latest else new < old):
                return
        self._instants[row], self._values[row], self.places[row] = instant_s, value, place

    def value(self, row: int) -> Value | None:
        """Return what the nearest resource of a row says; None if there is none."""
        return self._values[row]

    def column(self, rows: Sequence[int]) -> Series:
        """Return the values."""
        return _series([self._values[row] for row in rows])


class Extreme:
    """The least or the greatest number.

    Args:
        take: Which of them.
        n_rows: Number of rows.
    """

    def __init__(self, take: Literal["min", "max"], n_rows: int) -> None:
        self.places = array("q", [_NOWHERE]) * n_rows
        self._values = array("d", [math.nan]) * n_rows
        self._greatest = take == "max"

    def add(self, row: int, instant_s: float, value: Value, place: int) -> None:
        """Keep a number if it is beyond what is there."""
        number, before = float(value), self._values[row]
        beyond = number > before if self._greatest else number < before
        if beyond or math.isnan(before):
            self._values[row], self.places[row] = number, place

    def column(self, rows: Sequence[int]) -> Series:
        """Return the numbers."""
        return pd.Series([self._values[row] for row in rows], dtype=np.float64)


class Mean:
    """The mean of the numbers.

    Args:
        n_rows: Number of rows.
    """

    def __init__(self, n_rows: int) -> None:
        self.places = array("q", [_NOWHERE]) * n_rows
        self._sums = array("d", [0.0]) * n_rows
        self._counts = array("q", [0]) * n_rows

    def add(self, row: int, instant_s: float, value: Value, place: int) -> None:
        """Add a number."""
        self._sums[row] += float(value)
        self._counts[row] += 1
        self.places[row] = place

    def column(self, rows: Sequence[int]) -> Series:
        """Return the means."""
        means = [
            self._sums[row] / self._counts[row] if self._counts[row] else math.nan for row in rows
        ]
        return pd.Series(means, dtype=np.float64)


def empty_cells(take: Take, answers: tuple[str, str], n_rows: int) -> Cells:
    """Return the cells of a column before anything is seen.

    Args:
        take: What is taken of the resources of a row.
        answers: For `exists`, what a cell says if there is none, and if there is one.
        n_rows: Number of rows.
    """
    match take:
        case "exists":
            return Tallied(n_rows, answers)
        case "count":
            return Tallied(n_rows)
        case "first" | "latest":
            return Nearest(take, n_rows)
        case "min" | "max":
            return Extreme(take, n_rows)
        case "mean":
            return Mean(n_rows)


def _series(values: Sequence[Value | None]) -> Series:
    if any(isinstance(value, str) for value in values):
        return pd.Series(values, dtype=object)
    return pd.Series([math.nan if value is None else value for value in values], dtype=np.float64)
