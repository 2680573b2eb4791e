"""Shares reach their witnesses sealed, are confirmed sealed, and join again; who lied is named."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import TRAINING, Slot
from privacy.protocol.masks.bundles import Deal, Entry, ShareBundle, WrongBundle
from privacy.protocol.masks.groups import ample_confirmations, confirmations_needed
from privacy.secrets.keys import CannotOpen
from privacy.secrets.masks.mask_streams import OwnMask
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.masks.share_bundles import (
    Judgement,
    MaskNotJoined,
    UnreadableShare,
    join_own_mask,
    join_own_masks,
    judge_shares,
    open_entry,
    open_shares,
    seal_bundle,
    seal_shares,
)
from privacy.secrets.masks.shares import PRIME, deal_shares, value_at

SLOT = Slot(run="run-1", purpose=TRAINING, server_round=3, attempt=1)
NAMES = tuple(f"site-{one:02}" for one in range(32))
KEY = b"r" * 64
D = b"\x0d" * 32


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """An own mask that its site dealt, and what each witness holds."""

    own: OwnMask
    deal: Deal
    bundle: ShareBundle
    secrets: Mapping[str, PairSecret]
    shares: Mapping[str, int]


def deal_of(own: OwnMask, *, num_witnesses: int, max_colluders: int) -> Deal:
    return Deal(
        slot=SLOT,
        site=NAMES[0],
        witnesses=NAMES[:num_witnesses],
        threshold=confirmations_needed(num_witnesses, max_colluders),
        commitment=own.commitment(SLOT, NAMES[0]),
    )


def dealt(*, num_witnesses: int = 5, max_colluders: int = 1) -> Dealt:
    own = OwnMask.fresh()
    deal = deal_of(own, num_witnesses=num_witnesses, max_colluders=max_colluders)
    secrets = {name: PairSecret(name.encode().ljust(32)) for name in deal.witnesses[1:]}
    bundle, kept = seal_bundle(own, deal, secrets=secrets)
    shares = {
        witness: open_entry(bundle.entry(deal, witness), deal, witness=witness, secret=secret)
        for witness, secret in secrets.items()
    }
    assert kept is not None
    return Dealt(
        own=own, deal=deal, bundle=bundle, secrets=secrets, shares={deal.site: kept, **shares}
    )


def few(shares: Mapping[str, int], names: tuple[str, ...]) -> dict[str, int]:
    return {name: shares[name] for name in names}


def altered(shares: Mapping[str, int], *names: str) -> dict[str, int]:
    # Not by a constant: errors of one form may cancel.
    return {
        name: pow(share, 3, PRIME) if name in names else share for name, share in shares.items()
    }


# --- joined again ----------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(3, 32), st.integers(0, 10), st.data())
def test_any_quorum_of_witnesses_joins_the_mask(
    num_witnesses: int, max_colluders: int, data: st.DataObject
) -> None:
    max_colluders = min(max_colluders, num_witnesses - 2)
    made = dealt(num_witnesses=num_witnesses, max_colluders=max_colluders)
    chosen = data.draw(st.permutations(made.deal.witnesses))[: made.deal.threshold]
    own, off = join_own_mask(few(made.shares, tuple(chosen)), made.deal)
    assert own.number == made.own.number
    assert off == ()


def test_one_witness_less_joins_nothing() -> None:
    made = dealt()
    for names in combinations(made.deal.witnesses, made.deal.threshold - 1):
        with pytest.raises(MaskNotJoined, match="wait for more") as refused:
            join_own_mask(few(made.shares, names), made.deal)
        assert refused.value.counts == {"needed": 4, "came": 3}


def test_a_dealer_that_is_no_witness_keeps_no_share() -> None:
    own = OwnMask.fresh()
    deal = replace(deal_of(own, num_witnesses=5, max_colluders=1), site="zurich")
    secrets = {name: PairSecret(bytes(32)) for name in deal.witnesses}
    bundle, kept = seal_bundle(own, deal, secrets=secrets)
    assert kept is None
    assert all(entry.sealed for entry in bundle.entries)


def test_the_same_mask_is_dealt_otherwise_each_time() -> None:
    made = dealt()
    bundle, kept = seal_bundle(made.own, made.deal, secrets=made.secrets)
    assert bundle.digest != made.bundle.digest
    assert kept != made.shares[made.deal.site]


# --- on their way ----------------------------------------------------------------------------


def test_no_message_holds_a_mask_or_a_share_in_the_open() -> None:
    made = dealt()
    mask = made.own.number.to_bytes(32, "big")
    confirmed = seal_shares([*made.shares.values()], key=KEY, set_digest=D, witness="site-01")
    for message in (made.bundle.encode(), confirmed, made.deal.commitment):
        assert mask not in message
        for share in made.shares.values():
            assert share.to_bytes(33, "big")[1:] not in message


@settings(max_examples=40)
@given(place=st.integers(0, 80), change=st.integers(1, 255))
def test_an_entry_that_was_altered_on_its_way_does_not_open(place: int, change: int) -> None:
    """The commitment is bound to the share as well: neither can be exchanged alone."""
    made, witness = dealt(), NAMES[1]
    entry = made.bundle.entry(made.deal, witness)
    written = bytearray(entry.commitment + entry.sealed)
    written[place] ^= change
    wrong = Entry(commitment=bytes(written[:32]), sealed=bytes(written[32:]))
    with pytest.raises(UnreadableShare, match="does not open"):
        open_entry(wrong, made.deal, witness=witness, secret=made.secrets[witness])


def test_an_entry_opens_for_its_witness_slot_and_mask_only() -> None:
    made, witness = dealt(), NAMES[1]
    entry, secret = made.bundle.entry(made.deal, witness), made.secrets[witness]
    others = [
        (replace(made.deal, slot=replace(SLOT, attempt=2)), witness, secret),
        (replace(made.deal, site=NAMES[2]), witness, secret),
        (replace(made.deal, commitment=bytes(32)), witness, secret),
        (made.deal, NAMES[2], secret),
        (made.deal, witness, PairSecret(bytes(32))),
    ]
    for deal, name, held in others:
        with pytest.raises(UnreadableShare):
            open_entry(entry, deal, witness=name, secret=held)
    empty = replace(entry, sealed=b"")
    with pytest.raises(UnreadableShare):
        open_entry(empty, made.deal, witness=witness, secret=secret)


def test_a_dealer_that_seals_another_share_than_it_commits_to_is_named() -> None:
    """Each lie opens under the dealer's key, so the coordinator cannot have told it."""
    made, witness = dealt(), NAMES[1]
    secret = made.secrets[witness]
    for share, committed in ((7, 8), (PRIME, PRIME)):
        commitment = made.deal.share_commitment(witness, committed)
        entry = sealed_by_hand(made.deal, witness, secret, share=share, commitment=commitment)
        with pytest.raises(UnreadableShare, match=f"{made.deal.site} sealed another share"):
            open_entry(entry, made.deal, witness=witness, secret=secret)


