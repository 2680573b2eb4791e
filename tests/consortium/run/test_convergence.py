"""Whether a loss still falls is decided by a rule without a scale, the same in both modes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run.convergence import FEWEST_EVALUATIONS, LossCourse, convergence_of


def course_of(values: list[float]) -> dict[int, float]:
    """By rounds of training, from the first round on."""
    return dict(enumerate(values, start=1))


@given(
    rounds=st.integers(FEWEST_EVALUATIONS + 1, 60),
    scale=st.floats(1e-3, 1e5),
    level=st.floats(0, 1e3),
)
def test_a_straight_way_down_is_not_converged(rounds: int, scale: float, level: float) -> None:
    values = [(level + 1 - at / rounds) * scale for at in range(rounds)]
    found = convergence_of("log_loss", course_of(values))
    assert found is not None
    assert found.course == "falling"
    assert found.change == pytest.approx(values[-1] - values[-found.evaluations], rel=1e-6)


@given(rounds=st.integers(20, 200), half=st.floats(0.3, 1.5), scale=st.floats(1e-3, 1e5))
def test_a_loss_that_halves_its_distance_every_round_or_so_has_converged(
    rounds: int, half: float, scale: float
) -> None:
    values = [scale * (1 + 0.5 ** (at / half)) for at in range(rounds)]
    found = convergence_of("rmse", course_of(values))
    assert found is not None
    assert found.course == "settled"


@given(seed=st.integers(0, 10**6))
def test_scatter_about_a_level_is_seldom_taken_for_a_way_down(seed: int) -> None:
    """A fall of a thousand times the scatter, then a level: the share of the fall decides."""
    rng = np.random.default_rng(seed)
    values = [2.0, 1.1, *(1.0 + 1e-3 * rng.standard_normal(30))]
    found = convergence_of("log_loss", course_of(values))
    assert found is not None
    assert found.course == "settled"


def test_a_loss_that_turns_up_again_is_told_with_its_lowest() -> None:
    values = [1.0, 0.7, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85]
    found = convergence_of("log_loss", course_of(values))
    assert found is not None
    assert (found.course, found.lowest_after) == ("rising", 3)


@given(start=st.floats(0, 10))
def test_the_start_does_not_count_so_that_both_modes_say_the_same(start: float) -> None:
    """An encrypted run does not evaluate the model before training."""
    values = course_of([1.0, 0.9, 0.85, 0.83, 0.82, 0.81])
    assert convergence_of("log_loss", {0: start, **values}) == convergence_of("log_loss", values)


def test_of_few_rounds_nothing_is_said() -> None:
    assert convergence_of("log_loss", course_of([3.0, 2.0, 1.0])) is None


def test_the_loss_is_that_of_the_model_that_a_round_started_with() -> None:
    course = LossCourse()
    for server_round in range(1, 6):
        course.note(server_round, {"roc_auc": {"value": 0.5}, "log_loss": {"value": server_round}})
    assert course.values == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5}
    assert course.convergence is not None
    assert course.convergence.course == "rising"
    course.note(6, {})  # withheld
    assert 5 not in course.values
