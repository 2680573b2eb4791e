import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.exact_numbers import ImpossibleState
from sites.learners.normal_equations import matrix_of
from sites.learners.regression.state import (
    EMPTY,
    FITTED,
    SEPARATED,
    Figures,
    State,
    read_state,
    state_layout,
)


@given(st.integers(1, 6), st.integers(0, 1_000))
def test_a_state_comes_back_to_48_bits(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(5, k)) * 10.0 ** rng.integers(-6, 6, (5, k))
    triangle = rng.normal(size=k * (k + 1) // 2)
    state = State(
        trial=drawn[0],
        accepted=drawn[1],
        ills=rng.choice([FITTED, EMPTY, SEPARATED], k).astype(float),
        inflation=drawn[2],
        columns=drawn[3],
        column_labels=drawn[4],
        information=matrix_of(triangle, k),
        figures=Figures(exchanges=3, records=2**40 + 1, deviance=1 / 3, heterogeneity=7.25),
    )
    vector = state.vector
    assert vector.shape == (state_layout(k).dim,)
    assert (vector.astype(np.float32) == vector).all(), "a state travels as float32"
    again = read_state(vector, k)
    np.testing.assert_allclose(again.trial, state.trial, rtol=2.0**-47)
    np.testing.assert_allclose(again.information, state.information, rtol=2.0**-47)
    assert again.ills.tolist() == state.ills.tolist()
    assert again.kept.tolist() == (state.ills == FITTED).tolist()
    assert again.figures.records == 2**40 + 1
    assert again.vector.tobytes() == vector.tobytes()


def test_zeros_are_the_state_before_the_first_round() -> None:
    state = read_state(np.zeros(state_layout(4).dim), 4)
    assert state.figures == Figures()
    assert state.kept.all()
    assert not state.trial.any()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5, -1.0, 4.0, 1e30])
def test_a_state_that_no_run_has_is_refused(value: float) -> None:
    """What is the matter with an input is one of four codes."""
    vector = np.zeros(state_layout(2).dim)
    vector[4] = value
    with pytest.raises(ImpossibleState):
        read_state(vector, 2)
