"""The cells of a column do not depend on the order in which resources are seen."""

import math
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.mapped.cells import Cells, Extreme, Mean, Nearest, Tallied

KINDS: dict[str, Callable[[], Cells]] = {
    "count": lambda: Tallied(2),
    "exists": lambda: Tallied(2, ("no", "yes")),
    "first": lambda: Nearest("first", 2),
    "latest": lambda: Nearest("latest", 2),
    "min": lambda: Extreme("min", 2),
    "max": lambda: Extreme("max", 2),
    "mean": lambda: Mean(2),
}
SEEN = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=8)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@given(seen=SEEN, seed=st.randoms(use_true_random=False))
def test_the_order_of_resources_changes_no_cell(
    make: Callable[[], Cells], seen: list[tuple[int, int]], seed: Random
) -> None:
    def cells(order: list[tuple[int, int]]) -> list[object]:
        made = make()
        for instant, value in order:
            made.add(1, float(instant), float(value), 7)
        assert made.places.tolist() == [-1, 7]
        return list(made.column([1]))

    shuffled = [*seen]
    seed.shuffle(shuffled)
    assert cells(seen) == cells(shuffled)


@given(SEEN)
def test_each_kind_is_what_it_says_of_all_values(seen: list[tuple[int, int]]) -> None:
    values = [value for _, value in seen]
    wanted = {
        "count": len(seen),
        "exists": "yes",
        "first": min(seen)[1],
        "latest": max(seen)[1],
        "min": min(values),
        "max": max(values),
        "mean": sum(values) / len(values),
    }
    for name, make in KINDS.items():
        cells = make()
        for instant, value in seen:
            cells.add(0, float(instant), float(value), 1)
        assert cells.column([0]).item() == wanted[name]


def test_words_are_kept_as_words_and_nothing_is_missing() -> None:
    cells = Nearest("latest", 2)
    cells.add(0, 1.0, "a", 5)
    assert cells.value(1) is None
    assert list(cells.column([0, 1])) == ["a", None]
    assert math.isnan(Nearest("first", 1).column([0]).item())
    assert Tallied(1, ("alive", "dead")).column([0]).item() == "alive"
    assert Tallied(1).column([0]).item() == 0
