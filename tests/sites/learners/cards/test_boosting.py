"""The curves of a card end at the minimum that any optimiser finds, by sums over bins alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from privacy.contribution import LARGEST_ENTRY
from privacy.layout import Vector
from sites.learners.cards.boosting import (
    RIDGE,
    count_sums,
    log_odds_nearby,
    next_state,
    read_sums,
    sums_size,
)
from sites.learners.cards.merging import FEWEST_OF_CLASS, MOST_BINS
from sites.learners.cards.state import CardState
from sites.statistics.tally import MOST_RECORDS
from sites.tasks.tabular.data import Table
from tests.sites.learners.cards.card_records import fitted, learner_with, loans, tables


def state_after(records: Table, exchanges: int, **plan: str) -> CardState:
    learner = learner_with(**plan)
    return learner.form.state_of(fitted(learner, [records], exchanges=exchanges))


def least_loss(state: CardState, records: Table) -> tuple[float, Vector]:
    """Return what scipy finds for the same loss: its least value, and the log-odds of records."""
    codes = state.codes(records.columns)
    rows = [np.eye(one.n_bins)[row] for one, row in zip(state.bins, codes, strict=True)]
    inputs = np.concatenate([np.ones((len(records), 1)), *rows], axis=1)
    first = (records.labels == 0).astype(np.float64)

    def loss(at: Vector) -> tuple[float, Vector]:
        log_odds = inputs @ at
        share = 1 / (1 + np.exp(-log_odds))
        value = (np.logaddexp(0, log_odds) - first * log_odds).sum()
        slope = inputs.T @ (share - first)
        slope[1:] += RIDGE * at[1:]
        return float(value + RIDGE / 2 * (at[1:] @ at[1:])), slope

    start = np.zeros(inputs.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-14})
    return float(found.fun), inputs @ found.x


def log_odds_of(state: CardState, records: Table) -> Vector:
    heights = state.anchor[1:].reshape(-1, MOST_BINS)
    codes = state.codes(records.columns)
    return np.asarray(
        state.anchor[0] + sum(row[code] for row, code in zip(heights, codes, strict=True))
    )


@pytest.mark.parametrize("n", [400, 3_000])
def test_steps_on_sums_end_at_the_minimum(n: int) -> None:
    records = loans(n)
    state = state_after(records, 40)
    least, log_odds = least_loss(state, records)
    assert state.loss == pytest.approx(least, rel=1e-6)
    assert log_odds_of(state, records) == pytest.approx(log_odds, abs=0.01)
    assert state.pull < 1e-3


def test_after_sixteen_exchanges_hardly_any_loss_is_left() -> None:
    records = loans(3_000)
    state, first = state_after(records, 16), state_after(records, 2)
    least, _ = least_loss(state, records)
    assert state.loss - least < 5e-3 * (first.loss - least)


@given(tables(), st.integers(2, 6))
def test_the_loss_of_the_card_never_rises(records: Table, exchanges: int) -> None:
    before, after = state_after(records, exchanges), state_after(records, exchanges + 1)
    assert after.loss <= before.loss
    assert np.isfinite(after.heights).all()


def test_where_features_tell_the_classes_apart_completely_curves_stay_low() -> None:
    records = loans(1_000)
    labels = (records.columns["bill"] > 500).astype(np.int64)
    labels[:30] = 1 - labels[:30]  # as each bin needs ten of each class
    apart = Table(columns=records.columns, labels=labels, persons=records.persons)
    state = state_after(apart, 30)
    assert np.abs(state.anchor).max() < 10
    assert state.pull < 0.1


def test_a_step_that_went_too_far_is_halved() -> None:
    records = loans(500)
    state = state_after(records, 4)
    far = replace(state, heights=state.heights + 8.0)
    halved = next_state(far, count_sums(far, records), {})
    assert halved.heights.tolist() == ((far.heights + far.anchor) / 2).tolist()
    assert (halved.anchor.tolist(), halved.loss) == (far.anchor.tolist(), far.loss)
    assert halved.exchanges == far.exchanges + 1


@given(tables())
def test_no_record_moves_a_sum_by_more_than_a_tally_holds(records: Table) -> None:
    """With the most records there can be, no integer reaches 2^41."""
    for exchanges in (1, 3):
        state = state_after(records, exchanges)
        for place in range(min(len(records), 5)):
            one = records.select(np.arange(len(records)) == place)
            sums = count_sums(state, one)
            assert len(sums) == sums_size(3)
            assert np.abs(sums).max() * (MOST_RECORDS - 1) < LARGEST_ENTRY


@pytest.mark.parametrize("log_odds", [-1e9, -30.0, 0.0, 30.0, 1e9])
def test_at_the_extremes_no_record_moves_a_sum_by_more_than_a_tally_holds(log_odds: float) -> None:
    records = loans(500)
    state = state_after(records, 1)
    heights = state.heights.copy()
    heights[0] = log_odds
    for label in (0, 1):
        one = records.select((records.labels == label) & (np.cumsum(records.labels == label) == 1))
        sums = count_sums(replace(state, heights=heights), one)
        assert np.abs(sums).max() * (MOST_RECORDS - 1) < LARGEST_ENTRY


def test_every_sum_after_the_first_exchange_is_over_ten_records_of_each_class() -> None:
    """What is opened after the first exchange: sums over bins of the card, and over everybody."""
    records = loans(2_000)
    state = state_after(records, 1)
    changed = count_sums(state, records.select(np.arange(2_000) == 7)) != 0
    n = len(state.heights)
    bins = changed[: 2 * n + 1] | changed[2 * n + 1 :]
    codes = state.codes(records.columns)[:, 7]
    own = {0, *(1 + at * MOST_BINS + code for at, code in enumerate(codes.tolist()))}
    assert set(np.flatnonzero(bins[:n]).tolist()) <= own
    for one, code in zip(state.bins, codes, strict=True):
        assert one.counts[:, code].min() >= FEWEST_OF_CLASS


def test_a_feature_with_one_bin_has_no_say() -> None:
    records = loans(300)
    same = {**records.columns, "age": np.full(300, 40.0)}
    alike = Table(columns=same, labels=records.labels, persons=records.persons)
    state = state_after(alike, 5)
    assert state.bins[0].n_bins == 1
    assert not state.anchor[1 : 1 + MOST_BINS].any()
    assert not read_sums(state, count_sums(state, alike)).gradient[1 : 1 + MOST_BINS].any()


@given(st.integers(1, 2**40), st.integers(1, 2**40))
def test_the_constant_starts_near_the_log_odds(first: int, second: int) -> None:
    near = log_odds_nearby(np.array([first, second]))
    assert near == pytest.approx(math.log(first / second), abs=0.12)
    assert log_odds_nearby(np.array([first, 0])) == 0.0


def test_with_a_direction_a_curve_keeps_it_though_the_fit_would_turn() -> None:
    records = loans(3_000)
    twin = {
        **records.columns,
        "bill": np.exp((90 - np.nan_to_num(records.columns["age"], nan=50.0)) / 6),
    }
    overlapping = Table(columns=twin, labels=records.labels, persons=records.persons)
    state = state_after(overlapping, 16, monotone="age:down,bill:up")
    for at, sign in ((0, 1), (1, -1)):
        held = state.anchor[1 + at * MOST_BINS :][: len(state.bins[at].edges) + 1]
        assert (np.diff(held) * sign >= 0).all()
