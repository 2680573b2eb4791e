import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement, BadSignature, NotAMember
from privacy.protocol.envelope import WrongCharter
from privacy.protocol.key_messages import (
    Delivery,
    DeliveryTerms,
    Opening,
    delivery_body,
    opening_body,
)
from privacy.protocol.receipts import NotInRoster, TooFewOthers
from privacy.secrets.key_exchange import (
    LONGEST_STEP,
    EpochTooFar,
    NewEpoch,
    NotAnOpener,
    OpenedRun,
    RunPlan,
    WrongDescriptor,
    WrongEpoch,
    WrongRecipient,
    accept_delivery,
    accept_opening,
    deliver_epoch,
    make_opening,
    rotate_epoch,
)
from privacy.secrets.keys import CannotOpen, EpochSecret, Identity, SecretStays
from privacy.secrets.replay_guard import (
    KeyBurned,
    OpeningAlreadyAccepted,
    SiteMemory,
    StaleEpoch,
    TooManyOpenings,
)

DESCRIPTOR = b"\x02" * 32
Identities = dict[str, Identity]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SiteMemory]:
    with SiteMemory(tmp_path / "memory") as memory:
        yield memory


@pytest.fixture
def accept(agreement: Agreement, epoch: NewEpoch, memory: SiteMemory) -> Callable[..., OpenedRun]:
    """West accepts an opening, in every respect as it should unless said otherwise."""

    def accept(opening: Opening, **changes: Any) -> OpenedRun:
        right: dict[str, Any] = {
            "site": "west",
            "descriptor": DESCRIPTOR,
            "agreement": agreement,
            "secret": epoch.secret,
            "memory": memory,
        }
        return accept_opening(opening, **{**right, **changes})

    return accept


# Epochs


