"""Witnesses that confirm, do not, or confirm something else: what counts, and who is named."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from privacy.protocol.masks.confirmations import Confirmation, decode_confirmations
from privacy.protocol.masks.signed_set import SignedSet
from privacy.wire import flower_records as wire
from privacy.wire.mask_messages import ConfirmationRequest, confirmation, read_confirmation
from strategies.coordinator.masked.parameters import ConfirmationsMissing
from tests.masked_runs import CONFIRM, asked_together, confirmed, placed, silent
from tests.small_consortium import (
    COORDINATOR,
    NAMES,
    Consortium,
    Course,
    Hook,
    Passing,
    as_it_is,
    read_round,
    refusal,
)

Alter = Callable[[Consortium, Confirmation], Confirmation]


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return placed(tmp_path / "run")


def run(consortium: Consortium, *, up: Hook, down: Hook = as_it_is) -> Course:
    return consortium.start(down=down, up=up, masks=True, num_server_rounds=1, attempts=2)


def of_round(consortium: Consortium, alter: Alter, *sites: str) -> tuple[Hook, Hook]:
    """Return hooks by which witnesses answer something else about round 1."""
    asked: dict[str, int] = {}

    def down(passing: Passing) -> RecordDict:
        asked[passing.site] = passing.number
        return passing.content

    def up(passing: Passing) -> RecordDict:
        theirs = passing.kind == CONFIRM and asked[passing.site] == 1 and passing.site in sites
        if not theirs or refusal(passing.content):
            return passing.content
        said = Confirmation.decode(read_confirmation(passing.content))
        return confirmation(alter(consortium, said).encode())

    return down, up


def bent(_consortium: Consortium, said: Confirmation) -> Confirmation:
    return replace(said, signature=said.signature[:-1] + bytes([said.signature[-1] ^ 1]))


def signed(consortium: Consortium, said: Confirmation) -> Confirmation:
    return Confirmation.sign(
        said.set_digest,
        witness=said.witness,
        shares=said.shares,
        unreadable=said.unreadable,
        sign=consortium.identity(said.witness).sign,
    )


def of_another_set(consortium: Consortium, said: Confirmation) -> Confirmation:
    return signed(consortium, replace(said, set_digest=bytes(32)))


def cannot_open_easts(consortium: Consortium, said: Confirmation) -> Confirmation:
    return signed(consortium, replace(said, unreadable=("east",)))


def in_the_name_of_west(consortium: Consortium, said: Confirmation) -> Confirmation:
    return signed(consortium, replace(said, witness="west"))


def test_what_witnesses_are_shown_is_signed_by_the_coordinator_and_no_share_of_others(
    consortium: Consortium,
) -> None:
    course = consortium.start(masks=True, num_server_rounds=1)
    requests = {
        (asked.site, asked.number): ConfirmationRequest.read(asked.content)
        for asked, _ in course.answers(CONFIRM)
    }
    assert set(requests) == {(name, number) for name in NAMES for number in range(3)}
    for (_, number), asked in requests.items():
        digest = bytes.fromhex(confirmed(course)[number].digest)
        said = SignedSet(charter=bytes.fromhex(asked.charter), set_digest=digest)
        said.verify(COORDINATOR.public, asked.shown.signature)
    ours, others = requests["east", 1], requests["west", 1]
    assert all(ours.entries[site] != others.entries[site] for site in NAMES)
    assert ours.for_witness({}, {}) == others.for_witness({}, {})


@pytest.mark.parametrize(
    ("alter", "code"),
    [
        (bent, "bad-signature"),
        (of_another_set, "another-set-confirmed"),
        (in_the_name_of_west, "another-set-confirmed"),
    ],
)
def test_a_confirmation_that_is_not_right_does_not_count(
    consortium: Consortium, alter: Alter, code: str
) -> None:
    """The others are enough; it is told why this one is missing."""
    down, up = of_round(consortium, alter, "south")
    course = run(consortium, down=down, up=up)
    assert course.error is None, course.error
    told = confirmed(course)[1]
    assert told.confirmed_by == ("east", "north", "west")
    assert told.refused == {"south": code}
    part = next(read_round(asked.content).mask_part for asked, _ in course.answers("evaluate"))
    held = decode_confirmations(part.confirmations)
    assert tuple(one.witness for one in held) == told.confirmed_by


def test_shares_that_one_witness_cannot_open_are_opened_by_the_others(
    consortium: Consortium,
) -> None:
    """One in league may say so of anybody: nobody is named."""
    down, up = of_round(consortium, cannot_open_easts, "south")
    course = run(consortium, down=down, up=up)
    assert course.error is None, course.error
    assert not course.quarantined


def test_shares_that_more_witnesses_cannot_open_than_are_in_league_name_their_dealer(
    consortium: Consortium,
) -> None:
    down, up = of_round(consortium, cannot_open_easts, "south", "west")
    course = run(consortium, down=down, up=up)
    assert isinstance(course.error, ConfirmationsMissing)
    assert "shares that could not be opened are of east" in str(course.error)
    assert course.quarantined == {(1, "east", "shares-unreadable")}
    assert 1 not in confirmed(course)


def test_a_witness_whose_refusal_is_final_is_not_asked_again(consortium: Consortium) -> None:
    """One that was silent is, and so are those who did not upload just now."""
    asked: list[str] = []

    def refuses(passing: Passing) -> RecordDict:
        if passing.kind != CONFIRM or passing.site not in ("south", "west"):
            return passing.content
        asked.append(passing.site)
        code = "round-confirmed" if passing.site == "south" else "too-often"
        return wire.refusal_of(code, {})

    course = run(consortium, up=refuses)
    assert isinstance(course.error, ConfirmationsMissing)
    assert asked.count("south") == 1
    assert asked.count("west") == 3


SIX = ("east", "middle", "north", "south", "upper", "west")


@pytest.mark.parametrize("slow", [("west",), ("upper", "west")])
def test_a_witness_that_is_slow_is_waited_for_only_where_those_in_league_could_spoil_the_rest(
    slow: tuple[str, ...], tmp_path: Path
) -> None:
    """Of six, four must confirm; with five, one may confirm with shares that do not join."""
    consortium = placed(tmp_path / "six", SIX)
    course = consortium.start(
        down=silent(CONFIRM, 1, *slow), masks=True, num_server_rounds=1, attempts=2
    )
    assert course.error is None, course.error
    told = confirmed(course)[1]
    assert told.needed == 4
    assert told.confirmed_by == tuple(site for site in SIX if site not in slow)
    ample = len(slow) == 1
    assert told.not_awaited == (slow if ample else ())
    assert told.refused == ({} if ample else dict.fromkeys(slow, "silent"))
    # Those who were not waited for open the sum as everybody does, and end with the same model.
    assert set(course.models) == set(SIX)
    assert len(set(course.models.values())) == 1


def test_one_in_league_that_spoils_its_shares_stops_no_round_that_another_is_too_slow_for(
    tmp_path: Path,
) -> None:
    consortium = placed(tmp_path / "six", SIX)

    def spoiled(consortium: Consortium, said: Confirmation) -> Confirmation:
        return signed(consortium, replace(said, shares=bytes(len(said.shares))))

    down, up = of_round(consortium, spoiled, "east")
    gone = silent(CONFIRM, 1, "west")
    course = consortium.start(
        down=lambda passing: gone(replace(passing, content=down(passing))),
        up=up,
        masks=True,
        num_server_rounds=1,
    )
    assert course.error is None, course.error
    assert confirmed(course)[1].not_awaited == ("west",)


def test_witnesses_outside_the_set_are_asked_only_if_the_others_are_too_few(
    tmp_path: Path,
) -> None:
    consortium = placed(tmp_path / "any", sets_in_run="any")
    missing = silent("train", 1, "west")
    gone = silent(CONFIRM, 1, "south")

    def down(passing: Passing) -> RecordDict:
        return gone(replace(passing, content=missing(passing)))

    course = consortium.start(down=down, masks=True, num_server_rounds=1)
    assert course.error is None, course.error
    assert asked_together(course)[-1] == (1, 2, NAMES[:3])
    told = confirmed(course)[1]
    assert told.confirmed_by == ("east", "north", "west")
    assert told.exchanges == 2
