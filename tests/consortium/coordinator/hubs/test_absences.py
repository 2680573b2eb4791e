"""Why a member behind a hub is missing."""

from consortium.coordinator.hubs.absences import explaining
from strategies.coordinator.messaging.events import RunEvent, SiteAnswered, SiteQuarantined


def left_out(site: str, code: str) -> SiteQuarantined:
    return SiteQuarantined(server_round=1, site=site, code=code)


def test_what_comes_of_nothing_is_explained_by_the_hub_and_only_where_it_is_away() -> None:
    told: list[RunEvent] = []
    observe = explaining(told.append, lambda: {"east"})
    answered = SiteAnswered(server_round=1, site="east")
    for event in (
        left_out("east", "silent"),
        left_out("east", "node-gone"),
        left_out("east", "never-came"),
        left_out("west", "silent"),
        left_out("east", "bad-signature"),
        answered,
    ):
        observe(event)
    assert told == [
        *[left_out("east", "hub-away")] * 3,
        left_out("west", "silent"),
        left_out("east", "bad-signature"),
        answered,
    ]