def sealed_by_hand(
    deal: Deal, witness: str, secret: PairSecret, *, share: int, commitment: bytes
) -> Entry:
    cipher = AESSIV(secret.share_key(deal.site, witness))
    sealed = cipher.encrypt(share.to_bytes(33, "big"), [deal.context(witness), commitment])
    return Entry(commitment=commitment, sealed=sealed)


# --- confirmed -------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.none(), st.integers(0, PRIME - 1)), min_size=1, max_size=20))
def test_confirmed_shares_are_opened_in_their_order(held: list[int | None]) -> None:
    sealed = seal_shares(held, key=KEY, set_digest=D, witness="east")
    opened = open_shares(sealed, count=len(held), key=KEY, set_digest=D, witness="east")
    assert [*opened] == held
    assert len(sealed) == 33 * len(held) + 16


def test_confirmed_shares_open_for_their_set_and_witness_only() -> None:
    sealed = seal_shares([1, None], key=KEY, set_digest=D, witness="east")
    others = [
        (sealed, b"s" * 64, D, "east"),
        (sealed, KEY, bytes(32), "east"),
        (sealed, KEY, D, "north"),
        (sealed[:-1], KEY, D, "east"),
        (b"", KEY, D, "east"),
        (bytes([sealed[0] ^ 1]) + sealed[1:], KEY, D, "east"),
    ]
    for content, key, set_digest, witness in others:
        with pytest.raises(CannotOpen):
            open_shares(content, count=2, key=key, set_digest=set_digest, witness=witness)


