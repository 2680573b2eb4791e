"""A coordinator without keys carries keys between real sites, and cannot forge any."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.protocol.key_messages import Delivery, Opening, delivery_body
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from privacy.wire import messages
from strategies.coordinator.encrypted.opening.key_setup import KeyExchange, NoOpener
from tests.carrier import answering, exchange_with, roster_of
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
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path)


def keys(consortium: Consortium, course: Course, up: Hook = as_it_is) -> KeyExchange:
    return KeyExchange(
        exchange=exchange_with(consortium, course, up=up),
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


def test_at_first_an_epoch_is_made_and_all_come_to_hold_it(consortium: Consortium) -> None:
    course = Course()
    assert keys(consortium, course).agree_on_epoch(roster_of(consortium)) == NAMES
    assert len(set(held(consortium).values())) == 1
    assert not course.quarantined


def test_an_epoch_that_all_hold_is_kept(consortium: Consortium) -> None:
    keys(consortium, Course()).agree_on_epoch(roster_of(consortium))
    before = held(consortium)
    course = Course()
    forget_processes()
    assert keys(consortium, course).agree_on_epoch(roster_of(consortium)) == NAMES
    assert held(consortium) == before
    assert {asked.kind for asked, _ in course.seen} == {sealed_messages.EPOCH}


def test_who_was_away_when_it_was_made_brings_about_a_new_one(consortium: Consortium) -> None:
    three = keys(consortium, Course()).agree_on_epoch(roster_of(consortium, NAMES[:3]))
    assert three == NAMES[:3]
    assert held(consortium)["west"] == (0, b"")
    assert keys(consortium, Course()).agree_on_epoch(roster_of(consortium)) == NAMES
    assert {epoch for epoch, _ in held(consortium).values()} == {2}


@pytest.mark.parametrize("said", [(7, b"x" * 32), (0, b""), (2**63 - 1, b"x" * 32)])
def test_a_site_that_lies_about_its_epoch_costs_a_rotation_and_no_more(
    consortium: Consortium, said: tuple[int, bytes]
) -> None:
    """And it does not use up the numbers: else no epoch could ever follow."""
    keys(consortium, Course()).agree_on_epoch(roster_of(consortium))
    lie = answering("south", sealed_messages.EPOCH, lambda: sealed_messages.held_epoch(*said))
    assert keys(consortium, Course(), lie).agree_on_epoch(roster_of(consortium)) == NAMES
    (made,) = {epoch for epoch, _ in held(consortium).values()}
    assert made == {7: 8, 0: 2}.get(said[0], 2**20 + 2)
    assert keys(consortium, Course(), lie).agree_on_epoch(roster_of(consortium)) == NAMES


def test_a_site_that_says_nothing_of_its_epoch_is_brought_the_new_one(
    consortium: Consortium,
) -> None:
    course = Course()
    silent = answering("south", sealed_messages.EPOCH, lambda: RecordDict({}))
    assert keys(consortium, course, silent).agree_on_epoch(roster_of(consortium)) == NAMES
    assert course.quarantined == {(0, "south", "malformed-record")}


def test_a_site_that_does_not_take_its_delivery_is_not_in_the_run(consortium: Consortium) -> None:
    course = Course()
    spoiled = answering("south", sealed_messages.DELIVER, lambda: RecordDict({}))
    assert keys(consortium, course, spoiled).agree_on_epoch(roster_of(consortium)) == (
        "east",
        "north",
        "west",
    )
    assert course.quarantined == {(0, "south", "malformed-record")}


def test_the_next_in_line_makes_the_epoch_if_the_first_does_not(consortium: Consortium) -> None:
    course = Course()
    fails = answering("east", sealed_messages.ROTATE, lambda: RecordDict({}))
    agreed = keys(consortium, course, fails).agree_on_epoch(roster_of(consortium))
    assert "north" in agreed
    assert (0, "east", "malformed-record") in course.quarantined
    makers = [asked.site for asked, _ in course.seen if asked.kind == sealed_messages.ROTATE]
    assert makers == ["east", "north"]


def crossed(made: dict[str, bytes]) -> dict[str, bytes]:
    return {**made, "north": made["south"], "south": made["north"]}


def unsigned(made: dict[str, bytes]) -> dict[str, bytes]:
    return {**made, "west": made["west"][:-1] + bytes([made["west"][-1] ^ 1])}


def emptied(made: dict[str, bytes]) -> dict[str, bytes]:
    return {**made, "south": b""}


def lacking(made: dict[str, bytes]) -> dict[str, bytes]:
    return {name: one for name, one in made.items() if name != "north"}


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (crossed, "wrong-delivery"),
        (unsigned, "bad-signature"),
        (emptied, "malformed-envelope"),
        (lacking, "wrong-delivery"),
    ],
)
def test_deliveries_that_are_not_right_reach_nobody_and_their_maker_is_named(
    consortium: Consortium, alter: Callable[[dict[str, bytes]], dict[str, bytes]], code: str
) -> None:
    """The next in line makes them, and no site refuses anything."""
    course = Course()

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != ("east", sealed_messages.ROTATE):
            return passing.content
        return sealed_messages.deliveries(alter(sealed_messages.read_deliveries(passing.content)))

    assert keys(consortium, course, hook).agree_on_epoch(roster_of(consortium)) == NAMES
    assert course.quarantined == {(0, "east", code)}
    assert len(set(held(consortium).values())) == 1


def sealed_wrongly(consortium: Consortium, maker: str, *sites: str) -> Hook:
    """Return a hook with which a maker signs for some sites what they cannot open."""

    def hook(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) != (maker, sealed_messages.ROTATE):
            return passing.content
        made = sealed_messages.read_deliveries(passing.content)
        for site in sites:
            sent = Delivery.decode(made[site])
            sealed = sent.sealed[:-1] + bytes([sent.sealed[-1] ^ 1])
            signature = consortium.identity(maker).sign(delivery_body(sent.terms, sealed))
            made[site] = replace(sent, sealed=sealed, signature=signature).encode()
        return sealed_messages.deliveries(made)

    return hook


def cannot_open(site: str) -> Hook:
    """Return a hook with which a site says that it can open no delivery."""
    refused = wire.refusal_of("cannot-open", {})
    return answering(site, sealed_messages.DELIVER, lambda: refused)


@pytest.mark.parametrize("victims", [("south",), ("north", "south", "west")])
def test_a_maker_of_what_others_cannot_open_is_named_and_the_next_one_makes_it(
    consortium: Consortium, victims: tuple[str, ...]
) -> None:
    course = Course()
    hook = sealed_wrongly(consortium, "east", *victims)
    assert keys(consortium, course, hook).agree_on_epoch(roster_of(consortium)) == NAMES
    assert course.quarantined == {(0, "east", "unusable-keys")}
    assert len(set(held(consortium).values())) == 1


def test_a_site_that_can_open_nobodys_delivery_is_named_and_no_maker(
    consortium: Consortium,
) -> None:
    course = Course()
    agreed = keys(consortium, course, cannot_open("south")).agree_on_epoch(roster_of(consortium))
    assert agreed == ("east", "north", "west")
    assert course.quarantined == {(0, "south", "site-refused.cannot-open")}


def test_of_one_maker_the_word_of_most_stands(tmp_path: Path) -> None:
    """There is no other whose delivery could tell who lies."""
    placed = Consortium.placed(tmp_path)
    alone = placed.charter.model_copy(update={"openers": ("east",)})
    for name in NAMES:
        alone.write(placed.run.site(name) / "charter.json")
    consortium, course = replace(placed, charter=alone), Course()
    forget_processes()
    agreed = keys(consortium, course, cannot_open("south")).agree_on_epoch(roster_of(consortium))
    assert agreed == ("east", "north", "west")
    assert course.quarantined == {(0, "south", "site-refused.cannot-open")}
    forget_processes()
    course = Course()
    for name in ("north", "west"):
        (consortium.run.site(name) / "memory" / "memory.sqlite").unlink()
    hook = sealed_wrongly(consortium, "east", "north", "south", "west")
    with pytest.raises(NoOpener, match="could open nothing"):
        keys(consortium, course, hook).agree_on_epoch(roster_of(consortium))
    assert course.quarantined == {(0, "east", "unusable-keys")}


def test_without_a_maker_there_is_no_epoch(consortium: Consortium) -> None:
    fails = dict.fromkeys(NAMES, RecordDict({}))

    def nobody(passing: Passing) -> RecordDict:
        return fails[passing.site] if passing.kind == sealed_messages.ROTATE else passing.content

    with pytest.raises(NoOpener, match="epoch secret needs one of east, north"):
        keys(consortium, Course(), nobody).agree_on_epoch(roster_of(consortium))


def test_only_those_make_an_epoch_that_the_charter_names(consortium: Consortium) -> None:
    agreement = replace(consortium.charter.agreement, openers=("west", "south"))
    course = Course()
    exchange = replace(keys(consortium, course), agreement=agreement)
    with pytest.raises(NoOpener, match="west, south"):
        exchange.agree_on_epoch(roster_of(consortium, ("east", "north")))
    assert sealed_messages.ROTATE not in {asked.kind for asked, _ in course.seen}


def opened(
    consortium: Consortium, course: Course, up: Hook, sites: tuple[str, ...] = NAMES
) -> Opening:
    keys(consortium, Course()).agree_on_epoch(roster_of(consortium))
    opening, encoded = keys(consortium, course, up).open_run(
        roster_of(consortium), sites, label="small", lineage=""
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
    keys(consortium, Course()).agree_on_epoch(roster_of(consortium))
    exchange = replace(keys(consortium, Course(), fails), agreement=agreement)
    with pytest.raises(NoOpener, match="needs one of east to open it"):
        exchange.open_run(roster_of(consortium), NAMES, label="small", lineage="")
