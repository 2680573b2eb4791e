"""Whether a loss still falls is decided by a rule without a scale, the same in both modes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.run.convergence import (
    FEWEST_EVALUATIONS,
    Convergence,
    LossCourse,
    convergence_of,
    convergence_sentence,
    convergence_warning,
)


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


FALLING = Convergence(
    loss="log_loss", course="falling", evaluations=5, change=-0.02, fall=0.1, lowest_after=20
)


def test_nothing_is_warned_of_a_loss_that_settled() -> None:
    assert convergence_warning(FALLING.model_copy(update={"course": "settled"}), rounds=20) == ""


def test_a_loss_that_still_fell_says_by_how_much_and_what_to_set() -> None:
    said = convergence_warning(FALLING, rounds=20)
    assert said.startswith("The model had not converged")
    assert "by 0.020 of 0.100 over the last 5 evaluations" in said
    assert "num-server-rounds, 20 here" in said


def test_a_loss_that_rises_names_the_round_of_its_lowest() -> None:
    rising = FALLING.model_copy(update={"course": "rising", "change": 0.02, "lowest_after": 7})
    said = convergence_warning(rising, rounds=20)
    assert "lowest after 7\N{NO-BREAK SPACE}rounds" in said
    assert "fewer rounds" in said


@pytest.mark.parametrize(("fall", "share"), [(0.1, "2.0\N{NO-BREAK SPACE}%"), (0.0, None)])
def test_a_settled_loss_is_told_with_its_share(fall: float, share: str | None) -> None:
    said = convergence_sentence(
        FALLING.model_copy(update={"course": "settled", "change": -0.002, "fall": fall})
    )
    assert "pooled log loss changed by 0.002" in said
    assert ("of its whole fall" in said) == (share is not None)
    assert share is None or share in said
