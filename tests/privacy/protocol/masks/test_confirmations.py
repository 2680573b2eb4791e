"""A set is opened with the signatures of enough distinct witnesses on exactly its digest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature
from privacy.protocol.masks.confirmations import (
    MAX_WITNESSES,
    AnotherSetConfirmed,
    Confirmation,
    ConfirmedTwice,
    NotAWitness,
    TooFewConfirmations,
    check_confirmation,
    check_confirmations,
    decode_confirmations,
    join_confirmations,
)
from tests.masked_sites import identities, identity

NAMES = ("east", "north", "south", "west")
D = b"\x01" * 32


def confirmed(witness: str, set_digest: bytes = D, *, signer: str = "") -> Confirmation:
    return Confirmation.sign(
        set_digest,
        witness=witness,
        shares=b"shares of " + witness.encode(),
        unreadable=("west", "east"),
        sign=identity(signer or witness).sign,
    )


def check(confirmations: list[Confirmation], needed: int = 3) -> dict[str, Confirmation]:
    return check_confirmations(
        confirmations, set_digest=D, witnesses=identities(NAMES), needed=needed
    )


@given(st.lists(st.sampled_from(NAMES), unique=True))
def test_confirmations_are_read_as_they_were_joined(names: list[str]) -> None:
    made = tuple(confirmed(name) for name in names)
    assert decode_confirmations(join_confirmations(made)) == made


@given(st.permutations(NAMES), st.integers(0, 4))
def test_enough_witnesses_open_a_set_in_whatever_order_they_came(
    order: list[str], came: int
) -> None:
    made = [confirmed(name) for name in order[:came]]
    if came < 3:
        with pytest.raises(TooFewConfirmations, match="wait for") as caught:
            check(made)
        assert caught.value.counts == {"needed": 3, "came": came}
    else:
        assert list(check(made)) == sorted(order[:came])


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (confirmed("south", b"\x02" * 32), AnotherSetConfirmed),
        (confirmed("far"), NotAWitness),
        (confirmed("south", signer="west"), BadSignature),
        (replace(confirmed("south"), shares=b"others"), BadSignature),
        (replace(confirmed("south"), unreadable=()), BadSignature),
        (confirmed("east"), ConfirmedTwice),
    ],
)
def test_one_wrong_confirmation_among_enough_refuses_the_set(
    wrong: Confirmation, refusal: type[ConsortiumError]
) -> None:
    """What is wrong was taken by the coordinator, and is not left out in silence."""
    good = [confirmed(name) for name in ("east", "north", "west")]
    with pytest.raises(refusal):
        check([*good, wrong])
    assert len(check(good)) == 3


def test_a_confirmation_can_be_checked_when_it_comes() -> None:
    witnesses = identities(NAMES)
    check_confirmation(confirmed("east"), set_digest=D, witnesses=witnesses)
    with pytest.raises(AnotherSetConfirmed):
        check_confirmation(confirmed("east"), set_digest=bytes(32), witnesses=witnesses)


def test_the_shares_of_a_confirmation_are_not_printed() -> None:
    assert "shares of" not in repr(confirmed("east"))


def test_more_confirmations_than_witnesses_can_be_are_refused() -> None:
    with pytest.raises(MalformedEnvelope):
        join_confirmations([confirmed("east")] * (MAX_WITNESSES + 1))
    written = bytearray(join_confirmations([confirmed("east")]))
    start = len(b"consortium.confirmations/1\n")
    written[start : start + 8] = (MAX_WITNESSES + 1).to_bytes(8, "big")
    with pytest.raises(MalformedEnvelope):
        decode_confirmations(bytes(written))
