"""RFC vectors are named after their source; the texts were taken from pyca's own collection."""

import copy
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from privacy.canonical import MalformedEnvelope
from privacy.identity.public_identity import SUITE
from privacy.secrets.key_exchange import NewEpoch
from privacy.secrets.keys import (
    CannotOpen,
    EpochSecret,
    Identity,
    RunKeys,
    Secret,
    SecretStays,
    derive_key,
)
from privacy.storage.secret_files import MalformedSecretFile

CHARTER = b"\x01" * 32
KEPT = ("state", "checksum", "pad")


def test_rfc8032_ed25519_section_7_1_tests_1_and_2() -> None:
    for seed, public, message, signature in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ]:
        member = Identity("a", signing=bytes.fromhex(seed), receiving=bytes(range(32)))
        assert member.public.signing.hex() == public
        assert member.sign(bytes.fromhex(message)).hex() == signature
        member.public.verify(bytes.fromhex(message), bytes.fromhex(signature))


def test_rfc7748_x25519_section_5_2() -> None:
    for scalar, point, product in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ]:
        key = X25519PrivateKey.from_private_bytes(bytes.fromhex(scalar))
        peer = X25519PublicKey.from_public_bytes(bytes.fromhex(point))
        assert key.exchange(peer).hex() == product


def test_rfc8439_chacha20_poly1305_section_2_8_2() -> None:
    key = bytes(range(0x80, 0xA0))
    sealed = ChaCha20Poly1305(key).encrypt(
        bytes.fromhex("070000004041424344454647"),
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
        b"future, sunscreen would be it.",
        bytes.fromhex("50515253c0c1c2c3c4c5c6c7"),
    )
    assert sealed.hex() == (
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69"
        "da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad67594"
        "5585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"
    )


