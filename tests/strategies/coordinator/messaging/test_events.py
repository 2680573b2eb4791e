import inspect
from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import get_args

import pytest

from strategies.coordinator.messaging import events
from strategies.coordinator.messaging.events import RunEvent, SiteAnswered

EVENTS = get_args(RunEvent)


def test_an_observer_receives_every_event() -> None:
    defined = {kind for _, kind in inspect.getmembers(events, is_dataclass)}
    assert set(EVENTS) == defined


def test_what_happened_stays_as_it_was() -> None:
    event = SiteAnswered(server_round=1, site="north")
    with pytest.raises(FrozenInstanceError):
        event.site = "south"  # type: ignore[misc]


def test_only_a_released_field_holds_a_value_of_one_site() -> None:
    """Where the strategy puts released tallies; all else is names, counts and pooled figures."""
    tallies = {item.name for kind in EVENTS for item in fields(kind) if "ndarray" in str(item.type)}
    assert tallies == {"pooled", "evaluation", "pairs", "released"}
