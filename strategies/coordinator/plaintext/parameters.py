"""What a run in the clear is held to, and how far it is: values that coordinator and disk share."""

from collections.abc import Callable
from dataclasses import dataclass

from privacy.layout import Layout, Tally
from strategies import model_state as advance


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What every reply of a run is held against.

    Args:
        charter: Fingerprint of the charter.
        run: Name of the run, like no other's; that of its first start when it goes on.
        attempts: Tries at a round before the run stops.
        statistics_size: Entries of a statistics tally.
        evaluation_size: Entries of an evaluation tally.
        max_examples: Most training examples a site may claim.
        weigh: A site's weight from its training examples.
        check_statistics: Raises for a statistics tally that no records can have.
        check_evaluation: Raises for an evaluation tally that no records can have.
    """

    charter: str
    run: str
    attempts: int
    statistics_size: int
    evaluation_size: int
    max_examples: int
    weigh: Callable[[int], float]
    check_statistics: Callable[[Tally], None]
    check_evaluation: Callable[[Tally], None]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """All that a run needs to go on: what is kept after every round.

    Args:
        run: Its name.
        layout: Of the federated vector.
        statistics: The pooled statistics.
        state: The model's position and the optimizer's moments.
    """

    run: str
    layout: Layout
    statistics: Tally
    state: advance.State
