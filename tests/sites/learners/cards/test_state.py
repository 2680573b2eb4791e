"""A state of a card is a vector of float32 numbers, and comes back as it was."""

import numpy as np
from hypothesis import given

from sites.learners.cards.state import StateForm
from sites.tasks.tabular.data import Table
from tests.sites.learners.cards.card_records import SCHEMA, fitted, learner_with, loans, tables


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