def test_every_other_member_gets_the_same_secret(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    assert set(epoch.deliveries) == {"north", "south", "west"}
    assert epoch.secret.epoch == 5
    for name, delivery in epoch.deliveries.items():
        came = Delivery.decode(delivery.encode())
        secret = accept_delivery(came, identity=identities[name], agreement=agreement, last_epoch=4)
        assert (secret.epoch, secret.fingerprint) == (5, epoch.secret.fingerprint)


def test_who_left_gets_nothing_and_who_joined_can_read_nothing_of_before(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    """Rotation: another charter, another epoch, another secret."""
    joined = Identity.generate("north-west")
    members = (*(member for member in agreement.members if member.name != "west"), joined.public)
    changed = replace(agreement, charter=b"\x09" * 32, members=members)
    fresh = rotate_epoch(identities["north"], agreement=changed, last_epoch=5)
    assert set(fresh.deliveries) == {"east", "south", "north-west"}
    assert fresh.secret.epoch == 6
    assert fresh.secret.fingerprint != epoch.secret.fingerprint
    accept_delivery(
        fresh.deliveries["north-west"], identity=joined, agreement=changed, last_epoch=0
    )
    with pytest.raises(WrongRecipient):
        accept_delivery(
            fresh.deliveries["south"], identity=identities["west"], agreement=changed, last_epoch=5
        )
    with pytest.raises(WrongCharter):
        accept_delivery(epoch.deliveries["south"], identity=joined, agreement=changed, last_epoch=0)


def test_only_named_members_make_epochs(identities: Identities, agreement: Agreement) -> None:
    with pytest.raises(NotAnOpener):
        rotate_epoch(identities["west"], agreement=agreement, last_epoch=0)
    with pytest.raises(NotAMember):
        rotate_epoch(Identity.generate("moon"), agreement=agreement, last_epoch=0)
    secret = EpochSecret(6, bytes(32))
    with pytest.raises(NotAMember):
        deliver_epoch(secret, identities["east"], to="moon", agreement=agreement)
    rogue = deliver_epoch(secret, identities["west"], to="south", agreement=agreement)
    with pytest.raises(NotAnOpener):
        accept_delivery(rogue, identity=identities["south"], agreement=agreement, last_epoch=5)


@pytest.mark.parametrize("last_epoch", [5, 6, 2**62])
def test_an_epoch_that_is_not_newer_is_refused(
    identities: Identities, agreement: Agreement, epoch: NewEpoch, last_epoch: int
) -> None:
    """Replay and rollback."""
    with pytest.raises(StaleEpoch) as caught:
        accept_delivery(
            epoch.deliveries["west"],
            identity=identities["west"],
            agreement=agreement,
            last_epoch=last_epoch,
        )
    assert caught.value.counts == {"last": last_epoch, "came": 5}


def test_an_epoch_that_leaves_no_number_for_the_next_is_refused(
    identities: Identities, agreement: Agreement
) -> None:
    """Else one member, once, could keep a consortium from ever rotating again."""
    west = identities["west"]

    def accepted(number: int) -> EpochSecret:
        secret = EpochSecret(number, bytes(32))
        delivery = deliver_epoch(secret, identities["east"], to="west", agreement=agreement)
        return accept_delivery(delivery, identity=west, agreement=agreement, last_epoch=4)

    assert accepted(4 + LONGEST_STEP).epoch == 4 + LONGEST_STEP
    for number in (5 + LONGEST_STEP, 2**63 - 1):
        with pytest.raises(EpochTooFar) as caught:
            accepted(number)
        assert caught.value.counts == {"last": 4, "came": number}


def test_a_delivery_opens_for_its_recipient_only(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    delivery = epoch.deliveries["west"]
    with pytest.raises(WrongRecipient):
        accept_delivery(delivery, identity=identities["south"], agreement=agreement, last_epoch=4)
    with pytest.raises(WrongRecipient):
        accept_delivery(
            delivery, identity=Identity.generate("west"), agreement=agreement, last_epoch=4
        )


def test_a_delivery_belongs_to_one_charter(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    """Another fingerprint, and a charter in which the maker's keys were swapped."""
    west = identities["west"]
    with pytest.raises(WrongCharter):
        accept_delivery(
            epoch.deliveries["west"],
            identity=west,
            agreement=replace(agreement, charter=bytes(32)),
            last_epoch=4,
        )
    impostor = Identity.generate("east")
    members = (impostor.public, *agreement.members[1:])
    with pytest.raises(BadSignature):
        accept_delivery(
            epoch.deliveries["west"],
            identity=west,
            agreement=replace(agreement, members=members),
            last_epoch=4,
        )


def test_the_makers_whole_identity_is_bound(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    """Signed with the right key, but under a fingerprint the charter does not give."""
    good = epoch.deliveries["west"]
    with pytest.raises(WrongCharter, match="other keys"):
        accept_delivery(
            _resigned(good, identities["east"], maker_fingerprint=bytes(32)),
            identity=identities["west"],
            agreement=agreement,
            last_epoch=4,
        )


@pytest.mark.parametrize("change", [{"epoch": 6}, {"epoch_fingerprint": bytes(32)}])
def test_a_sealed_secret_cannot_be_moved_to_other_terms(
    identities: Identities, agreement: Agreement, epoch: NewEpoch, change: dict[str, Any]
) -> None:
    """Even the maker itself cannot say afterwards that it was another epoch."""
    with pytest.raises(CannotOpen):
        accept_delivery(
            _resigned(epoch.deliveries["west"], identities["east"], **change),
            identity=identities["west"],
            agreement=agreement,
            last_epoch=4,
        )


def test_a_maker_cannot_commit_to_one_secret_and_seal_another(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> None:
    """Two members would hold different secrets under one number and one fingerprint."""
    terms = epoch.deliveries["west"].terms
    east, west = identities["east"], identities["west"]
    sealed = west.public.seal(bytes(32), context=terms.encode())
    split = Delivery(terms=terms, sealed=sealed, signature=east.sign(delivery_body(terms, sealed)))
    with pytest.raises(CannotOpen):
        accept_delivery(split, identity=west, agreement=agreement, last_epoch=4)


# Openings


def test_all_members_hold_the_same_of_a_run(
    opening: Opening, epoch: NewEpoch, agreement: Agreement, tmp_path: Path
) -> None:
    runs = []
    for name in ("east", "north", "south", "west"):
        with SiteMemory(tmp_path / name) as memory:
            runs.append(
                accept_opening(
                    Opening.decode(opening.encode()),
                    site=name,
                    descriptor=DESCRIPTOR,
                    agreement=agreement,
                    secret=epoch.secret,
                    memory=memory,
                )
            )
    assert {run.scheme_secret for run in runs} == {b"the scheme's secret key"}
    assert {(run.run, run.roster, run.keys.state) for run in runs} == {
        (opening.run, opening.terms.roster, runs[0].keys.state)
    }


@pytest.fixture
def opened_by(
    identities: Identities, agreement: Agreement, epoch: NewEpoch
) -> Callable[..., Opening]:
    """An opening as our own code makes it."""

    def build(opener: str, *roster: str) -> Opening:
        plan = RunPlan(label="run", descriptor=DESCRIPTOR, roster=roster)
        secret = epoch.secret
        return make_opening(
            plan, b"key", opener=identities[opener], agreement=agreement, secret=secret
        )

    return build


@pytest.fixture
def forged_by(identities: Identities, opening: Opening, epoch: NewEpoch) -> Callable[..., Opening]:
    """An opening as a member's own code could make it: well signed, nothing checked."""

    def build(opener: str, *roster: str) -> Opening:
        changes = {"opener": opener, "roster": tuple(sorted(roster))}
        return _reopened(opening, identities[opener], epoch.secret, **changes)

    return build


def test_two_openings_of_one_plan_share_nothing(opened_by: Callable[..., Opening]) -> None:
    first, second = (opened_by("north", "west", "east", "south") for _ in range(2))
    assert first.run != second.run
    assert first.wrapped != second.wrapped
    assert first.terms.roster == ("east", "south", "west")


@pytest.mark.parametrize(
    ("opener", "roster", "refusal"),
    [
        ("west", ("east", "north", "west"), NotAnOpener),
        ("east", ("east", "north", "moon"), NotAMember),
        ("east", ("east", "west"), TooFewOthers),
        ("east", (), TooFewOthers),
    ],
)
def test_what_the_charter_does_not_allow_is_not_opened(
    opened_by: Callable[..., Opening],
    opener: str,
    roster: tuple[str, ...],
    refusal: type[ConsortiumError],
) -> None:
    with pytest.raises(refusal):
        opened_by(opener, *roster)


@pytest.mark.parametrize(
    ("opener", "roster", "refusal"),
    [
        ("west", ("east", "north", "west"), NotAnOpener),
        ("east", ("east", "moon", "west"), NotAMember),
        ("east", ("east", "west"), TooFewOthers),
        ("east", ("east", "north", "south"), NotInRoster),
    ],
)
def test_what_the_charter_does_not_allow_is_not_accepted(
    forged_by: Callable[..., Opening],
    accept: Callable[..., OpenedRun],
    opener: str,
    roster: tuple[str, ...],
    refusal: type[ConsortiumError],
) -> None:
    accept(forged_by("north", "east", "north", "west"))
    with pytest.raises(refusal):
        accept(forged_by(opener, *roster))


def test_what_differs_is_named(
    identities: Identities,
    agreement: Agreement,
    opening: Opening,
    epoch: NewEpoch,
    accept: Callable[..., OpenedRun],
) -> None:
    later = EpochSecret(epoch.secret.epoch + 1, bytes(32))
    split = EpochSecret(epoch.secret.epoch, bytes(32))
    for came, change, refusal in (
        (opening, {"agreement": replace(agreement, charter=bytes(32))}, WrongCharter),
        (opening, {"secret": later}, WrongEpoch),
        (opening, {"secret": split}, WrongEpoch),
        (opening, {"descriptor": bytes(32)}, WrongDescriptor),
        (opening, {"site": "moon"}, NotInRoster),
        (replace(opening, signature=bytes(64)), {}, BadSignature),
        (_signed_by(opening, identities["north"]), {}, BadSignature),
    ):
        with pytest.raises(refusal):
            accept(came, **change)


def test_a_wrapped_key_cannot_be_moved_to_another_opening(
    identities: Identities, opening: Opening, accept: Callable[..., OpenedRun]
) -> None:
    """North signs an opening of its own around the key that east wrapped."""
    terms = replace(opening.terms, opener="north")
    stolen = Opening(
        terms=terms,
        wrapped=opening.wrapped,
        signature=identities["north"].sign(opening_body(terms, opening.wrapped)),
    )
    with pytest.raises(CannotOpen):
        accept(stolen)


def test_the_same_opening_is_accepted_again_until_its_key_is_burned(
    opening: Opening, accept: Callable[..., OpenedRun], memory: SiteMemory
) -> None:
    assert accept(opening).keys.state == accept(opening).keys.state
    memory.burn_key(opening.run)
    with pytest.raises(KeyBurned):
        accept(opening)


def test_nothing_is_handed_out_that_the_memory_did_not_take(
    opening: Opening, accept: Callable[..., OpenedRun], memory: SiteMemory
) -> None:
    memory.accept_opening(opening.run, bytes(32))
    with pytest.raises(OpeningAlreadyAccepted):
        accept(opening)


def test_a_run_is_opened_again_at_most_three_times(
    identities: Identities,
    agreement: Agreement,
    epoch: NewEpoch,
    opening: Opening,
    accept: Callable[..., OpenedRun],
    memory: SiteMemory,
) -> None:
    """Whichever of the earlier openings a new one calls its lineage."""
    last = opening
    for again in range(4):
        accept(last)
        memory.burn_key(last.run)
        last = make_opening(
            RunPlan(
                label="again",
                descriptor=DESCRIPTOR,
                roster=opening.terms.roster,
                lineage=opening.run if again % 2 else last.run,
            ),
            bytes(64),
            opener=identities["east"],
            agreement=agreement,
            secret=epoch.secret,
        )
    with pytest.raises(TooManyOpenings):
        accept(last)


def test_what_is_held_of_a_run_stays_where_it_is(
    opening: Opening, accept: Callable[..., OpenedRun]
) -> None:
    run = accept(opening)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy, lambda run: run.__getstate__()):
        with pytest.raises(SecretStays):
            leak(run)
    shown = f"{run!r} {run} {[run]}"
    assert run.run in shown
    assert "scheme" not in shown
    assert run.keys.state.hex() not in shown


def _resigned(delivery: Delivery, maker: Identity, **changes: Any) -> Delivery:
    terms: DeliveryTerms = replace(delivery.terms, **changes)
    signature = maker.sign(delivery_body(terms, delivery.sealed))
    return Delivery(terms=terms, sealed=delivery.sealed, signature=signature)


def _reopened(opening: Opening, signer: Identity, secret: EpochSecret, **changes: Any) -> Opening:
    terms = replace(opening.terms, **changes)
    wrapped = secret.wrap(b"key", terms=terms.encode())
    return Opening(
        terms=terms, wrapped=wrapped, signature=signer.sign(opening_body(terms, wrapped))
    )


def _signed_by(opening: Opening, opener: Identity) -> Opening:
    return replace(opening, signature=opener.sign(opening_body(opening.terms, opening.wrapped)))
