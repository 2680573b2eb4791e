"""A round is reported once, with the figures that most sites released."""

import json
from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from privacy.errors import ConsortiumError
from privacy.layout import Tally
from privacy.protocol.envelope import EVALUATION
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from strategies.coordinator.encrypted.delayed_metrics import DelayedMetrics
from strategies.coordinator.encrypted.progress import Untold, parse_untold
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums
from strategies.coordinator.encrypted.rounds.request import SealedRequest
from strategies.coordinator.messaging.events import RoundFinished, RunEvent
from strategies.coordinator.messaging.exchange import ByteCount
from strategies.round_counts import RoundCounts
from strategies.score_bins import BinSteps

SIZE = 3
COUNTS = RoundCounts(evaluation=SIZE)


def asked(
    server_round: int,
    released: Sequence[int | None] = (),
    *,
    shown: bytes = b"",
    counts: bool = False,
) -> SealedRequest:
    """Return a question with a reply of each site, which releases this number or nothing.

    Args:
        server_round: Of the question.
        released: By each site.
        shown: The sum of counts that it shows.
        counts: Whether it asks for counts.
    """
    question = SealedRequest(
        request=SealedRound(
            charter="", server_round=server_round, attempt=1, opening=b"", count_sum=shown
        ),
        nodes={},
        sums={EVALUATION: cast(CiphertextSums, None)} if counts else {},
        read=lambda _content: SealedReply(),
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
    return DelayedMetrics(told.append, COUNTS, BinSteps())


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
    ("counts", "released", "saturated", "pairs"),
    [
        (RoundCounts(evaluation=1, saturation=1, pairs=1), [5, 5, 5], 5, [5]),
        (RoundCounts(evaluation=1, saturation=1, pairs=1), [0, 0, 0], 0, [0]),
        (RoundCounts(evaluation=1, saturation=1, pairs=1), [5, 7], None, None),
        (RoundCounts(evaluation=2, saturation=1), [5], 5, None),
        (RoundCounts(evaluation=1, pairs=2), [5], None, [5, 5]),
        (COUNTS, [5], None, None),
    ],
)
def test_what_is_released_beside_the_evaluation_is_told_with_it(
    told: list[RunEvent],
    counts: RoundCounts,
    released: list[int | None],
    saturated: int | None,
    pairs: list[int] | None,
) -> None:
    telling = DelayedMetrics(told.append, counts, BinSteps())
    telling.hold_round(asked(1), ByteCount())
    telling.report_round(asked(2, released))
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.saturated == saturated
    assert (None if event.pairs is None else event.pairs.tolist()) == pairs
    assert event.evaluation.shape == (counts.evaluation,)


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


@pytest.mark.parametrize(
    ("released", "stopped", "figures"),
    [([], True, False), ([], False, True), ([5, 5], True, True)],
)
def test_a_run_that_stopped_before_a_release_does_not_say_that_sites_withheld(
    telling: DelayedMetrics,
    told: list[RunEvent],
    released: list[int | None],
    *,
    stopped: bool,
    figures: bool,
) -> None:
    telling.hold_round(asked(1, [None], counts=True), ByteCount())
    telling.report_round(asked(2, released), stopped=stopped)
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.counted == figures


@pytest.mark.parametrize("counts", [False, True])
def test_a_round_that_asked_for_no_counts_says_so_after_an_interruption_too(
    telling: DelayedMetrics, told: list[RunEvent], *, counts: bool
) -> None:
    telling.hold_round(asked(1, [None], counts=counts), ByteCount())
    telling.untold = stored(telling.untold)
    telling.report_round(asked(2, [None]))
    (event,) = told
    assert isinstance(event, RoundFinished)
    assert event.counted == counts


class Impossible(ConsortiumError, code="impossible-tally"):
    """A tally that no records have in these bins."""


def refuse_nines(bins: bytes, tally: Tally) -> None:
    if tally[0] == 9:
        raise Impossible("no records have this tally")


def next_bins(bins: bytes, tally: Tally) -> bytes:
    return bins + bytes([int(tally[0])])


@pytest.mark.parametrize(
    ("first", "second", "figures", "bins"),
    [
        ((5, b"s"), (7, b"s"), [5, 7, 3], [b"f", b"f\5", b"f\5\7"]),
        # Nobody was shown a sum: the sites have the bins of before.
        ((None, b""), (7, b"s"), [0, 7, 3], [b"f", b"f", b"f\7"]),
        # The sites opened a sum and did not tell: their bins are unknown, and so is what follows.
        ((None, b"s"), (7, b"s"), [0, 0, 0], [b"f", b"", b""]),
        ((9, b"s"), (7, b"s"), [0, 0, 0], [b"f", b"", b""]),
    ],
)
def test_bins_follow_what_the_sites_were_shown_and_told(
    told: list[RunEvent],
    first: tuple[int | None, bytes],
    second: tuple[int, bytes],
    figures: list[int],
    bins: list[bytes],
) -> None:
    steps = BinSteps(first=b"f", after=next_bins, check=refuse_nines)
    telling = DelayedMetrics(told.append, COUNTS, steps)
    # In the second round, zeros of S(0) are shown: nobody evaluates it, whatever is told.
    told_in = {2: (None, b"s"), 3: first, 4: second, 5: (3, b"s")}
    for server_round in (1, 2, 3, 4, 5):
        number, shown = told_in.get(server_round, (None, b""))
        question = asked(server_round, [number] * 2, shown=shown)
        telling.report_round(question)
        telling.hold_round(question, ByteCount())
        # As after the death of the coordinator: everything is in the progress that was stored.
        again = DelayedMetrics(told.append, COUNTS, steps)
        again.untold, telling = stored(telling.untold), again

    events = [event for event in told if isinstance(event, RoundFinished)]
    assert [event.evaluation[0] for event in events] == [0, *figures]
    assert [event.score_bins for event in events] == [b"f", *bins]


def stored(untold: Untold | None) -> Untold | None:
    """Return what a coordinator reads of a round that it stored."""
    return parse_untold(json.loads(json.dumps(untold.describe()))) if untold else None
