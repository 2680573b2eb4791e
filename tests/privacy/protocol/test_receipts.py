import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy import canonical
from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import Receipt, WrongAttempt, WrongPurpose, WrongRound, WrongRun
from privacy.protocol.receipts import (
    MAX_RECEIPTS,
    DuplicateMember,
    Expected,
    JoinedReceipts,
    NoMajority,
    NotInRoster,
    ReceiptAltered,
    ReceiptMissing,
    TooFewOthers,
    WrongBucket,
    WrongWeightClass,
    check_receipts,
    decode_receipts,
    majority_state,
)
from tests.receipts import encode_receipts

Build = Callable[..., Receipt]


@given(order=st.permutations(range(4)))
def test_the_order_of_receipts_does_not_matter(
    receipts: tuple[Receipt, ...], expected: Expected, order: list[int]
) -> None:
    assert check_receipts([receipts[index] for index in order], expected) == {0: receipts}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"slot": {"run": "other"}}, WrongRun),
        ({"slot": {"purpose": "statistics"}}, WrongPurpose),
        ({"slot": {"server_round": 2}}, WrongRound),
        ({"slot": {"attempt": 2}}, WrongAttempt),
        ({"bucket": 1}, WrongBucket),
        ({"weight_class": 8}, WrongWeightClass),
        ({"signer": "north"}, BadSignature),
    ],
)
def test_one_wrong_receipt_refuses_the_round(
    signed: Build,
    receipts: tuple[Receipt, ...],
    expected: Expected,
    change: dict[str, object],
    refusal: type[ConsortiumError],
) -> None:
    """Correctly signed, of a member, and still not of this round, attempt, place or share."""
    if "slot" in change:
        change = {"slot": replace(expected.slot, **change["slot"])}  # type: ignore[arg-type]
    wrong = signed("west", **change)
    with pytest.raises(refusal):
        check_receipts([*receipts[:3], wrong], replace(expected, weight_classes=(1, 2, 4)))


