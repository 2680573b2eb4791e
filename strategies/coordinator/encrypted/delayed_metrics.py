"""Delayed metrics of encrypted rounds: emitted once the sites have released them."""

import time

import numpy as np

from strategies.coordinator.encrypted.progress import Untold
from strategies.coordinator.encrypted.request import SealedRequest
from strategies.coordinator.messaging.events import Observer, RoundFinished
from strategies.coordinator.messaging.exchange import ByteCount


class DelayedMetrics:
    """Emits one `RoundFinished` event for each round.

    Guarantee: the figures of a round are those that more than half of the sites released in their
    replies to the next question, or else zeros. A round after which no question follows is
    reported as well.

    Args:
        observe: Receives each event.
        evaluation_size: Numbers in an evaluation tally. What is released behind it is the count
            of saturated values.
    """

    def __init__(self, observe: Observer, evaluation_size: int) -> None:
        self._observe = observe
        self._evaluation_size = evaluation_size
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
        )

    def report_round(self, question: SealedRequest) -> None:
        """Report the round held back, with the counts released in the replies to this question."""
        if self.untold is None:
            return
        told, released = self.untold, None
        if question.request.server_round > told.server_round:
            released = question.ballot.majority_tally()
        if released is None:
            released = np.zeros(self._evaluation_size, np.int64)
        evaluation, saturated = np.split(released.copy(), [self._evaluation_size])
        self._observe(
            RoundFinished(
                **vars(told),
                evaluation=evaluation,
                saturated=int(saturated[0]) if saturated.size else None,
            )
        )
        self.untold = None
