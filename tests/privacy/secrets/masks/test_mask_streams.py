"""Masks of a set cancel; what is left are own masks; and no two places have one seed."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.canonical import MalformedEnvelope
from privacy.layout import Tally
from privacy.protocol.envelope import EVALUATION, STATISTICS, TRAINING, Slot
from privacy.protocol.masks.groups import cohort_digest, neighbours
from privacy.secrets.keys import SecretStays
from privacy.secrets.masks.mask_streams import (
    COUNTS_DOOR,
    UPDATE_DOOR,
    MaskPlace,
    Masks,
    OwnMask,
)
from privacy.secrets.masks.pair_secrets import PairSecret

SLOT = Slot(run="run-1", purpose=TRAINING, server_round=3, attempt=1)
PLACE = MaskPlace(
    slot=SLOT,
    state=b"\x01" * 32,
    question=b"\x02" * 32,
    cohort=cohort_digest(["east", "north", "south"]),
    bucket=0,
    door=UPDATE_DOOR,
)
SEED = bytes(range(32))

names_of_sets = st.integers(2, 24).map(lambda count: [f"site-{one:02}" for one in range(count)])


def pair_secrets(names: list[str]) -> dict[frozenset[str], PairSecret]:
    return {
        frozenset(pair): PairSecret(repr(pair).encode().ljust(32)[:32])
        for pair in combinations(names, 2)
    }


def pairs_of(
    site: str, names: list[str], secrets: Mapping[frozenset[str], PairSecret]
) -> dict[str, PairSecret]:
    return {other: secrets[frozenset((site, other))] for other in neighbours(site, names)}


def blank(*shape: int) -> Tally:
    return np.zeros(shape, dtype=np.int64)


def stream(seed: bytes, first: int, count: int, length: int) -> Tally:
    """The definition: the key stream from its start, and of it some rows."""
    cipher = Cipher(AES256(seed), CTR(bytes(16))).encryptor()
    words = np.frombuffer(cipher.update(bytes(8 * (first + count) * length)), "<i8")
    return words.reshape(-1, length)[first:]


# --- the streams -----------------------------------------------------------------------------


@given(
    first=st.integers(0, 40),
    count=st.integers(1, 5),
    length=st.integers(1, 40).map(lambda half: 2 * half),
)
def test_a_stream_is_read_from_any_row_on(first: int, count: int, length: int) -> None:
    rows = blank(count, length)
    Masks(added=(SEED,)).add_to(rows, first)
    np.testing.assert_array_equal(rows, stream(SEED, first, count, length))


def test_streams_are_added_and_subtracted_modulo_two_to_the_sixty_four() -> None:
    rows = np.full((2, 8), 2**62, dtype=np.int64)
    Masks(added=(SEED, b"b" * 32), removed=(b"c" * 32,)).add_to(rows, 1)
    wanted = np.full((2, 8), 2**62, dtype=np.int64) + stream(SEED, 1, 2, 8)
    wanted = wanted + stream(b"b" * 32, 1, 2, 8) - stream(b"c" * 32, 1, 2, 8)
    np.testing.assert_array_equal(rows, wanted)


def test_rows_that_do_not_lie_together_are_masked_as_well() -> None:
    """Or a mask could go into a copy, and the upload leave without it."""
    whole = blank(4, 8)
    Masks(added=(SEED,)).add_to(whole[::2], 0)
    np.testing.assert_array_equal(whole[::2], stream(SEED, 0, 2, 8))
    assert not whole[1::2].any()


def test_no_masks_change_nothing() -> None:
    rows = np.arange(8, dtype=np.int64).reshape(1, 8)
    Masks().add_to(rows, 3)
    np.testing.assert_array_equal(rows, np.arange(8).reshape(1, 8))


def test_every_coefficient_is_masked() -> None:
    rows = blank(3, 4096)
    Masks(added=(SEED,)).add_to(rows, 0)
    assert (rows == 0).sum() == 0


# --- a sum -----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(names=names_of_sets, seed=st.integers(0, 2**32))
def test_in_a_sum_over_all_sites_only_own_masks_are_left(names: list[str], seed: int) -> None:
    values = np.random.default_rng(seed).integers(-(2**40), 2**40, (len(names), 2, 6))
    secrets, owns = pair_secrets(names), [OwnMask.fresh() for _ in names]
    total = blank(2, 6)
    for site, own, value in zip(names, owns, values, strict=True):
        masks = Masks.to_seal(PLACE, site=site, own=own, pairs=pairs_of(site, names, secrets))
        assert len(masks.added) + len(masks.removed) <= 17
        row = value.copy()
        masks.add_to(row, 0)
        total += row
    Masks.to_open(PLACE, owns).add_to(total, 0)
    np.testing.assert_array_equal(total, values.sum(axis=0))


def test_without_one_site_the_sum_of_the_others_is_noise() -> None:
    """Even with all own masks taken off: what they share with the missing one is left."""
    names = ["east", "north", "south", "west"]
    secrets, owns = pair_secrets(names), {name: OwnMask.fresh() for name in names}
    total = blank(1, 4096)
    for site in names[:3]:
        pairs = pairs_of(site, names, secrets)
        Masks.to_seal(PLACE, site=site, own=owns[site], pairs=pairs).add_to(total, 0)
    Masks.to_open(PLACE, [owns[site] for site in names[:3]]).add_to(total, 0)
    assert (total == 0).sum() == 0
    assert abs(np.mean(total < 0) - 0.5) < 0.05


def test_with_one_own_mask_unknown_the_sum_is_noise() -> None:
    names = ["east", "north", "south"]
    secrets, owns = pair_secrets(names), {name: OwnMask.fresh() for name in names}
    total = blank(1, 4096)
    for site in names:
        pairs = pairs_of(site, names, secrets)
        Masks.to_seal(PLACE, site=site, own=owns[site], pairs=pairs).add_to(total, 0)
    Masks.to_open(PLACE, [owns["east"], owns["north"]]).add_to(total, 0)
    assert (total == 0).sum() == 0


def test_of_a_pair_the_first_adds_what_the_second_takes_off() -> None:
    """So both do not mask alike: their difference would have no mask."""
    secret, own = PairSecret(bytes(32)), OwnMask.fresh()
    first = Masks.to_seal(PLACE, site="east", own=own, pairs={"north": secret})
    second = Masks.to_seal(PLACE, site="north", own=own, pairs={"east": secret})
    assert first.added[1:] == second.removed
    assert first.removed == second.added[1:] == ()


# --- seeds -----------------------------------------------------------------------------------


def places() -> list[MaskPlace]:
    """Every place that two of these facts differ in."""
    slots = [
        Slot(run=run, purpose=purpose, server_round=server_round, attempt=attempt)
        for run, purpose, server_round, attempt in product(
            ("run-1", "run-2"), (TRAINING, STATISTICS, EVALUATION), (3, 4), (1, 2)
        )
    ]
    cohorts = [cohort_digest(names) for names in (["east", "north"], ["east", "north", "south"])]
    return [
        MaskPlace(
            slot=slot, state=state, question=question, cohort=cohort, bucket=bucket, door=door
        )
        for slot, state, question, cohort, bucket, door in product(
            slots,
            (b"\x01" * 32, b"\x02" * 32),
            (b"\x01" * 32, b"\x02" * 32),
            cohorts,
            (0, 1),
            (UPDATE_DOOR, COUNTS_DOOR),
        )
    ]


def test_each_attempt_purpose_door_round_state_cohort_bucket_and_question_has_its_own_seeds() -> (
    None
):
    own, pair = OwnMask(bytes(32)), PairSecret(bytes(32))
    everywhere = places()
    seeds = [own.seed(place) for place in everywhere]
    for one, other in (("east", "north"), ("east", "south"), ("north", "south")):
        seeds += [pair.seed(place.digest, one, other) for place in everywhere]
    assert len(set(seeds)) == len(seeds) == 4 * 24 * 2**5


def test_a_place_has_a_door_and_digests_of_one_size() -> None:
    assert MaskPlace.decode(PLACE.encode()) == PLACE
    for wrong in ({"door": ""}, {"state": b""}, {"bucket": -1}, {"cohort": bytes(31)}):
        with pytest.raises(MalformedEnvelope):
            replace(PLACE, **wrong)


# --- own masks -------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32))
def test_an_own_mask_is_its_number(mask: bytes) -> None:
    assert OwnMask(mask).number.to_bytes(32, "big") == mask


def test_a_commitment_is_to_one_mask_of_one_site_in_one_slot() -> None:
    own, other = OwnMask.fresh(), OwnMask.fresh()
    made = [
        own.commitment(SLOT, "east"),
        own.commitment(SLOT, "north"),
        own.commitment(replace(SLOT, attempt=2), "east"),
        own.commitment(replace(SLOT, purpose=EVALUATION), "east"),
        other.commitment(SLOT, "east"),
    ]
    assert len(set(made)) == len(made)
    assert own.commitment(SLOT, "east") == made[0]


def test_masks_are_not_printed_copied_or_pickled() -> None:
    own, masks = OwnMask.fresh(), Masks(added=(SEED,))
    assert (repr(own), repr(masks)) == ("OwnMask()", "Masks()")
    for secret, escape in product((own, masks), (pickle.dumps, copy.copy, copy.deepcopy)):
        with pytest.raises(SecretStays):
            escape(secret)
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(MalformedEnvelope):
            OwnMask(wrong)
