"""A round is told of once, with figures that most sites released; whole runs: test_encrypted.py."""

from collections.abc import Sequence

import numpy as np
import pytest

from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.delayed_metrics import Telling
from strategies.coordinator.encrypted.request import Question
from strategies.coordinator.messaging.events import Event, RoundFinished
from strategies.coordinator.messaging.exchange import Traffic

SIZE = 3


def asked(server_round: int, released: Sequence[int | None] = ()) -> Question:
    """Return a question with a reply of each site, which releases this number or nothing."""
    question = Question(
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
def told() -> list[Event]:
    return []


@pytest.fixture
def telling(told: list[Event]) -> Telling:
    return Telling(told.append, SIZE)


def test_nothing_is_told_before_a_round_is_held(telling: Telling, told: list[Event]) -> None:
    telling.tell(asked(1, [1, 1]))
    assert told == []


@pytest.mark.parametrize(
    ("released", "number"),
    [([5, 5, 5], 5), ([5, 5, 7], 5), ([5, 7, None], 0), ([5, None, None], 0), ([], 0)],
)
def test_the_figures_are_what_most_sites_released_in_the_next_round(
    telling: Telling, told: list[Event], released: list[int | None], number: int
) -> None:
    telling.hold(asked(1, [None, None]), Traffic(down=110, up=220))
    telling.tell(asked(2, released))
    telling.tell(asked(3, [9, 9, 9]))
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.evaluation.tolist() == [number] * SIZE
    assert (event.server_round, event.answered) == (1, ("site-0", "site-1"))
    assert (event.bytes_down, event.bytes_up) == (100, 200)


def test_what_was_released_in_a_round_is_not_of_that_round(
    telling: Telling, told: list[Event]
) -> None:
    """The run ended there: its replies hold the figures of the round before."""
    question = asked(2, [4, 4])
    telling.hold(question, Traffic(down=10, up=20))
    telling.tell(question)
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert not event.evaluation.any()
