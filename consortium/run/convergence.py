"""Whether the pooled loss of a run still fell at its end: a stated rule over its last rounds.

A least-squares line is drawn through the loss after the rounds of the last quarter, four at least.
The loss still falls if the line falls by more than a twentieth of the whole fall since round 1, and
by more than twice the standard error that the scatter about the line gives (Draper & Smith 1998,
Applied Regression Analysis, section 1.4). It rises by the same rule. The rule needs no scale: a
straight way down falls by a quarter in the last quarter, whatever the loss is measured in. The
start does not count: an encrypted run does not evaluate it, and the first step is a large one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from consortium.wording.formatting import count_with_noun, figure, percent, title_in_sentence
from consortium.wording.metric_glossary import meaning_of

FEWEST_EVALUATIONS = 4
LARGEST_SETTLED_SHARE = 0.05
_LAST_SHARE = 0.25
_STANDARD_ERRORS = 2.0
_ROUNDING = 1e-9
_LOSSES = ("log_loss", "rmse")


class Convergence(BaseModel):
    """The course of the pooled loss at the end of a run.

    Args:
        loss: The metric that is the loss.
        course: Whether it still fell, had settled, or rose again.
        evaluations: The last evaluations through which the line is drawn.
        change: How much the line changes over them; below 0 it falls.
        fall: How far the loss fell from the model of round 1 to its lowest.
        lowest_after: The rounds after which it was lowest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: str
    course: Literal["falling", "settled", "rising"]
    evaluations: int
    change: float
    fall: float
    lowest_after: int


@dataclass
class LossCourse:
    """The pooled loss of a run, round by round.

    Args:
        loss: Name of the metric that is the loss; empty before one is known.
        values: Its value by the number of rounds that the evaluated model was trained for.
    """

    loss: str = ""
    values: dict[int, float] = field(default_factory=dict)

    def note(self, server_round: int, metrics: Mapping[str, Any]) -> None:
        """Keep the loss of an evaluation, which is of the model that the round started with."""
        for name in _LOSSES:
            if name in metrics:
                self.loss = name
                self.values[server_round - 1] = metrics[name]["value"]

    @property
    def convergence(self) -> Convergence | None:
        """How the loss ended; None if too few evaluations have one."""
        return convergence_of(self.loss, self.values)


def convergence_of(loss: str, course: Mapping[int, float]) -> Convergence | None:
    """Return how a loss ended; None if there are too few evaluations to tell.

    Args:
        loss: Name of the loss.
        course: Its value by the number of rounds that the model was trained for.
    """
    rounds = sorted(at for at in course if at > 0)
    if len(rounds) < FEWEST_EVALUATIONS:
        return None
    values = np.array([course[at] for at in rounds])
    last = max(FEWEST_EVALUATIONS, math.ceil(_LAST_SHARE * len(rounds)))
    change, scatter = _line_through(np.array(rounds[-last:], np.float64), values[-last:])
    fall = float(values[0] - values.min())
    least = max(
        LARGEST_SETTLED_SHARE * fall,
        _STANDARD_ERRORS * scatter,
        _ROUNDING * float(np.abs(values).max()),
    )
    return Convergence(
        loss=loss,
        course="settled" if abs(change) <= least else "falling" if change < 0 else "rising",
        evaluations=last,
        change=change,
        fall=fall,
        lowest_after=rounds[int(values.argmin())],
    )


def _line_through(rounds: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return by how much the line changes from end to end, and the standard error of that."""
    centred = rounds - rounds.mean()
    squares = float(centred @ centred)
    slope = float(centred @ values) / squares
    left = values - values.mean() - slope * centred
    error = math.sqrt(float(left @ left) / (len(rounds) - 2) / squares)
    length = float(rounds[-1] - rounds[0])
    return slope * length, error * length


def convergence_warning(found: Convergence, *, rounds: int) -> str:
    """Return what a reader must know before the figures are believed; "" if the loss settled.

    Args:
        found: How the pooled loss ended.
        rounds: Rounds of training in the run.
    """
    if found.course == "settled":
        return ""
    change = figure(abs(found.change))
    if found.course == "falling":
        # A line through few evaluations can fall by more than the loss did.
        fell = figure(min(abs(found.change), found.fall))
        part = f"{fell} of {figure(found.fall)}" if found.fall > 0 else change
        return (
            "The model had not converged: the pooled loss still fell when training ended (by "
            f"{part} over the last {found.evaluations} evaluations). More training would give "
            "another model and other figures; with another seed they may differ much. Set more "
            f"rounds (num-server-rounds, {rounds} here), more steps in each (local-epochs, or "
            "min-local-steps where records are few), smaller batches (batch-size) or a higher "
            "learning-rate."
        )
    return (
        f"The pooled loss was lowest after {count_with_noun(found.lowest_after, 'round')} and has "
        f"risen since (by {change} over the last {found.evaluations} evaluations): the model fits "
        "its training records better and others worse. Set fewer rounds (num-server-rounds, "
        f"{rounds} here), a lower learning-rate or more weight-decay."
    )


def convergence_sentence(found: Convergence) -> str:
    """Return that the loss had settled, with the figures by which that is said."""
    change = abs(found.change)
    share = f", {percent(change / found.fall)} of its whole fall" if found.fall > 0 else ""
    return (
        f"By its loss the model had converged: over the last {found.evaluations} evaluations the "
        f"pooled {title_in_sentence(meaning_of(found.loss).title)} changed by {figure(change)}"
        f"{share}, or by no more than it scatters."
    )


def too_few_evaluations(evaluations: int) -> str:
    """Return that nobody can tell from so few evaluations of a trained model."""
    return (
        "Whether the model had converged cannot be told: that takes the pooled loss of at least "
        f"{FEWEST_EVALUATIONS} evaluations since training began, and this run has {evaluations}."
    )
