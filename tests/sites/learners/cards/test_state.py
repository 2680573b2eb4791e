"""A state of a card is a vector of float32 numbers, and comes back as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Vector
from sites.learners.cards.reasons import reasons
from sites.learners.cards.state import StateForm
from sites.learners.exact_numbers import ImpossibleState
from sites.tasks.tabular.data import Table
from tests.hostile_states import hostile_states, refused_or_done
from tests.sites.learners.cards.card_records import (
    SCHEMA,
    fitted,
    learner_with,
    loans,
    site_data,
    statistics_of,
    tables,
    task_of,
)


@given(tables())
def test_a_state_comes_back_from_its_vector(records: Table) -> None:
    vector = fitted(learner_with(), [records], exchanges=2)
    form = StateForm(SCHEMA)
    state = form.state_of(vector)
    assert form.vector_of(state).tobytes() == vector.tobytes()
    assert state.exchanges == 2
    assert state.totals.tolist() == np.bincount(records.labels, minlength=2).tolist()
    codes = state.codes(records.columns)
    for one, row in zip(state.bins, codes, strict=True):
        assert (row < one.n_bins).all()


def test_before_the_first_exchange_a_state_is_zero() -> None:
    form = StateForm(SCHEMA)
    state = form.state_of(np.zeros(form.layout.dim))
    assert (state.exchanges, state.bins, state.pull) == (0, (), 0.0)
    assert not form.vector_of(state).any()


def test_counts_above_2_to_the_24_are_kept_exactly() -> None:
    learner = learner_with()
    vector = fitted(learner, [loans(500)], exchanges=1)
    state = learner.form.state_of(vector)
    state.totals[:] = [2**40 + 1, 2**33 + 3]
    again = learner.form.state_of(learner.form.vector_of(state))
    assert again.totals.tolist() == [2**40 + 1, 2**33 + 3]


def test_each_record_is_in_the_bin_whose_counts_it_is_in() -> None:
    records = loans(2_000)
    state = learner_with().form.state_of(fitted(learner_with(), [records], exchanges=1))
    for one, row in zip(state.bins, state.codes(records.columns), strict=True):
        counted = np.zeros((2, one.n_bins), np.int64)
        np.add.at(counted, (records.labels.astype(int), row), 1)
        assert one.n_bins > 1
        assert counted.tolist() == one.counts.tolist()


RECORDS = loans(400)
HONEST = [fitted(learner_with(), [RECORDS], exchanges=exchanges) for exchanges in (1, 4)]


@settings(max_examples=150)
@given(st.data(), st.sampled_from(HONEST))
def test_whatever_state_it_is_shown_a_site_refuses_it_by_name_or_counts(
    data: st.DataObject, honest: Vector
) -> None:
    """A coordinator that lies gets a code; an error of another kind would be a fault of ours."""
    learner = learner_with()
    task, statistics = task_of(learner), statistics_of(learner, [RECORDS])
    shown, own = data.draw(hostile_states(honest, task.layout)), site_data(RECORDS, RECORDS)
    for work in (
        lambda: task.count(own, statistics, shown),
        lambda: task.evaluate(own, statistics, shown),
        lambda: learner.results(shown, statistics),
        lambda: reasons(learner.card(shown), RECORDS.columns),
    ):
        assert refused_or_done(work) in {"", "impossible-state"}


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("exchanges", 0.5),
        ("exchanges", -1),
        ("totals", np.nan),
        ("bins", 0),
        ("bins", 1e30),
        ("missing", 19),
        ("cuts", 20),
        ("edges", 1e6),
        ("places", 7),
        ("places", 0.5),
        ("counts", 0),
        ("counts", -10),
        ("heights", np.inf),
        ("anchor", 1e30),
        ("loss", np.nan),
    ],
)
def test_a_state_that_no_run_has_is_refused(part: str, value: float) -> None:
    form = learner_with().form
    vector, at = HONEST[1].copy(), 0
    for one in form.layout.fields:
        if one.name == part:
            vector[at] = value
        at += int(np.prod(one.shape))
    with pytest.raises(ImpossibleState):
        form.state_of(vector)
