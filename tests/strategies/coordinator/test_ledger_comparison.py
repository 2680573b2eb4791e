"""A coordinator without keys lets real sites compare their ledgers, and names who does not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.protocol.announcements import Attestation
from privacy.wire import comparison_messages as comparing
from privacy.wire import flower_records as wire
from privacy.wire import messages
from strategies.coordinator.ledger_comparison import LedgerComparison
from tests.carrier import exchange_with, roster_of
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    forget_processes,
)


@pytest.fixture
def consortium(tmp_path: Path) -> Iterator[Consortium]:
    forget_processes()
    yield Consortium.placed(tmp_path)
    forget_processes()


def announced(consortium: Consortium, name: str) -> bytes:
    """Return what a site announces in its answer to the greeting."""
    greeting = messages.greeting(consortium.charter.fingerprint, bytes(32))
    said = consortium.place(name).ask(messages.HELLO, greeting)
    return messages.read_introduction(said, max_examples=0).announcement


def compared(
    consortium: Consortium, up: Hook = as_it_is, **other: bytes
) -> tuple[Course, set[str]]:
    """Let all sites compare; return what was seen, and who can take part."""
    course = Course()
    said = {name: announced(consortium, name) for name in NAMES if name not in other} | other
    comparison = LedgerComparison(
        exchange=exchange_with(consortium, course, up=up),
        agreement=consortium.charter.agreement,
        observe=course.events.append,
    )
    return course, set(comparison.carry(roster_of(consortium, announcements=said)))


def from_east(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Hook:
    """Return a hook by which east says something else of the others."""

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("east", comparing.ATTEST):
            return passing.content
        return comparing.attestations(change(comparing.read_attestations(passing.content)))

    return hook


def test_all_who_say_what_they_hold_can_take_part(consortium: Consortium) -> None:
    course, sites = compared(consortium)
    assert sites == set(NAMES)
    assert not course.quarantined


def test_each_site_is_shown_what_all_others_hold_of_it_and_nothing_else(
    consortium: Consortium,
) -> None:
    course, _ = compared(consortium)
    for asked, _ in course.answers(comparing.COMPARE):
        _, shown = comparing.read_comparison(asked.content)
        assert set(shown) == set(NAMES) - {asked.site}
        assert {Attestation.decode(one).subject for one in shown.values()} == {asked.site}


@pytest.mark.parametrize("announcement", [b"", b"nonsense"])
def test_a_site_that_announces_nothing_is_named(
    consortium: Consortium, announcement: bytes
) -> None:
    course, sites = compared(consortium, north=announcement)
    assert sites == set(NAMES) - {"north"}
    assert course.quarantined == {(0, "north", "malformed-envelope")}


def test_what_another_member_announced_is_nobody_elses(consortium: Consortium) -> None:
    course, sites = compared(consortium, north=announced(consortium, "south"))
    assert sites == set(NAMES) - {"north"}
    assert course.quarantined == {(0, "north", "malformed-envelope")}


def refused(_passing: Passing) -> RecordDict:
    return wire.refusal_of("site-error", {})


def test_a_site_that_says_nothing_of_the_others_is_named_and_they_go_on(
    consortium: Consortium,
) -> None:
    def silent(passing: Passing) -> RecordDict:
        asked = (passing.site, passing.kind) == ("east", comparing.ATTEST)
        return refused(passing) if asked else passing.content

    course, sites = compared(consortium, silent)
    assert sites == set(NAMES) - {"east"}
    assert course.quarantined == {(0, "east", "site-refused.site-error")}


def without_west(said: dict[str, bytes]) -> dict[str, bytes]:
    return {name: one for name, one in said.items() if name != "west"}


def of_another(said: dict[str, bytes]) -> dict[str, bytes]:
    return {**said, "west": said["north"]}


def unsigned(said: dict[str, bytes]) -> dict[str, bytes]:
    return {**said, "west": replace(Attestation.decode(said["west"]), held=(b"x",)).encode()}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without_west, "not-attested"),
        (of_another, "not-attested"),
        (unsigned, "bad-signature"),
    ],
)
def test_a_site_that_does_not_say_what_it_holds_of_each_is_named(
    consortium: Consortium, change: Callable[[dict[str, bytes]], dict[str, bytes]], code: str
) -> None:
    course, sites = compared(consortium, from_east(change))
    assert sites == set(NAMES) - {"east"}
    assert course.quarantined == {(0, "east", code)}


def test_a_site_that_refuses_to_compare_is_named_and_what_it_said_is_shown(
    consortium: Consortium,
) -> None:
    def refusing(passing: Passing) -> RecordDict:
        asked = (passing.site, passing.kind) == ("east", comparing.COMPARE)
        return refused(passing) if asked else passing.content

    course, sites = compared(consortium, refusing)
    assert sites == set(NAMES) - {"east"}
    shown = [
        comparing.read_comparison(asked.content)[1]
        for asked, _ in course.answers(comparing.COMPARE)
        if asked.site != "east"
    ]
    assert all("east" in one for one in shown)
