"""A round is reported once, with the figures that most sites released."""

from collections.abc import Sequence

import numpy as np
import pytest

from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.delayed_metrics import DelayedMetrics
from strategies.coordinator.encrypted.request import SealedRequest
from strategies.coordinator.messaging.events import RoundFinished, RunEvent
from strategies.coordinator.messaging.exchange import ByteCount

SIZE = 3


def asked(server_round: int, released: Sequence[int | None] = ()) -> SealedRequest:
    """Return a question with a reply of each site, which releases this number or nothing."""
    question = SealedRequest(
        request=SealedRound(charter="", server_round=server_round, attempt=1, opening=b""),
        nodes={},
        sums={},
        read=lambda _reply: SealedReply(),
        observe=lambda _event: None,
        traffic=(10, 20),
    )
    for index, number in enumerate(released):
        tally = None if number is None else np.full(SIZE, number, np.int64)
        question.replies[f"site-{index}"] = SealedReply()
        question.ballot.cast(tally)
    return question


@pytest.fixture
def told() -> list[RunEvent]:
    return []


@pytest.fixture
def telling(told: list[RunEvent]) -> DelayedMetrics:
    return DelayedMetrics(told.append, SIZE)


def test_nothing_is_reported_before_a_round_is_held(
    telling: DelayedMetrics, told: list[RunEvent]
) -> None:
    telling.report_round(asked(1, [1, 1]))
    assert told == []


@pytest.mark.parametrize(
    ("released", "number"),
    [([5, 5, 5], 5), ([5, 5, 7], 5), ([5, 7, None], 0), ([5, None, None], 0), ([], 0)],
)
def test_the_figures_are_what_most_sites_released_in_the_next_round(
    telling: DelayedMetrics, told: list[RunEvent], released: list[int | None], number: int
) -> None:
    telling.hold_round(asked(1, [None, None]), ByteCount(down=110, up=220))
    telling.report_round(asked(2, released))
    telling.report_round(asked(3, [9, 9, 9]))
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.evaluation.tolist() == [number] * SIZE
    assert (event.server_round, event.answered) == (1, ("site-0", "site-1"))
    assert (event.bytes_down, event.bytes_up) == (100, 200)


@pytest.mark.parametrize(
    ("size", "released", "saturated"),
    [
        (SIZE - 1, [5, 5, 5], 5),
        (SIZE - 1, [0, 0, 0], 0),
        (SIZE - 1, [5, 7], None),
        (SIZE, [5], None),
    ],
)
def test_what_is_released_behind_the_evaluation_is_the_number_of_saturated_values(
    told: list[RunEvent], size: int, released: list[int | None], saturated: int | None
) -> None:
    telling = DelayedMetrics(told.append, size)
    telling.hold_round(asked(1), ByteCount())
    telling.report_round(asked(2, released))
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.saturated == saturated
    assert event.evaluation.shape == (size,)


def test_what_was_released_in_a_round_is_not_of_that_round(
    telling: DelayedMetrics, told: list[RunEvent]
) -> None:
    """The run ended there: its replies hold the figures of the round before."""
    question = asked(2, [4, 4])
    telling.hold_round(question, ByteCount(down=10, up=20))
    telling.report_round(question)
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert not event.evaluation.any()
