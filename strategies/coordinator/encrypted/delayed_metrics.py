"""What is told of the rounds of an encrypted run: late, when their figures may be known."""

import time

import numpy as np

from strategies.coordinator.encrypted.progress import Untold
from strategies.coordinator.encrypted.request import SealedRequest
from strategies.coordinator.messaging.events import Observer, RoundFinished
from strategies.coordinator.messaging.exchange import ByteCount


class DelayedMetrics:
    """Tells of each round once.

    Guarantee: the figures of a round are those that more than half of the sites released in
    their replies to the question after it, or zeros; a round of which nothing is asked any more
    is told of all the same.

    Args:
        observe: Told of each round.
        tally_size: Numbers in an evaluation.
    """

    def __init__(self, observe: Observer, tally_size: int) -> None:
        self._observe = observe
        self._tally_size = tally_size
        self.untold: Untold | None = None

    def hold_round(self, question: SealedRequest, traffic: ByteCount) -> None:
        """Hold back what there is to tell of a round until the members release its figures."""
        down, up = question.traffic
        self.untold = Untold(
            server_round=question.request.server_round,
            answered=tuple(sorted(question.replies)),
            bytes_down=traffic.down - down,
            bytes_up=traffic.up - up,
            seconds=time.monotonic() - question.began,
        )

    def report_round(self, question: SealedRequest) -> None:
        """Tell of the last round, with the pooled counts released in answer to this question."""
        if self.untold is None:
            return
        told, evaluation = self.untold, np.zeros(self._tally_size, np.int64)
        if question.request.server_round > told.server_round:
            elected = question.ballot.majority_tally()
            evaluation = evaluation if elected is None else elected.copy()
        self._observe(RoundFinished(**vars(told), evaluation=evaluation))
        self.untold = None
