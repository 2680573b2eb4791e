"""Bytes from a hostile coordinator or site are refused with a typed error, and do nothing else."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from privacy.canonical import MalformedEnvelope
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import Agreement
from privacy.protocol.envelope import NO_STATE, Receipt, SealedState
from privacy.protocol.key_messages import Delivery, Opening
from privacy.protocol.masks.pair_messages import SUITE_NAME, PairCiphertext, PairKey, PairTerms
from privacy.protocol.receipts import Expected, check_receipts, decode_receipts
from privacy.protocol.upload import UploadHeader
from privacy.secrets.key_exchange import NewEpoch, accept_delivery, accept_opening
from privacy.secrets.keys import Identity, RunKeys
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key
from privacy.secrets.masks.pair_secrets import accept_pair_secret, make_pair_secret
from privacy.secrets.replay_guard import SiteMemory
from privacy.secrets.state_encryption import open_state, seal_state
from tests.receipts import encode_receipts


@dataclass(frozen=True)
class Target:
    """One form on its way to a site.

    Args:
        data: The honest bytes.
        reencode: Decodes and encodes again.
        accept: Decodes and does everything a site does before it believes.
    """

    data: bytes
    reencode: Callable[[bytes], bytes]
    accept: Callable[[bytes], object]


@pytest.fixture(scope="module")
def key_targets(
    identities: dict[str, Identity],
    agreement: Agreement,
    epoch: NewEpoch,
    opening: Opening,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Target]:
    memory = SiteMemory(Path(tmp_path_factory.mktemp("site")) / "memory")
    return {
        "opening": Target(
            opening.encode(),
            lambda data: Opening.decode(data).encode(),
            lambda data: accept_opening(
                Opening.decode(data),
                site="west",
                descriptor=b"\x02" * 32,
                agreement=agreement,
                secret=epoch.secret,
                memory=memory,
            ),
        ),
        "delivery": Target(
            epoch.deliveries["west"].encode(),
            lambda data: Delivery.decode(data).encode(),
            lambda data: accept_delivery(
                Delivery.decode(data),
                identity=identities["west"],
                agreement=agreement,
                last_epoch=4,
            ),
        ),
    }


@pytest.fixture(scope="module")
def pair_targets(identities: dict[str, Identity]) -> dict[str, Target]:
    east, private = identities["east"], PairPrivateKey.generate()
    key = sign_pair_key(
        private, identity=identities["north"], charter=b"\x01" * 32, suite=SUITE_NAME
    )
    terms = PairTerms(
        charter=b"\x01" * 32, run="run-1", key_list=bytes(32), sender="east", recipient="north"
    )
    sent, _ = make_pair_secret(terms, key, identity=east)
    return {
        "pair key": Target(
            key.encode(),
            lambda data: PairKey.decode(data).encode(),
            lambda data: PairKey.decode(data).verify(identities["north"].public),
        ),
        "pair ciphertext": Target(
            sent.encode(),
            lambda data: PairCiphertext.decode(data).encode(),
            lambda data: accept_pair_secret(
                PairCiphertext.decode(data), private, terms=terms, sender=east.public
            ),
        ),
    }


@pytest.fixture(scope="module")
def round_targets(
    keys: RunKeys, receipts: tuple[Receipt, ...], expected: Expected
) -> dict[str, Target]:
    sealed = seal_state(b"state" * 20, keys=keys, server_round=2, previous=NO_STATE)
    header = UploadHeader(
        label=receipts[1].label, parameter_set="default", layout=bytes(32), blocks=9
    )
    return {
        "receipts": Target(
            encode_receipts(receipts),
            lambda data: encode_receipts(decode_receipts(data)),
            lambda data: check_receipts(decode_receipts(data), expected),
        ),
        "state": Target(
            sealed.encode(),
            lambda data: SealedState.decode(data).encode(),
            lambda data: open_state(
                SealedState.decode(data), keys=keys, server_round=2, digest=sealed.digest
            ),
        ),
        "bribed state": Target(
            sealed.encode(),
            lambda data: SealedState.decode(data).encode(),
            lambda data: open_state(
                SealedState.decode(data),
                keys=keys,
                server_round=2,
                digest=SealedState.decode(data).digest,
            ),
        ),
        "header": Target(
            header.encode(),
            lambda data: UploadHeader.decode(data).encode(),
            lambda data: UploadHeader.decode(data).label.slot.require_slot(expected.slot),
        ),
    }


@pytest.fixture(scope="module")
def targets(
    key_targets: dict[str, Target],
    pair_targets: dict[str, Target],
    round_targets: dict[str, Target],
) -> dict[str, Target]:
    return {**key_targets, **pair_targets, **round_targets}


SIGNED = (
    "opening",
    "delivery",
    "pair key",
    "pair ciphertext",
    "receipts",
    "state",
    "bribed state",
)


@pytest.mark.parametrize("name", SIGNED)
def test_any_flipped_byte_is_refused_by_type(targets: dict[str, Target], name: str) -> None:
    target = targets[name]
    target.accept(target.data)
    for position in range(len(target.data)):
        changed = bytearray(target.data)
        changed[position] ^= 1 << position % 8
        with pytest.raises(ConsortiumError):
            target.accept(bytes(changed))


@pytest.mark.parametrize("name", [*SIGNED, "header"])
def test_every_shorter_or_longer_form_is_refused_by_type(
    targets: dict[str, Target], name: str
) -> None:
    target = targets[name]
    for end in range(len(target.data)):
        with pytest.raises(ConsortiumError):
            target.accept(target.data[:end])
    with pytest.raises(ConsortiumError):
        target.accept(target.data + b"\x00")


@pytest.mark.parametrize("name", [*SIGNED, "header"])
def test_no_form_is_taken_for_another(targets: dict[str, Target], name: str) -> None:
    for other in targets.values():
        if other.data != targets[name].data:
            with pytest.raises(MalformedEnvelope):
                targets[name].reencode(other.data)


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A hostile variant: flipped, cut, repeated, spliced or with huge numbers written into it."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        start, end = sorted(rng.integers(0, len(changed) + 1, size=2).tolist())
        match int(rng.integers(6)):
            case 0 if changed:
                changed[start % len(changed)] ^= 1 << int(rng.integers(8))
            case 1:
                del changed[start:end]
            case 2:
                changed[end:end] = changed[start:end]
            case 3:
                changed[start : start + 8] = b"\xff" * 8
            case 4:
                changed[start : start + 8] = int(rng.integers(2**62)).to_bytes(8, "big")
            case _:
                changed[start:start] = rng.bytes(int(rng.integers(1, 40)))
    return bytes(changed)


def attack(targets: dict[str, Target], *, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for index in range(count):
        target = list(targets.values())[index % len(targets)]
        data = mutated(target.data, rng)
        if data == target.data:
            continue
        try:
            assert target.reencode(data) == data, "two encodings of one form"
        except MalformedEnvelope:
            continue
        if target is not targets["header"]:
            with pytest.raises(ConsortiumError):
                target.accept(data)


def test_2_000_mutated_envelopes_meet_typed_refusals_only(targets: dict[str, Target]) -> None:
    attack(targets, count=2_000, seed=7)


@pytest.mark.slow
def test_10_000_mutated_envelopes_meet_typed_refusals_only(targets: dict[str, Target]) -> None:
    attack(targets, count=10_000, seed=8)


def test_mutated_envelopes_allocate_no_more_than_four_times_what_came(
    targets: dict[str, Target],
) -> None:
    rng = np.random.default_rng(9)
    largest = max(len(target.data) for target in targets.values())
    cases = [(target, mutated(target.data, rng)) for target in targets.values() for _ in range(50)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for target, data in cases:
            tracemalloc.reset_peak()
            with suppress(MalformedEnvelope):
                target.reencode(data)
            peak = tracemalloc.get_traced_memory()[1] - before
            assert peak < 4 * largest + 50_000  # the interpreter's own: frames, messages
    finally:
        tracemalloc.stop()


def test_no_refusal_quotes_a_secret(targets: dict[str, Target], keys: RunKeys) -> None:
    rng = np.random.default_rng(10)
    said = []
    for target in targets.values():
        for _ in range(100):
            try:
                target.accept(mutated(target.data, rng))
            except ConsortiumError as error:
                said.append(f"{error!r} {error} {error.counts} {error.code}")
    text = " ".join(said)
    assert len(said) > 300
    for secret in (keys.state, keys.checksum, keys.pad, b"scheme's secret"):
        assert secret.hex() not in text
        assert repr(secret)[2:-1] not in text
