"""The agreed parameters of a run in the clear, and its progress.

The progress is what the coordinator stores; the module is separate so that a checkpoint needs
nothing of the strategy.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from privacy.compression.update_form import UpdateForm
from privacy.contribution import Contribution, UpdateVector
from privacy.identity.public_identity import Agreement
from privacy.layout import Layout, Tally
from strategies import model_state
from strategies.score_bins import BinSteps


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The agreed parameters against which every reply of a run is checked.

    Args:
        charter: Fingerprint of the charter.
        run: Unique name of the run; a resumed run keeps the name of its first start.
        attempts: Attempts at a round before the run stops.
        statistics_size: Entries of a statistics tally.
        evaluation_size: Entries of an evaluation tally.
        max_examples: Most training examples that a site may claim.
        weigh: Returns a site's weight, from its number of training examples.
        check_statistics: Raises for a statistics tally that no records can have.
        contribution: What a site sends in a round besides its evaluation counts.
        form: Returns how an update travels in the round from a state; None for one number after
            another.
        bins: How the score bins follow one another, and what evaluation tally is possible.
        asks_for_counts: Returns whether a round of training asks for evaluation counts.
        agreement: Public identities of the members if they compare their ledgers, or None.
        buffer_size: Updates that move the model of a buffered run; 0 in any other.
    """

    charter: str
    run: str
    attempts: int
    statistics_size: int
    evaluation_size: int
    max_examples: int
    weigh: Callable[[int], float]
    check_statistics: Callable[[Tally], None]
    contribution: Contribution = field(default_factory=UpdateVector)
    form: Callable[[Layout, model_state.State], UpdateForm | None] = lambda _layout, _state: None
    bins: BinSteps = field(default_factory=BinSteps)
    asks_for_counts: Callable[[int], bool] = lambda _server_round: True
    agreement: Agreement | None = None
    buffer_size: int = 0

    def counts_asked_in(self, server_round: int) -> int:
        """Return how many evaluation counts an answer to a round of training has: all, or none."""
        return self.evaluation_size if self.asks_for_counts(server_round) else 0

    def check_counts(self, bins: bytes, tally: Tally) -> None:
        """Check the evaluation counts of an answer; those of a round that asks for none pass.

        Raises:
            ConsortiumError: No records have them in these bins.
        """
        if tally.size:
            self.bins.check(bins, tally)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """All that a run needs to be resumed; stored after every round.

    Args:
        run: Name of the run.
        layout: Layout of the federated vector.
        statistics: The pooled statistics.
        state: The model's position and the optimizer's moments.
        score_bins: By which the scores of that state are counted; empty if bins stay the same.
        summed: The sites in the first exact sum, sorted: all later ones are over the same. Empty
            before it, and where updates are sent.
    """

    run: str
    layout: Layout
    statistics: Tally
    state: model_state.State
    score_bins: bytes = b""
    summed: tuple[str, ...] = ()