def test_other_than_so_many_elements_of_the_field_are_refused() -> None:
    sealed = seal_shares([1, None], key=KEY, set_digest=D, witness="east")
    with pytest.raises(MalformedEnvelope, match="3 shares"):
        open_shares(sealed, count=3, key=KEY, set_digest=D, witness="east")
    beyond = seal_shares([PRIME], key=KEY, set_digest=D, witness="east")
    with pytest.raises(MalformedEnvelope, match="element of the field"):
        open_shares(beyond, count=1, key=KEY, set_digest=D, witness="east")


# --- who lied --------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.integers(1, 2), st.data())
def test_wrong_shares_do_no_harm_and_their_witnesses_are_named(
    max_colluders: int, data: st.DataObject
) -> None:
    """As many as are in league, where that many confirmations more came than are needed."""
    made = dealt(num_witnesses=9, max_colluders=max_colluders)
    witnesses = st.sampled_from(made.deal.witnesses)
    liars = data.draw(st.lists(witnesses, min_size=1, max_size=max_colluders, unique=True))
    came = altered(made.shares, *liars)
    own, off = join_own_mask(came, made.deal)
    assert own.number == made.own.number
    first = [*came][: made.deal.threshold]
    assert {*off} == ({*liars} if {*liars} & {*first} else set())
    assert judge_shares(came, made.deal, made.bundle) == Judgement(
        witnesses=tuple(name for name in came if name in liars), dealer=False
    )


def test_three_liars_are_found_among_thirty_two() -> None:
    made = dealt(num_witnesses=32, max_colluders=3)
    liars = NAMES[0], NAMES[7], NAMES[16]
    own, off = join_own_mask(altered(made.shares, *liars), made.deal)
    assert own.number == made.own.number
    assert off == liars


@pytest.mark.parametrize(("num_witnesses", "liars"), [(9, 1), (16, 2), (32, 3), (32, 5)])
def test_with_ample_confirmations_those_in_league_spoil_no_mask(
    num_witnesses: int, liars: int
) -> None:
    """Whoever is slow: here the first names are, so that the right ones must all be found.

    Of 32 with five in league, 24 shares with five wrong ones have 42,504 sets of 19, and one joins.
    """
    made = dealt(num_witnesses=num_witnesses, max_colluders=liars)
    ample = ample_confirmations(num_witnesses, liars)
    came = few(made.shares, made.deal.witnesses[-ample:])
    # The last of those without whom the right shares would be too few.
    wrong = made.deal.witnesses[-1 - liars : -1]
    own, _ = join_own_mask(altered(came, *wrong), made.deal)
    assert own.number == made.own.number


def test_liars_are_looked_for_once_though_they_spoil_their_shares_of_every_mask() -> None:
    """Without that, three of 32 would cost each site up to two seconds for each of 500 masks."""
    liars = NAMES[0], NAMES[7], NAMES[16]
    made = [dealt(num_witnesses=32, max_colluders=3) for _ in range(3)]
    joined = join_own_masks([(altered(one.shares, *liars), one.deal) for one in made])
    numbers, wrong = zip(*((own.number, off) for own, off in joined), strict=True)
    assert numbers == tuple(one.own.number for one in made)
    assert wrong == (liars, (), ())


