"""Elimination: which combinations of equations hold none of the unknowns any more.

It is exact: over the rationals, as Gauss and Jordan did it. An equation says which symbols a known
thing is the sum of, each with a whole number.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class Combination(Generic[S]):
    """A combination of equations.

    Args:
        weights: How often each equation is in it, by its place.
        left: The symbols that are left, each with its factor; none of them is zero.
    """

    weights: Mapping[int, Fraction]
    left: Mapping[S, Fraction]

    def scaled(self, factor: Fraction) -> "Combination[S]":
        """Return it multiplied by a number that is not zero."""
        return Combination(
            weights={place: factor * one for place, one in self.weights.items()},
            left={symbol: factor * one for symbol, one in self.left.items()},
        )

    def without(self, symbol: S, pivot: "Combination[S]") -> "Combination[S]":
        """Return it without a symbol, by means of another combination that has it."""
        if symbol not in self.left:
            return self
        factor = -self.left[symbol] / pivot.left[symbol]
        return Combination(
            weights=_added(self.weights, pivot.weights, factor),
            left=_added(self.left, pivot.left, factor),
        )


def combinations_without(
    equations: Sequence[Mapping[S, int]], unknown: Iterable[S], kept: Iterable[S]
) -> tuple[Combination[S], ...]:
    """Return a basis of all combinations in which none of the unknowns is left.

    Guarantee: it is in reduced echelon form. So if any combination leaves one symbol alone, that
    symbol is alone in a combination of the basis.

    Args:
        equations: The symbols of each, with their factors.
        unknown: Symbols that must not be left.
        kept: All other symbols, in the order in which they are reduced.
    """
    rows = [
        Combination(
            weights={place: Fraction(1)},
            left={symbol: Fraction(factor) for symbol, factor in one.items() if factor},
        )
        for place, one in enumerate(equations)
    ]
    for symbol in unknown:
        _, rows = _taken_out(rows, symbol)
    basis: list[Combination[S]] = []
    for symbol in kept:
        pivot, rows = _taken_out(rows, symbol)
        if pivot is not None:
            basis = [*(row.without(symbol, pivot) for row in basis), pivot]
    return tuple(basis)


def _taken_out(
    rows: list[Combination[S]], symbol: S
) -> tuple[Combination[S] | None, list[Combination[S]]]:
    """Return a combination that has a symbol once, and the others without it."""
    having = [row for row in rows if symbol in row.left]
    if not having:
        return None, rows
    chosen = min(having, key=lambda row: len(row.left))
    pivot = chosen.scaled(1 / chosen.left[symbol])
    return pivot, [row.without(symbol, pivot) for row in rows if row is not chosen]


def _added(
    first: Mapping[S, Fraction], second: Mapping[S, Fraction], factor: Fraction
) -> dict[S, Fraction]:
    summed = dict(first)
    for symbol, one in second.items():
        summed[symbol] = summed.get(symbol, Fraction(0)) + factor * one
    return {symbol: one for symbol, one in summed.items() if one}
