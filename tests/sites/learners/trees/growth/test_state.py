"""A state is written and read without loss, as float32 numbers."""

import numpy as np
import pytest

from privacy.layout import LayoutMismatch
from sites.learners.trees.growth.state import KINDS, StateForm, Trees, TreesState
from sites.learners.trees.plan import TreesPlan
from tests.grown_trees import stored


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_what_is_written_is_read_again(depth: int) -> None:
    form = StateForm(TreesPlan(count=2, depth=depth), cells=5)
    rng, inner = np.random.default_rng(depth), (2, 2**depth - 1)
    state = TreesState(
        exchanges=3,
        trees=Trees(
            feature=rng.integers(0, 9, inner),
            cut=rng.integers(0, 255, inner),
            missing_first=rng.random(inner) < 0.5,
            gain=stored(rng.random(inner)),
            leaf=rng.normal(size=(2, 2**depth)).astype(np.float32),
            loss=stored(rng.random(2)),
        ),
        sums=rng.integers(-(2**46), 2**46, (form.counted_nodes, KINDS, 5)),
        second_sent=rng.random(form.counted_nodes) < 0.5,
    )
    vector = stored(form.write(state))
    found = form.read(vector)
    assert found.exchanges == 3
    assert (found.sums == state.sums).all()
    assert (found.second_sent == state.second_sent).all()
    for name in ("feature", "cut", "missing_first", "gain", "leaf", "loss"):
        assert (getattr(found.trees, name) == getattr(state.trees, name)).all()
    assert form.write(found).tobytes() == vector.tobytes()


def test_a_state_of_another_form_is_refused() -> None:
    form = StateForm(TreesPlan(count=2, depth=3), cells=5)
    with pytest.raises(LayoutMismatch):
        form.read(np.zeros(form.layout.dim + 1))


def test_one_node_of_each_pair_is_counted() -> None:
    counted = [StateForm(TreesPlan(depth=depth), 5).counted_nodes for depth in range(1, 7)]
    assert counted == [1, 1, 2, 4, 8, 16]
    assert StateForm(TreesPlan(depth=4), 5).tally.size == 4 * KINDS * 5 + 3