def test_errors_that_cancel_do_no_harm_and_prove_nothing_without_the_bundle() -> None:
    """Members in league know the weights: they alter two shares so that the mask is still right.

    Then honest witnesses are off the polynomial of the liars. The bundle tells them apart.
    """
    made = dealt(num_witnesses=9, max_colluders=2)
    points = range(2, 2 + made.deal.threshold)
    weight = [value_at({one: int(one == point) for one in points}) for point in points[:2]]
    came = {
        **made.shares,
        NAMES[0]: 0,  # so that the first shares do not join
        NAMES[1]: (made.shares[NAMES[1]] + weight[1]) % PRIME,
        NAMES[2]: (made.shares[NAMES[2]] - weight[0]) % PRIME,
    }
    own, off = join_own_mask(came, made.deal)
    assert own.number == made.own.number
    assert {*NAMES[1:3]}.isdisjoint(off)
    verdict = judge_shares(came, made.deal, made.bundle)
    assert verdict == Judgement(witnesses=NAMES[:3], dealer=False)


def test_the_search_for_liars_ends() -> None:
    made = dealt(num_witnesses=32, max_colluders=0)
    with pytest.raises(MaskNotJoined, match="no 17 of them"):
        join_own_mask(altered(made.shares, *NAMES[:15]), made.deal)


def test_without_a_share_more_than_needed_a_lie_loses_the_round_and_the_bundle_names_the_liar() -> (
    None
):
    made = dealt()
    came = altered(few(made.shares, NAMES[1:5]), NAMES[2])
    with pytest.raises(MaskNotJoined, match="bundles tell"):
        join_own_mask(came, made.deal)
    verdict = judge_shares(came, made.deal, made.bundle)
    assert verdict == Judgement(witnesses=(NAMES[2],), dealer=False)


def test_a_dealer_of_another_mask_than_it_committed_to_is_named() -> None:
    made = dealt()
    other = replace(made.deal, commitment=OwnMask.fresh().commitment(SLOT, NAMES[0]))
    bundle, kept = seal_bundle(made.own, other, secrets=made.secrets)
    shares = {
        witness: open_entry(bundle.entry(other, witness), other, witness=witness, secret=secret)
        for witness, secret in made.secrets.items()
    }
    assert kept is not None
    shares[NAMES[0]] = kept
    with pytest.raises(MaskNotJoined):
        join_own_mask(shares, other)
    assert judge_shares(shares, other, bundle) == Judgement(witnesses=(), dealer=True)


def test_a_dealer_of_inconsistent_shares_is_named_though_they_may_join() -> None:
    """One share is off the polynomial, and the dealer committed to it: no witness is to blame."""
    made, witness = dealt(), NAMES[3]
    odd = (made.shares[witness] + 1) % PRIME
    commitment = made.deal.share_commitment(witness, odd)
    entry = sealed_by_hand(
        made.deal, witness, made.secrets[witness], share=odd, commitment=commitment
    )
    entries = [*made.bundle.entries]
    entries[made.deal.point(witness) - 1] = entry
    bundle = ShareBundle(entries=tuple(entries))
    opened = open_entry(entry, made.deal, witness=witness, secret=made.secrets[witness])
    shares = {**made.shares, witness: opened}
    own, off = join_own_mask(shares, made.deal)
    assert (own.number, off) == (made.own.number, (witness,))
    assert judge_shares(shares, made.deal, bundle) == Judgement(witnesses=(), dealer=True)


def test_a_mask_above_256_bits_is_the_dealers_lie() -> None:
    """It is an element of the field, and no mask: nobody can have committed to it."""
    made = dealt()
    points = deal_shares(2**256 + 5, num_shares=5, threshold=made.deal.threshold)
    shares = dict(zip(made.deal.witnesses, points, strict=True))
    with pytest.raises(MaskNotJoined):
        join_own_mask(shares, made.deal)


def test_too_few_right_shares_decide_nothing_about_the_dealer() -> None:
    made = dealt()
    came = altered(made.shares, *NAMES[1:3])
    assert judge_shares(came, made.deal, made.bundle) == Judgement(
        witnesses=NAMES[1:3], dealer=False
    )


def test_a_bundle_for_other_witnesses_proves_nothing() -> None:
    made = dealt()
    short = ShareBundle(entries=made.bundle.entries[:-1])
    with pytest.raises(WrongBundle):
        judge_shares(made.shares, made.deal, short)
