from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from privacy.contribution import LARGEST_ENTRY
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.flower_records import MalformedRecord
from strategies.coordinator.messaging.events import RunEvent, SiteQuarantined
from strategies.coordinator.messaging.exchange import HUB_AWAY, SILENT, UNREADABLE
from strategies.coordinator.messaging.reply_validation import (
    HubAway,
    NodeFailed,
    Quarantine,
    ReplyRefused,
    Silent,
    SiteRefused,
    TallyOutOfRange,
    Unreadable,
    checked_contribution,
    checked_counts,
    reply_content,
)
from tests.small_site import LAYOUT, MAX_EXAMPLES, grid_of

SIZE = 3


@pytest.fixture(autouse=True)
def _in_process() -> None:
    grid_of([])  # from here on this process can make messages


def reply(content: RecordDict | Error) -> Message:
    return Message(content, reply_to=Message(RecordDict(), 1001, "train"))


def contribution(tally: list[int]) -> RecordDict:
    return messages.contribution(
        messages.Contribution(
            update=np.ones(LAYOUT.dim),
            num_examples=3,
            tally=np.array(tally, np.int64),
            released=True,
        )
    )


def counts(tally: list[int]) -> RecordDict:
    return messages.counts(messages.Counts(tally=np.array(tally, np.int64), released=True))


def open_contribution(came: Message) -> messages.Contribution:
    return checked_contribution(came, layout=LAYOUT, tally_size=SIZE, max_examples=MAX_EXAMPLES)


def open_counts(came: Message) -> messages.Counts:
    return checked_counts(came, tally_size=SIZE)


OPENERS: dict[str, Callable[[Message], object]] = {
    "answered": reply_content,
    "contribution": open_contribution,
    "counts": open_counts,
}
every_opener = pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
tallies = pytest.mark.parametrize(
    ("opener", "content"), [(open_contribution, contribution), (open_counts, counts)]
)


@every_opener
def test_silence_differs_from_failure(opener: Callable[[Message], object]) -> None:
    with pytest.raises(Silent):
        opener(reply(Error(SILENT, "")))
    with pytest.raises(Unreadable):
        opener(reply(Error(UNREADABLE, "")))
    with pytest.raises(HubAway):
        opener(reply(Error(HUB_AWAY, "")))
    with pytest.raises(NodeFailed) as refused:
        opener(reply(Error(2, "Traceback: patient 17")))
    assert refused.value.counts == {"flower_code": 2}


def test_what_a_site_raised_is_repeated_nowhere() -> None:
    """Flower sends the traceback; it may quote a record."""
    with pytest.raises(NodeFailed) as refused:
        reply_content(reply(Error(2, "Traceback: patient 17")))
    assert "patient" not in str(refused.value)


@every_opener
def test_a_refusal_keeps_the_sites_code_and_counts(opener: Callable[[Message], object]) -> None:
    content = RecordDict({wire.REFUSAL: ConfigRecord({"code": "empty-site", "count.rows": 0})})
    with pytest.raises(SiteRefused) as refused:
        opener(reply(content))
    assert refused.value.code == "site-refused.empty-site"
    assert refused.value.counts == {"rows": 0}


@pytest.mark.parametrize("name", ["message", "self", "counts", "site_code"])
def test_a_count_of_a_name_that_no_count_has_is_dropped(name: str) -> None:
    """Nor is any passed on as a keyword argument: that would end the run with a TypeError."""
    content = RecordDict({wire.REFUSAL: ConfigRecord({"code": "odd", f"count.{name}": 3})})
    with pytest.raises(SiteRefused) as refused:
        reply_content(reply(content))
    assert refused.value.counts == {}
    assert refused.value.code == "site-refused.odd"


@every_opener
def test_a_malformed_refusal_is_malformed(opener: Callable[[Message], object]) -> None:
    with pytest.raises(MalformedRecord):
        opener(reply(RecordDict({wire.REFUSAL: ConfigRecord({"code": 7})})))


@given(tally=st.lists(st.integers(-LARGEST_ENTRY - 2, LARGEST_ENTRY + 2), min_size=3, max_size=3))
def test_a_tally_is_within_range_or_refused(tally: list[int]) -> None:
    """Otherwise the sum over many sites could overflow."""
    grid_of([])
    if all(abs(entry) < LARGEST_ENTRY for entry in tally):
        assert open_counts(reply(counts(tally))).tally.tolist() == tally
        assert open_contribution(reply(contribution(tally))).tally.tolist() == tally
    else:
        with pytest.raises(TallyOutOfRange):
            open_counts(reply(counts(tally)))
        with pytest.raises(TallyOutOfRange):
            open_contribution(reply(contribution(tally)))


@tallies
@pytest.mark.parametrize("entry", [LARGEST_ENTRY, -LARGEST_ENTRY, 2**63 - 1, -(2**63)])
def test_one_entry_out_of_range_is_enough(
    opener: Callable[[Message], object], content: Callable[[list[int]], RecordDict], entry: int
) -> None:
    with pytest.raises(TallyOutOfRange):
        opener(reply(content([0, entry, 0])))


@tallies
def test_the_largest_entries_are_below_the_bound(
    opener: Callable[[Message], object], content: Callable[[list[int]], RecordDict]
) -> None:
    opener(reply(content([LARGEST_ENTRY - 1, 0, 1 - LARGEST_ENTRY])))


def test_an_empty_tally_is_within_range() -> None:
    assert checked_counts(reply(counts([])), tally_size=0).tally.size == 0


def test_a_quarantine_tells_and_goes_on() -> None:
    events: list[RunEvent] = []
    with Quarantine(events.append, 3, "north"):
        raise TallyOutOfRange("too large", entry=1)
    assert events == [
        SiteQuarantined(
            server_round=3, site="north", code="tally-out-of-range", counts={"entry": 1}
        )
    ]


def test_a_quarantine_says_nothing_of_a_good_reply() -> None:
    events: list[RunEvent] = []
    with Quarantine(events.append, 3, "north"):
        pass
    assert events == []


def test_a_quarantine_hides_no_mistake_of_ours() -> None:
    events: list[RunEvent] = []
    with pytest.raises(ZeroDivisionError), Quarantine(events.append, 3, "north"):
        raise ZeroDivisionError
    assert events == []


def test_every_refusal_of_a_reply_is_one_kind_of_error() -> None:
    for kind in (Silent, Unreadable, NodeFailed, TallyOutOfRange, SiteRefused):
        assert issubclass(kind, ReplyRefused)
    assert issubclass(ReplyRefused, ValueError)
