"""Whether an event fits into the rest of a privacy budget, and how much of it would fit."""

from bisect import bisect_right
from collections.abc import Sequence

from privacy.differential.accounting import epsilon
from privacy.differential.ledger_entries import Budget, Charge, event_size, resized_event
from privacy.differential.mechanisms import Mechanism
from privacy.errors import ConsortiumError
from privacy.policy.run_request import in_milli


class BudgetExhausted(ConsortiumError, RuntimeError, code="budget-exhausted"):
    """An event does not fit into the rest of a budget. Nothing was reserved.

    Args:
        asked: Epsilon of the event alone.
        spent: Epsilon of all events before it.
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
            f"{budget.unit}); {fits} steps of this kind would still fit, and more only if a run "
            "that holds a reservation ends early",
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


def fits_budget(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> bool:
    """Return whether an event, together with the past events, costs at most the budget."""
    return _cost((*past, event), budget) <= budget.epsilon


def budget_refusal(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> BudgetExhausted:
    """Return the error that states, in numbers, why an event does not fit."""
    return BudgetExhausted(
        asked=_cost((event,), budget),
        spent=_cost(past, budget),
        together=_cost((*past, event), budget),
        budget=budget,
        fits=most_steps_that_fit(event, past, budget),
    )


def most_steps_that_fit(event: Mechanism, past: Sequence[Mechanism], budget: Budget) -> int:
    """Return the most steps, or vectors, of an event that still fit; 0 if none does."""
    # Epsilon grows with every step, so bisection needs about log2(size) evaluations.
    return bisect_right(
        range(1, event_size(event) + 1),
        budget.epsilon,
        key=lambda size: _cost((*past, resized_event(event, size)), budget),
    )


def _cost(events: Sequence[Mechanism], budget: Budget) -> float:
    return epsilon(events, budget.delta, unit=budget.unit)
