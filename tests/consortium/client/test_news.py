"""A site's own rule for having something new: its records, its loss, and nothing that leaves."""

from pathlib import Path

import numpy as np
import pytest

from consortium.charter.document import Floors
from consortium.client.news import NothingNew, news_of
from consortium.run.absences import Absence
from consortium.site.directory import SiteDirectory
from privacy.layout import Vector
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.messages import Position
from tests.small_consortium import Consortium, Place, forget_processes, records

TRIGGERED = {"aggregation": "clear", "schedule": "triggered"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    forget_processes()
    consortium = Consortium.placed(tmp_path, floors=Floors(full_class_examples=40))
    return consortium.place("east", **TRIGGERED)


def stands(
    place: Place, *, server_round: int = 1, shift: float = 0.0, run: str = "run-1"
) -> Position:
    """Return a question from a state that is `shift` away from the start in every number."""
    site = place.site
    state: Vector = np.full(site.task.layout.dim, shift)
    return Position(
        charter=site.fingerprint,
        run=run,
        server_round=server_round,
        state=state,
        statistics=site.task.statistics_of(site.data),
    )


def insisting(position: Position) -> Position:
    return Position(**{**vars(position), "insists": True})


def test_a_site_that_never_sent_an_update_has_something_new(place: Place) -> None:
    news = news_of(place.site, stands(place))
    assert news.update is not None
    assert news.update.run == "run-1"


def test_a_site_whose_loss_is_what_it_was_has_nothing_new_unless_it_is_asked_all_the_same(
    place: Place,
) -> None:
    news_of(place.site, stands(place)).keep()
    again = stands(place, server_round=2)
    with pytest.raises(NothingNew):
        news_of(place.site, again)
    assert news_of(place.site, insisting(again)).update is not None


def test_a_changed_loss_another_run_and_changed_records_are_something_new(place: Place) -> None:
    news_of(place.site, stands(place)).keep()
    assert news_of(place.site, stands(place, server_round=2, shift=0.5)).update is not None
    assert news_of(place.site, stands(place, run="run-2")).update is not None
    records("west").to_parquet(place.directory / "data.parquet", index=False)
    forget_processes()
    assert news_of(place.site, stands(place, server_round=2)).update is not None


def test_a_run_without_a_trigger_keeps_nothing(tmp_path: Path) -> None:
    forget_processes()
    place = Consortium.placed(tmp_path, floors=Floors()).place("east", aggregation="clear")
    news_of(place.site, stands(place)).keep()
    assert not SiteDirectory(place.directory).last_update.exists()


def test_saying_so_trains_nothing_and_costs_no_privacy(place: Place) -> None:
    """What leaves is a code; the ledger of the site stands where it stood."""
    first = place.ask(messages.TRAIN, messages.position(stands(place)))
    assert wire.read_refusal(first) is None
    ledger = _ledger(place)
    assert ledger
    again = stands(place, server_round=2)
    said = wire.read_refusal(place.ask(messages.TRAIN, messages.position(again)))
    assert said == ("nothing-new", {})
    assert _ledger(place) == ledger
    sent = place.ask(messages.TRAIN, messages.position(insisting(again)))
    assert wire.read_refusal(sent) is None
    assert _ledger(place) != ledger


def test_asked_the_same_again_a_site_sends_what_it_sent_and_not_that_it_has_nothing_new(
    place: Place,
) -> None:
    """As after the death of the coordinator: its update may never have been used."""
    question = messages.position(stands(place))
    first, again = (place.ask(messages.TRAIN, question) for _ in range(2))
    assert first == again


def test_who_has_nothing_new_is_told_in_words() -> None:
    told = Absence(site="east", code="site-refused.nothing-new", joined=True)
    assert told.meaning == "It had nothing new to send"


def _ledger(place: Place) -> list[dict[str, object]]:
    from consortium.client.site_ledger import shared_ledger

    ledger = shared_ledger(place.directory)
    return [{"entries": ledger.head().entries}] if ledger.head().entries else []
