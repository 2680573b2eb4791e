"""Whether an event fits into the rest of a privacy budget, and how much of it would fit.

A first run on a data set is planned before anything was released, so it is weighed by the tight
bound for parameters that are fixed beforehand, the one that calibrates its noise: a run planned
with epsilon 3 fits a budget of 3. Whoever plans a further run has seen what the first one released.
Then all runs together are weighed by the bound for events chosen one by one.

Both rules together are sound. If the plan of the first run is within the budget by the second
bound, everything is covered by it. If it is not, nothing further fits, and the first bound covers
all there is. So that this depends on the plan alone, and on nothing that was released, steps that
such a first run never began are not given back.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from privacy.differential.accounting import epsilon
from privacy.differential.ledger_entries import Budget, Charge, event_size, resized_event
from privacy.differential.mechanisms import HeldOut, Mechanism
from privacy.differential.renyi_filter import adaptive_epsilon
from privacy.errors import ConsortiumError, number_of
from privacy.policy.run_request import in_milli


@dataclass(frozen=True, kw_only=True)
class Spent:
    """An upper bound of the privacy loss of a data set, in two ways.

    Args:
        weighed: The bound that the budget is checked against: of one run, that for a plan; of
            several, that for events chosen one by one.
        planned: As if the parameters of all runs had been fixed before the first: tighter.
        further: What a further run is added to: that for events chosen one by one.
    """

    weighed: float
    planned: float
    further: float


class BudgetExhausted(ConsortiumError, RuntimeError, code="budget-exhausted"):
    """An event does not fit into the rest of a budget. Nothing was reserved.

    Args:
        asked: Epsilon of the event alone.
        spent: Epsilon of all events before it, to which a further one is added.
        together: Epsilon of both together.
        budget: The budget they were checked against.
        fits: The most steps, or vectors, of the event that would still fit.
    """

    def __init__(
        self, *, asked: float, spent: float, together: float, budget: Budget, fits: int
    ) -> None:
        left = max(0.0, budget.epsilon - spent)
        super().__init__(
            f"epsilon {asked:.3g} asked, {left:.3g} left: {spent:.3g} of {budget.epsilon:g} is "
            f"spent, together they would be {together:.3g} (delta {budget.delta:g}, by "
            f"{budget.unit}); {number_of(fits, 'step')} of this kind would still fit, and more "
            "only if a run that holds a reservation ends early",
            asked_milli=in_milli(asked),
            spent_milli=in_milli(spent),
            left_milli=in_milli(left),
            budget_milli=in_milli(budget.epsilon),
            steps_that_fit=fits,
        )
        self.asked, self.spent, self.remaining = asked, spent, left
        self.together, self.budget, self.fits = together, budget, fits


def charged_events(charges: Sequence[Charge], data_set: str | None = None) -> tuple[Mechanism, ...]:
    """Return the events that count for a data set; for all data sets if None is given."""
    mine = (one for one in charges if data_set in (None, one.reserved.data_set.name))
    return tuple(event for one in mine if (event := one.event) is not None)


def weighed_events(
    charges: Sequence[Charge], budget: Budget, data_set: str | None = None
) -> tuple[Mechanism, ...]:
    """Return the events that a further one is weighed with: those that count, in order.

    A first run that fitted by its plan alone counts as planned, whenever it ended.
    """
    mine = [one for one in charges if data_set in (None, one.reserved.data_set.name)]
    begun = [one for one in mine if one.event is not None]
    private = [one for one in begun if not isinstance(one.reserved.event, HeldOut)]
    events = list(charged_events(begun))
    if private and _chosen_one_by_one((private[0].reserved.event,), budget) > budget.epsilon:
        events[begun.index(private[0])] = private[0].reserved.event
    return tuple(events)


def spent_of_budget(
    charges: Sequence[Charge], budget: Budget, data_set: str | None = None
) -> Spent:
    """Return what charges have spent of a budget, by each bound."""
    counted = charged_events(charges, data_set)
    planned = epsilon(counted, budget.delta, unit=budget.unit)
    further = _chosen_one_by_one(weighed_events(charges, budget, data_set), budget)
    several = _private_count(counted) > 1
    return Spent(weighed=further if several else planned, planned=planned, further=further)


def left_after(events: Sequence[Mechanism], budget: Budget) -> float:
    """Return the epsilon that a further run may add after these events, at least 0."""
    return max(0.0, budget.epsilon - _chosen_one_by_one(events, budget))


def weighed_epsilon(events: Sequence[Mechanism], budget: Budget) -> float:
    """Return the epsilon of all events that a budget is checked against."""
    if _private_count(events) <= 1:
        return epsilon(events, budget.delta, unit=budget.unit)
    return _chosen_one_by_one(events, budget)


def fits_budget(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> bool:
    """Return whether an event, together with the past events, costs at most the budget.

    Args:
        event: The event.
        past: As `weighed_events` returns them.
        budget: The budget.
    """
    return weighed_epsilon((*past, event), budget) <= budget.epsilon


def budget_refusal(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> BudgetExhausted:
    """Return the error that states, in numbers, why an event does not fit."""
    return BudgetExhausted(
        asked=weighed_epsilon((event,), budget),
        spent=_chosen_one_by_one(past, budget),
        together=weighed_epsilon((*past, event), budget),
        budget=budget,
        fits=most_steps_that_fit(event, past, budget),
    )


def most_steps_that_fit(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> int:
    """Return the most steps, or vectors, of an event that still fit; 0 if none does."""
    # Epsilon grows with every step, so bisection needs about log2(size) evaluations.
    return bisect_right(
        range(1, event_size(event) + 1),
        budget.epsilon,
        key=lambda size: weighed_epsilon((*past, resized_event(event, size)), budget),
    )


def _private_count(events: Sequence[Mechanism]) -> int:
    return sum(not isinstance(event, HeldOut) for event in events)


def _chosen_one_by_one(events: Sequence[Mechanism], budget: Budget) -> float:
    return adaptive_epsilon(events, budget.delta, unit=budget.unit)
