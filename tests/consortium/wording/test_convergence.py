"""A loss that had not settled is told with its figures and with what to set."""

from typing import Any

import pytest

from consortium.wording.convergence import convergence_sentence, convergence_warning

FIGURES: dict[str, Any] = {
    "change": -0.02,
    "fall": 0.1,
    "evaluations": 5,
    "rounds": 20,
    "lowest_after": 20,
}


def test_nothing_is_warned_of_a_loss_that_settled() -> None:
    assert convergence_warning("settled", **FIGURES) == ""


def test_a_loss_that_still_fell_says_by_how_much_and_what_to_set() -> None:
    said = convergence_warning("falling", **FIGURES)
    assert said.startswith("The model had not converged")
    assert "by 0.020 of 0.100 over the last 5 evaluations" in said
    assert "num-server-rounds, 20 here" in said


def test_a_loss_that_rises_names_the_round_of_its_lowest() -> None:
    said = convergence_warning("rising", **{**FIGURES, "change": 0.02, "lowest_after": 7})
    assert "lowest after 7\N{NO-BREAK SPACE}rounds" in said
    assert "fewer rounds" in said


@pytest.mark.parametrize(("fall", "share"), [(0.1, "2.0\N{NO-BREAK SPACE}%"), (0.0, None)])
def test_a_settled_loss_is_told_with_its_share(fall: float, share: str | None) -> None:
    said = convergence_sentence("log_loss", change=-0.002, fall=fall, evaluations=5)
    assert "pooled log loss changed by 0.002" in said
    assert ("of its whole fall" in said) == (share is not None)
    assert share is None or share in said
