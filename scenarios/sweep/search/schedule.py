"""Successive halving: how many trials train for how many rounds (Jamieson and Talwalkar 2016).

At each rung the best trials go on and the others stay where they are. Which trials go on depends
on their figures alone, and never on which of them was done first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from privacy.errors import ConsortiumError


class BadSchedule(ConsortiumError, ValueError, code="bad-schedule"):
    """So many trials cannot be halved so."""


@dataclass(frozen=True)
class Rung:
    """A step of the schedule.

    Args:
        trials: How many trials reach it, if none fails.
        rounds: Rounds of training behind the models that are judged there.
    """

    trials: int
    rounds: int


def halving_schedule(trials: int, rounds: int, *, reduction: int) -> tuple[Rung, ...]:
    """Return the rungs of a sweep, the first one first.

    Guarantee: all trials reach the first rung, each further rung is reached by one of `reduction`
    trials of the one before, and the last one is the whole run. With *k* rungs, no rung trains more
    than `trials * rounds / reduction**(k - 1)` rounds in all.

    Args:
        trials: Number of trials.
        rounds: Rounds of a whole run.
        reduction: Of so many trials, one goes on.

    Raises:
        BadSchedule: There are fewer than two trials, or nothing is reduced.
    """
    if trials < 2 or reduction < 2 or rounds < 1:
        raise BadSchedule(
            f"a sweep needs at least 2 trials, a reduction of at least 2 and 1 round, got {trials} "
            f"trials, {reduction} and {rounds} rounds: set --trials, --reduction"
        )
    most = min(trials, rounds)
    last = 0
    while reduction ** (last + 1) <= most:
        last += 1
    return tuple(
        Rung(trials // reduction**place, rounds // reduction ** (last - place))
        for place in range(last + 1)
    )


def promoted(figures: Mapping[int, float], keep: int, *, higher_is_better: bool) -> tuple[int, ...]:
    """Return the numbers of the best trials, the best first; of equals, the one drawn first.

    Args:
        figures: The figure of each trial that has one, by its number.
        keep: How many go on, at most.
        higher_is_better: Whether higher figures are better.
    """
    sign = -1.0 if higher_is_better else 1.0
    return tuple(sorted(figures, key=lambda number: (sign * figures[number], number))[:keep])


def most_rounds(rungs: Sequence[Rung], *, lag: int) -> int:
    """Return how many rounds all trials together train, if none fails.

    Args:
        rungs: The schedule.
        lag: Rounds that are begun before the figures of a model are told. A run that is parked at a
            rung has trained so many rounds more, which it goes on from.
    """
    whole, trained, total = rungs[-1].rounds, 0, 0
    for place, rung in enumerate(rungs):
        ends = place + 1 == len(rungs)
        until = whole if ends else min(whole, rung.rounds + lag)
        total += rung.trials * (until - trained)
        trained = until
    return total
