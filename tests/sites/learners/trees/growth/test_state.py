"""A state is written and read without loss, as float32 numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import LayoutMismatch, Vector
from sites.learners.exact_numbers import ImpossibleState
from sites.learners.trees.growth.state import KINDS, StateForm, Trees, TreesState
from sites.learners.trees.plan import TreesPlan
from tests.grown_trees import (
    grown,
    learner_of,
    records,
    schema_of,
    site,
    statistics_of,
    stored,
    task_of,
)
from tests.hostile_states import hostile_states, refused_or_done


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_what_is_written_is_read_again(depth: int) -> None:
    form = StateForm(TreesPlan(count=2, depth=depth), cells=5)
    rng, inner = np.random.default_rng(depth), (2, 2**depth - 1)
    state = TreesState(
        exchanges=2,
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
    assert found.exchanges == 2
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


LEARNER, OWN = learner_of(schema_of()), site(records(1, 200), records(2, 50))
STATISTICS = statistics_of(LEARNER, [OWN])
HONEST = [grown(LEARNER, [OWN], exchanges=exchanges) for exchanges in (2, 9)]


@settings(max_examples=150)
@given(st.data(), st.sampled_from(HONEST))
def test_whatever_state_it_is_shown_a_site_refuses_it_by_name_or_counts(
    data: st.DataObject, honest: Vector
) -> None:
    """A coordinator that lies gets a code; an error of another kind would be a fault of ours."""
    task = task_of(LEARNER)
    shown = data.draw(hostile_states(honest, task.layout))
    for work in (
        lambda: task.count(OWN, STATISTICS, shown),
        lambda: task.evaluate(OWN, STATISTICS, shown),
        lambda: LEARNER.results(shown, STATISTICS),
        lambda: LEARNER.files(shown, STATISTICS),
    ):
        assert refused_or_done(work) in {"", "impossible-state"}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("feature", 4),
        ("feature", -1),
        ("feature", 1e30),
        ("cut", 0.5),
        ("cut", 200),
        ("gain", np.inf),
        ("leaf", 1e30),
        ("loss", 2),
        ("exchanges", 10),
        ("exchanges", -1),
        ("sums", 1e30),
        ("second-sent", np.nan),
    ],
)
def test_a_state_that_no_run_has_is_refused(part: str, value: float) -> None:
    vector, at = HONEST[1].copy(), 0
    for one in LEARNER.form.layout.fields:
        if one.name == part:
            vector[at] = value
        at += int(np.prod(one.shape))
    with pytest.raises(ImpossibleState):
        LEARNER.forest(LEARNER.form.read(vector), STATISTICS)