def test_rfc5869_hkdf_sha256_appendix_a_1_and_a_3() -> None:
    assert derive_key(
        b"\x0b" * 22,
        salt=bytes.fromhex("000102030405060708090a0b0c"),
        info=bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"),
        length=42,
    ).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert derive_key(b"\x0b" * 22, info=b"", length=42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_rfc9180_hpke_appendix_a_2_1_base_mode() -> None:
    """Our suite (X25519, HKDF-SHA256, ChaCha20-Poly1305), the first encryption of the appendix."""
    key = X25519PrivateKey.from_private_bytes(
        bytes.fromhex("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb")
    )
    sealed = bytes.fromhex(
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    opened = openssl.hpke._decrypt_with_aad(SUITE, sealed, key, info, b"Count-0")
    assert opened == b"Beauty is truth, truth beauty"


def test_only_the_receiver_opens_and_only_in_its_context(identities: dict[str, Identity]) -> None:
    east, west = identities["east"], identities["west"]
    sealed = east.public.seal(b"secret", context=b"here")
    assert east.open(sealed, context=b"here") == b"secret"
    flipped = bytes([sealed[0] ^ 1]) + sealed[1:]
    for reader, data, context in [
        (west, sealed, b"here"),
        (east, sealed, b"there"),
        (east, flipped, b"here"),
        (east, sealed[:-1], b"here"),
        (east, b"", b"here"),
        (east, bytes(80), b"here"),
    ]:
        with pytest.raises(CannotOpen) as caught:
            reader.open(data, context=context)
        assert str(caught.value) == "the sealed bytes cannot be opened"


def test_an_identity_comes_back_from_its_file(
    identities: dict[str, Identity], tmp_path: Path
) -> None:
    path = tmp_path / "secrets" / "identity"
    identities["east"].write(path)
    back = Identity.read(path, name="east")
    assert back.public == identities["east"].public
    assert back.open(back.public.seal(b"x", context=b""), context=b"") == b"x"
    with pytest.raises(MalformedSecretFile):
        EpochSecret.read(path)


def test_an_epoch_secret_comes_back_from_its_file(epoch: NewEpoch, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "epoch"
    epoch.secret.write(path)
    back = EpochSecret.read(path)
    assert (back.epoch, back.fingerprint) == (epoch.secret.epoch, epoch.secret.fingerprint)


@pytest.mark.parametrize(("number", "secret"), [(0, bytes(32)), (1, bytes(31)), (1, bytes(33))])
def test_what_is_no_epoch_secret_is_refused(number: int, secret: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        EpochSecret(number, secret)


def test_every_key_of_every_run_is_another() -> None:
    """Purpose, epoch, secret, charter and run: a change in any of them changes every key."""
    variants = [
        EpochSecret(1, bytes(32)).run_keys(charter=CHARTER, run="a"),
        EpochSecret(1, bytes(32)).run_keys(charter=CHARTER, run="b"),
        EpochSecret(1, bytes(32)).run_keys(charter=bytes(32), run="a"),
        EpochSecret(2, bytes(32)).run_keys(charter=CHARTER, run="a"),
        EpochSecret(1, b"1" * 32).run_keys(charter=CHARTER, run="a"),
    ]
    derived = [getattr(keys, name)[:32] for keys in variants for name in KEPT]
    derived += [EpochSecret(epoch, bytes(32)).fingerprint for epoch in (1, 2)]
    assert len(set(derived)) == len(derived)


def test_run_keys_are_the_same_at_every_member_and_of_the_stated_length() -> None:
    first, second = (
        EpochSecret(1, bytes(32)).run_keys(charter=CHARTER, run="bank-credit-0a") for _ in range(2)
    )
    assert [getattr(first, name) for name in KEPT] == [getattr(second, name) for name in KEPT]
    assert [len(getattr(first, name)) for name in KEPT] == [64, 32, 32]


def test_derivation_is_never_re_meant() -> None:
    """Pinned: members of two versions of this program must derive the same keys."""
    keys = EpochSecret(7, bytes(range(32))).run_keys(charter=CHARTER, run="bank-credit-0a")
    everything = keys.state + keys.checksum + keys.pad
    assert hashlib.sha256(everything).hexdigest() == (
        "4d1732229344a892dd21cdd3841be556a581c474ce6bf6d90af7e397469a5d03"
    )


def test_a_share_of_a_draw_is_of_its_member_and_its_draw_alone() -> None:
    """And the same whenever it is asked for; the first is a published vector."""
    members = [
        Identity("a", signing=bytes(range(32)), receiving=bytes(range(32, 64))),
        Identity("a", signing=bytes(range(32)), receiving=bytes(range(33, 65))),
        Identity("a", signing=bytes(range(1, 33)), receiving=bytes(range(32, 64))),
    ]
    shares = [one.bucket_share(draw) for one in members for draw in (CHARTER, bytes(32))]
    assert shares[0].hex() == "b4a7708673dae1a45243df534d35e7b8ac33af98e70ba0a90971411eeda66e16"
    assert shares[0] == members[0].bucket_share(CHARTER)
    assert len({*shares, bytes(range(32)), bytes(range(32, 64))}) == 8
    with pytest.raises(MalformedEnvelope):
        members[0].bucket_share(b"")


@pytest.mark.parametrize(("charter", "run"), [(b"", "a"), (CHARTER, ""), (CHARTER, "A")])
def test_run_keys_need_a_charter_and_a_run(charter: bytes, run: str) -> None:
    with pytest.raises(MalformedEnvelope):
        EpochSecret(1, bytes(32)).run_keys(charter=charter, run=run)


def test_what_is_wrapped_opens_in_its_epoch_and_on_its_terms_only() -> None:
    secret = EpochSecret(1, bytes(32))
    wrapped = secret.wrap(b"scheme", terms=b"terms")
    assert secret.unwrap(wrapped, terms=b"terms") == b"scheme"
    for other, data, terms in [
        (EpochSecret(2, bytes(32)), wrapped, b"terms"),
        (EpochSecret(1, b"1" * 32), wrapped, b"terms"),
        (secret, wrapped, b"other"),
        (secret, wrapped[:-1], b"terms"),
        (secret, b"", b"terms"),
    ]:
        with pytest.raises(CannotOpen):
            other.unwrap(data, terms=terms)


@pytest.mark.parametrize(
    "leak",
    [
        pickle.dumps,
        lambda secret: pickle.dumps(secret, protocol=0),
        lambda secret: pickle.dumps([secret]),
        copy.copy,
        copy.deepcopy,
        lambda secret: secret.__getstate__(),
        lambda secret: secret.__reduce__(),
    ],
)
def test_no_secret_is_pickled_or_copied(
    leak: Callable[[Secret], object],
    identities: dict[str, Identity],
    epoch: NewEpoch,
    keys: RunKeys,
) -> None:
    for secret in (identities["east"], epoch.secret, keys):
        with pytest.raises(SecretStays):
            leak(secret)


def test_no_secret_shows_its_bytes() -> None:
    material = bytes(range(100, 132))
    member = Identity("east", signing=material, receiving=material)
    secret = EpochSecret(1, material)
    keys = secret.run_keys(charter=CHARTER, run="run")
    hidden = [material, keys.state, keys.checksum, keys.pad]
    shown = "".join(f"{item!r}{item}{[item]!r}" for item in (member, secret, keys, Secret()))
    for key in hidden:
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown
    assert "east" in shown
    assert "epoch=1" in shown
    assert "run" in shown
    assert not any(hasattr(item, "__dict__") for item in (member, secret, keys))
