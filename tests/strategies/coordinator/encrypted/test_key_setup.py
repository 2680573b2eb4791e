"""A coordinator without keys carries keys between real sites, and cannot forge any."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.protocol.key_messages import Opening
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import messages
from strategies.coordinator.encrypted.key_setup import KeyExchange, NoOpener
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.roster import Present, Roster
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    configured,
    forget_processes,
)

FIRST_NODE = 1001


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path)


def roster(consortium: Consortium, sites: tuple[str, ...] = NAMES) -> Roster:
    nodes = {name: FIRST_NODE + index for index, name in enumerate(consortium.charter.names)}
    return Roster(
        layout=consortium.place("east").site.task.layout,
        present={name: Present(node=nodes[name], num_examples=0) for name in sites},
        asked=frozenset(),
    )


def keys(consortium: Consortium, course: Course, up: Hook = as_it_is) -> KeyExchange:
    grid = consortium.bus(course, configured({}), up=up)
    return KeyExchange(
        exchange=Exchange(grid=grid, deadline_s=0.0),
        agreement=consortium.charter.agreement,
        observe=course.events.append,
    )


def held(consortium: Consortium) -> dict[str, tuple[int, bytes]]:
    charter = consortium.charter
    content = messages.question(charter.fingerprint)
    return {
        name: sealed_messages.read_held_epoch(consortium.place(name).ask("query.epoch", content))
        for name in charter.names
    }


def answering(site: str, kind: str, answer: Callable[[], RecordDict]) -> Hook:
    """Return a hook with which a site answers one kind of question with something else."""

    def hook(passing: Passing) -> RecordDict:
        return answer() if (passing.site, passing.kind) == (site, kind) else passing.content

    return hook


def test_at_first_an_epoch_is_made_and_all_come_to_hold_it(consortium: Consortium) -> None:
    course = Course()
    assert keys(consortium, course).agree_on_epoch(roster(consortium)) == NAMES
    assert len(set(held(consortium).values())) == 1
    assert not course.quarantined


def test_an_epoch_that_all_hold_is_kept(consortium: Consortium) -> None:
    keys(consortium, Course()).agree_on_epoch(roster(consortium))
    before = held(consortium)
    course = Course()
    forget_processes()
    assert keys(consortium, course).agree_on_epoch(roster(consortium)) == NAMES
    assert held(consortium) == before
    assert {asked.kind for asked, _ in course.seen} == {sealed_messages.EPOCH}


def test_who_was_away_when_it_was_made_brings_about_a_new_one(consortium: Consortium) -> None:
    three = keys(consortium, Course()).agree_on_epoch(roster(consortium, NAMES[:3]))
    assert three == NAMES[:3]
    assert held(consortium)["west"] == (0, b"")
    assert keys(consortium, Course()).agree_on_epoch(roster(consortium)) == NAMES
    assert {epoch for epoch, _ in held(consortium).values()} == {2}


@pytest.mark.parametrize("said", [(7, b"x" * 32), (0, b""), (2**63 - 1, b"x" * 32)])
def test_a_site_that_lies_about_its_epoch_costs_a_rotation_and_no_more(
    consortium: Consortium, said: tuple[int, bytes]
) -> None:
    """And it does not use up the numbers: else no epoch could ever follow."""
    keys(consortium, Course()).agree_on_epoch(roster(consortium))
    lie = answering("south", sealed_messages.EPOCH, lambda: sealed_messages.held_epoch(*said))
    assert keys(consortium, Course(), lie).agree_on_epoch(roster(consortium)) == NAMES
    (made,) = {epoch for epoch, _ in held(consortium).values()}
    assert made == {7: 8, 0: 2}.get(said[0], 2**20 + 2)
    assert keys(consortium, Course(), lie).agree_on_epoch(roster(consortium)) == NAMES


def test_a_site_that_says_nothing_of_its_epoch_is_brought_the_new_one(
    consortium: Consortium,
) -> None:
    course = Course()
    silent = answering("south", sealed_messages.EPOCH, lambda: RecordDict({}))
    assert keys(consortium, course, silent).agree_on_epoch(roster(consortium)) == NAMES
    assert course.quarantined == {(0, "south", "malformed-record")}


def test_a_site_that_does_not_take_its_delivery_is_not_in_the_run(consortium: Consortium) -> None:
    course = Course()
    spoiled = answering("south", sealed_messages.DELIVER, lambda: RecordDict({}))
    assert keys(consortium, course, spoiled).agree_on_epoch(roster(consortium)) == (
        "east",
        "north",
        "west",
    )
    assert course.quarantined == {(0, "south", "malformed-record")}


def test_the_next_in_line_makes_the_epoch_if_the_first_does_not(consortium: Consortium) -> None:
    course = Course()
    fails = answering("east", sealed_messages.ROTATE, lambda: RecordDict({}))
    agreed = keys(consortium, course, fails).agree_on_epoch(roster(consortium))
    assert "north" in agreed
    assert (0, "east", "malformed-record") in course.quarantined
    makers = [asked.site for asked, _ in course.seen if asked.kind == sealed_messages.ROTATE]
    assert makers == ["east", "north"]


def test_deliveries_that_were_altered_reach_nobody(consortium: Consortium) -> None:
    """The coordinator, or a maker that lies: each site refuses what was not made for it."""
    course, sealed = Course(), {}

    def crossed(passing: Passing) -> RecordDict:
        if passing.kind != sealed_messages.ROTATE:
            return passing.content
        sealed.update(sealed_messages.read_deliveries(passing.content))
        south, west = sealed["south"], sealed["west"]
        flipped = west[:-1] + bytes([west[-1] ^ 1])
        return sealed_messages.deliveries({"north": south, "south": b"", "west": flipped})

    assert keys(consortium, course, crossed).agree_on_epoch(roster(consortium)) == ("east",)
    assert course.quarantined == {
        (0, "north", "site-refused.wrong-recipient"),
        (0, "south", "site-refused.malformed-envelope"),
        (0, "west", "site-refused.bad-signature"),
    }


def test_who_is_brought_nothing_is_not_in_the_run(consortium: Consortium) -> None:
    course = Course()
    nothing = answering("east", sealed_messages.ROTATE, lambda: sealed_messages.deliveries({}))
    assert keys(consortium, course, nothing).agree_on_epoch(roster(consortium)) == ("east",)


def test_without_a_maker_there_is_no_epoch(consortium: Consortium) -> None:
    fails = dict.fromkeys(NAMES, RecordDict({}))

    def nobody(passing: Passing) -> RecordDict:
        return fails[passing.site] if passing.kind == sealed_messages.ROTATE else passing.content

    with pytest.raises(NoOpener, match="epoch secret needs one of east, north"):
        keys(consortium, Course(), nobody).agree_on_epoch(roster(consortium))


def test_only_those_make_an_epoch_that_the_charter_names(consortium: Consortium) -> None:
    agreement = replace(consortium.charter.agreement, openers=("west", "south"))
    course = Course()
    exchange = replace(keys(consortium, course), agreement=agreement)
    with pytest.raises(NoOpener, match="west, south"):
        exchange.agree_on_epoch(roster(consortium, ("east", "north")))
    assert sealed_messages.ROTATE not in {asked.kind for asked, _ in course.seen}


def opened(
    consortium: Consortium, course: Course, up: Hook, sites: tuple[str, ...] = NAMES
) -> Opening:
    keys(consortium, Course()).agree_on_epoch(roster(consortium))
    opening, encoded = keys(consortium, course, up).open_run(
        roster(consortium), sites, label="small", lineage=""
    )
    assert Opening.decode(encoded) == opening
    return opening


def test_the_first_opener_that_is_there_opens_the_run(consortium: Consortium) -> None:
    assert opened(consortium, Course(), as_it_is).terms.opener == "east"
    without = opened(consortium, Course(), as_it_is, ("south", "north", "west"))
    assert without.terms.opener == "north"
    assert without.terms.roster == ("north", "south", "west")


def elsewhere(consortium: Consortium, **changes: object) -> Callable[[], RecordDict]:
    """Return an answer of east, rightly signed, that opens another run than it was asked to."""

    def answer() -> RecordDict:
        wanted = {"label": "small", "roster": NAMES, "lineage": "", **changes}
        content = sealed_messages.opening_request(
            consortium.charter.fingerprint,
            str(wanted["label"]),
            list(wanted["roster"]),  # type: ignore[call-overload]
            str(wanted["lineage"]),
        )
        return consortium.place("east").ask("query.open", content)

    return answer


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        ({"roster": NAMES[:3]}, "wrong-opening"),
        ({"label": "large"}, "wrong-opening"),
        ({"lineage": "another-run"}, "wrong-opening"),
        (None, "malformed-envelope"),
    ],
)
def test_an_opener_that_opens_something_else_is_passed_over(
    consortium: Consortium, lie: dict[str, object] | None, code: str
) -> None:
    """And named: its signature is on it."""
    course = Course()
    answer = (
        (lambda: sealed_messages.opening(b"no opening"))
        if lie is None
        else elsewhere(consortium, **lie)
    )
    opening = opened(consortium, course, answering("east", sealed_messages.OPEN, answer))
    assert opening.terms.opener == "north"
    assert course.quarantined == {(0, "east", code)}


def test_an_opening_that_another_signed_is_passed_over(consortium: Consortium) -> None:
    """East answers with what north opened, or with a signature that is none."""
    course = Course()

    def forged(passing: Passing) -> RecordDict:
        if passing.kind != sealed_messages.OPEN or passing.site not in ("east", "north"):
            return passing.content
        if passing.site == "east":
            asked = sealed_messages.opening_request(
                consortium.charter.fingerprint, "small", NAMES, ""
            )
            return consortium.place("west").ask("query.open", asked)
        opening = Opening.decode(sealed_messages.read_opening(passing.content))
        return sealed_messages.opening(replace(opening, signature=bytes(64)).encode())

    assert opened(consortium, course, forged).terms.opener == "south"
    assert course.quarantined == {(0, name, "bad-signature") for name in ("east", "north")}


def test_without_an_opener_there_is_no_run(consortium: Consortium) -> None:
    fails = answering("east", sealed_messages.OPEN, lambda: RecordDict({}))
    agreement = replace(consortium.charter.agreement, openers=("east",))
    keys(consortium, Course()).agree_on_epoch(roster(consortium))
    exchange = replace(keys(consortium, Course(), fails), agreement=agreement)
    with pytest.raises(NoOpener, match="needs one of east to open it"):
        exchange.open_run(roster(consortium), NAMES, label="small", lineage="")
