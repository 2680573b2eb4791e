"""What elimination finds follows from the equations, and nothing that follows is missed."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consortium.audit.league.elimination import combinations_without

UNKNOWN, KEPT = ("s", "t", "u"), ("x", "y", "z")
EQUATIONS = st.lists(
    st.dictionaries(st.sampled_from(UNKNOWN + KEPT), st.sampled_from((-1, 1, 2))), max_size=6
)


@given(equations=EQUATIONS)
def test_a_combination_is_what_its_weights_give_and_holds_no_unknown(
    equations: list[dict[str, int]],
) -> None:
    for one in combinations_without(equations, UNKNOWN, KEPT):
        assert one.left
        assert not {*one.left} & {*UNKNOWN}
        for symbol in UNKNOWN + KEPT:
            summed = sum(
                (weight * equations[at].get(symbol, 0) for at, weight in one.weights.items()),
                Fraction(0),
            )
            assert summed == one.left.get(symbol, 0)


@given(equations=EQUATIONS)
def test_a_symbol_that_follows_alone_stands_alone(equations: list[dict[str, int]]) -> None:
    found = combinations_without(equations, UNKNOWN, KEPT)
    alone = {next(iter(one.left)) for one in found if len(one.left) == 1}
    assert alone == {symbol for symbol in KEPT if follows(symbol, equations)}


def test_a_sum_less_another_leaves_who_is_in_one_only() -> None:
    """Two sets of one round, each closed by a mask of its own: the hole that was mended."""
    sums = [{"x": 1, "y": 1, "z": 1, "s": 1}, {"y": 1, "z": 1, "t": 1}]
    assert combinations_without(sums, UNKNOWN, KEPT) == ()
    first, second = combinations_without([{**sums[0], "s": 0}, {**sums[1], "t": 0}], UNKNOWN, KEPT)
    assert first.left == {"x": Fraction(1)}
    assert first.weights == {0: Fraction(1), 1: Fraction(-1)}
    assert second.left == {"y": Fraction(1), "z": Fraction(1)}


def follows(symbol: str, equations: Sequence[Mapping[str, int]]) -> bool:
    """Return whether a combination is this symbol, by the rank of the equations with it."""
    rows = [[one.get(name, 0) for name in UNKNOWN + KEPT] for one in equations]
    if not rows:
        return False
    wanted = [int(name == symbol) for name in UNKNOWN + KEPT]
    return bool(np.linalg.matrix_rank(rows) == np.linalg.matrix_rank([*rows, wanted]))