def test_a_site_outside_the_roster_is_refused(
    receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    roster = {name: member for name, member in expected.roster.items() if name != "west"}
    with pytest.raises(NotInRoster, match="west"):
        check_receipts(receipts, replace(expected, roster=roster))


def test_a_site_counts_once_even_with_two_good_receipts(
    signed: Build, receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    """Two uploads of one site combine into a forgery, and one site is no crowd."""
    again = signed("west", nonce=bytes(32))
    for extra in (again, receipts[3]):
        with pytest.raises(DuplicateMember):
            check_receipts([*receipts, extra], expected)


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_a_bucket_below_the_floor_is_refused(
    receipts: tuple[Receipt, ...], expected: Expected, keep: int
) -> None:
    with pytest.raises(TooFewOthers) as caught:
        check_receipts(receipts[:keep], replace(expected, own=None, site="away"))
    assert caught.value.counts == {"needed": 3, "came": keep}
    check_receipts(receipts[:3], expected)


def test_every_bucket_keeps_the_floor_for_every_reader(
    signed: Build, receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    """East reads a bucket it is not in: two sites are two others for east, but not for them."""
    buckets = {"east": 0, "north": 0, "south": 1, "west": 1}
    split = [*receipts[:2], signed("south", bucket=1), signed("west", bucket=1)]
    with pytest.raises(TooFewOthers):
        check_receipts(split, replace(expected, buckets=buckets))
    found = check_receipts(split, replace(expected, buckets=buckets, min_others=1))
    assert {bucket: len(members) for bucket, members in found.items()} == {0: 2, 1: 2}


def test_the_own_receipt_is_the_one_that_was_given(
    signed: Build, receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    """A second receipt of one's own key that one never gave, or one where none was given."""
    foreign = signed("east", nonce=bytes(32))
    with pytest.raises(ReceiptAltered):
        check_receipts([foreign, *receipts[1:]], expected)
    with pytest.raises(ReceiptAltered):
        check_receipts(receipts, replace(expected, own=None))
    with pytest.raises(ReceiptMissing):
        check_receipts(receipts[1:], expected)
    assert check_receipts(receipts[1:], replace(expected, own=None)) == {0: receipts[1:]}


def test_a_bucket_is_left_out_whole_or_not_at_all(signed: Build, expected: Expected) -> None:
    """A bucket below its floor is left out as a whole; no site is left out alone."""
    buckets = {"east": 0, "north": 0, "south": 1, "west": 1}
    split = replace(expected, buckets=buckets, min_others=0)
    others = [signed("south", bucket=1), signed("west", bucket=1)]
    assert list(check_receipts(others, split)) == [1]
    with pytest.raises(ReceiptMissing):
        check_receipts([signed("north"), *others], split)
    with pytest.raises(ReceiptAltered):
        check_receipts([signed("east", nonce=bytes(32)), *others], split)


def test_a_missing_own_receipt_is_raised_last(
    signed: Build, receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    """Who lets it pass has still had everything else checked."""
    with pytest.raises(BadSignature):
        check_receipts([*receipts[1:3], signed("west", signer="south")], expected)
    with pytest.raises(TooFewOthers):
        check_receipts(receipts[2:], expected)


@pytest.mark.parametrize(
    ("votes", "winner"),
    [
        ("a", "a"),
        ("aab", "a"),
        ("bab", "b"),
        ("ab", None),
        ("aabb", None),
        ("abc", None),
        ("", None),
    ],
)
def test_a_state_needs_more_than_half(votes: str, winner: str | None) -> None:
    """A plurality, a tie or no vote elects nothing."""
    states = [vote.encode() * 32 for vote in votes]
    if winner is None:
        with pytest.raises(NoMajority):
            majority_state(states)
    else:
        assert majority_state(states) == winner.encode() * 32
        with pytest.raises(NoMajority):
            majority_state(states, roster=2 * len(states))


def test_receipts_travel_in_the_order_given(receipts: tuple[Receipt, ...]) -> None:
    for some in (receipts, receipts[::-1], ()):
        data = encode_receipts(some)
        assert decode_receipts(data) == some
        for changed in (data + b"0", data[:-1]):
            with pytest.raises(MalformedEnvelope):
                decode_receipts(changed)


def test_a_message_is_parsed_once_and_another_one_for_itself(receipts: tuple[Receipt, ...]) -> None:
    message, other = (JoinedReceipts(encode_receipts(receipts)) for _ in range(2))
    assert decode_receipts(message) is decode_receipts(message)
    assert decode_receipts(other) == decode_receipts(message)
    assert not {*map(id, decode_receipts(other))} & {*map(id, decode_receipts(message))}


def test_a_receipt_that_one_member_signed_is_of_no_other(
    receipts: tuple[Receipt, ...], expected: Expected
) -> None:
    first, second = (expected.roster[receipt.label.site] for receipt in receipts[:2])
    for _ in range(2):
        receipts[0].verify(first)
        with pytest.raises(BadSignature):
            receipts[0].verify(second)


def test_more_receipts_than_can_be_are_refused_before_they_are_read(
    receipts: tuple[Receipt, ...],
) -> None:
    with pytest.raises(MalformedEnvelope):
        encode_receipts(receipts[:1] * (MAX_RECEIPTS + 1))
    head = encode_receipts(())[: -len(canonical.number(0))]
    with pytest.raises(MalformedEnvelope, match=str(MAX_RECEIPTS)):
        decode_receipts(head + canonical.number(MAX_RECEIPTS + 1))


def test_what_the_coordinator_needs_reaches_no_secret_and_no_framework() -> None:
    script = (
        "import sys, privacy.protocol.receipts, privacy.protocol.upload\n"
        "import privacy.protocol.key_messages\n"
        "never = {'privacy.secrets.keys', 'privacy.secrets.replay_guard', 'flwr'}\n"
        "print(sorted(never & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert ended.stdout.strip() == "[]"
