"""Delayed metrics of encrypted rounds: emitted once the sites have released them."""

import time

import numpy as np

from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.protocol.envelope import EVALUATION
from strategies.coordinator.encrypted.progress import Untold
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from strategies.coordinator.messaging.events import Observer, RoundFinished
from strategies.coordinator.messaging.exchange import ByteCount
from strategies.round_counts import RoundCounts
from strategies.score_bins import BinSteps


class DelayedMetrics:
    """Emits one `RoundFinished` event for each round.

    Guarantee: the figures of a round are those that more than half of the sites released in their
    replies to the next question, or else zeros. A round after which no question follows is
    reported as well.

    Args:
        observe: Receives each event.
        counts: What the sites count in a round.
        bins: How the score bins follow one another.
    """

    def __init__(self, observe: Observer, counts: RoundCounts, bins: BinSteps) -> None:
        self._observe = observe
        self._counts = counts
        self._steps = bins
        self._bins: bytes | None = bins.first
        self.untold: Untold | None = None

    def hold_round(self, question: SealedRequest, traffic: ByteCount) -> None:
        """Hold the report of a round back until the sites release its figures."""
        down, up = question.traffic
        self.untold = Untold(
            server_round=question.request.server_round,
            answered=tuple(sorted(question.replies)),
            bytes_down=traffic.down - down,
            bytes_up=traffic.up - up,
            seconds=time.monotonic() - question.began,
            score_bins=self._bins,
            counted=EVALUATION in question.sums,
        )

    def report_round(self, question: SealedRequest, *, stopped: bool = False) -> None:
        """Report the round held back, with the counts released in the replies to this question.

        Args:
            question: The last one.
            stopped: Whether the run ended before enough sites could answer it. That they released
                nothing then says nothing of their policies.
        """
        if self.untold is None:
            return
        told, released = self.untold, None
        if question.request.server_round > told.server_round:
            released = self._readable(question.ballot.majority_tally(), told.score_bins)
            # Nobody evaluates S(0): zeros stand in the first sum, and move no bins.
            moved = told.server_round > 1 and bool(question.request.count_sum)
            self._follow(told.score_bins, released, shown=moved)
        counts, known = self._counts, released is not None
        shown = np.zeros(counts.size, np.int64) if released is None else released.copy()
        self._observe(
            RoundFinished(
                **{
                    **vars(told),
                    "score_bins": told.score_bins or b"",
                    "counted": told.counted and (known or not stopped),
                },
                evaluation=counts.evaluation_of(shown),
                saturated=counts.saturated_of(shown) if known else None,
                pairs=counts.pairs_of(shown) if known else None,
            )
        )
        self.untold = None

    def _readable(self, tally: Tally | None, bins: bytes | None) -> Tally | None:
        """Return a released tally if its bins are known, and records have it in these bins."""
        if tally is None or bins is None:
            return None
        try:
            self._steps.check(bins, self._counts.evaluation_of(tally))
        except ConsortiumError:
            return None  # the last release is of counts that the sites check less closely
        return tally

    def _follow(self, bins: bytes | None, tally: Tally | None, *, shown: bool) -> None:
        """Go on to the bins of the next round, as the sites do with the sum that they were shown.

        If they do not tell what they opened, nobody here knows their bins from then on.
        """
        if not shown or not self._steps.first:
            self._bins = bins
        elif bins is None or tally is None:
            self._bins = None
        else:
            self._bins = self._steps.after(bins, self._counts.evaluation_of(tally))
