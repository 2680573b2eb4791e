"""The published vectors of masks, computed again without this project's code."""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors.protocol import PATH

PUBLISHED = json.loads(PATH.read_text())
GIVEN, SAID = PUBLISHED["inputs"], PUBLISHED["outputs"]
IN = {name: bytes.fromhex(one) for name, one in GIVEN["bytes"].items()}
OUT = {name: bytes.fromhex(one) for name, one in SAID["bytes"].items()}
RUN = SAID["masked run id"]
FIELD = 2**256 + 297
EAST = Ed25519PublicKey.from_public_bytes(OUT["member public key"])
NORTH = Ed25519PrivateKey.from_private_bytes(IN["north key"]).public_key()


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def blob(value: bytes) -> bytes:
    return number(len(value)) + value


def names(*values: str) -> bytes:
    return number(len(values)) + b"".join(text(one) for one in values)


def sha256(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()


def private_key(name: str) -> tuple[MLKEM768X25519PrivateKey, bytes]:
    seed = IN[f"pair key of {name}"]
    ml_kem = MLKEM768PrivateKey.from_seed_bytes(seed[:64])
    x25519 = X25519PrivateKey.from_private_bytes(seed[64:])
    public = ml_kem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    return MLKEM768X25519PrivateKey(ml_kem, x25519), public


def slot() -> bytes:
    return b"consortium.slot/1\n" + text(RUN) + text("training") + number(5) + number(1)


def cohort() -> bytes:
    return sha256(b"consortium.cohort/1\n" + names("east", "north", "south"))


def pair_terms() -> bytes:
    place = IN["charter"] + text(RUN) + OUT["pair key list digest"]
    return b"consortium.pair-terms/1\n" + place + text("east") + text("north")


def place() -> bytes:
    """What every mask of the upload depends on."""
    digests = IN["state digest"] + IN["question digest"] + cohort()
    return b"consortium.mask-place/1\n" + blob(slot()) + digests + number(0) + text("update")


def shares() -> list[int]:
    """East's own mask as a polynomial, at the points of east, north and south."""
    parts = [
        int.from_bytes(IN[one], "big") for one in ("own mask", "coefficient 1", "coefficient 2")
    ]
    return [sum(part * x**power for power, part in enumerate(parts)) % FIELD for x in (1, 2, 3)]


def share_context(witness: str) -> bytes:
    start = b"consortium.mask-share/1\n" + blob(slot()) + text("east") + text(witness)
    return start + OUT["committed mask"]


def share_commitment(witness: str, share: int) -> bytes:
    start = b"consortium.committed-mask-share/1\n" + blob(share_context(witness))
    return sha256(start + share.to_bytes(33, "big"))


def pair_secrets() -> dict[str, bytes]:
    return {"north": OUT["pair secret"], "south": IN["pair secret of east and south"]}


def test_pair_keys_are_signed_and_their_list_is_in_the_run_id() -> None:
    start = b"consortium.pair-key/1\n" + IN["charter"] + text("mlkem768_x25519") + text("north")
    body, signature = OUT["pair key of north"][:-64], OUT["pair key of north"][-64:]
    assert body == start + private_key("north")[1]
    NORTH.verify(signature, body)
    listed = OUT["pair key list"]
    start = b"consortium.named-parts/1\n" + names("east", "north")
    east = listed[len(start) + 8 : -8 - len(OUT["pair key of north"])]
    assert listed == start + blob(east) + blob(OUT["pair key of north"])
    EAST.verify(east[-64:], east[:-64])
    digest = sha256(b"consortium.pair-key-list/1\n" + listed)
    assert digest == OUT["pair key list digest"]
    descriptor = sha256(b"consortium.masked-descriptor/1\n" + IN["descriptor"] + digest)
    terms = OUT["opening"][len(b"consortium.opening/1\n") + 8 :]
    at = terms.index(IN["descriptor"])
    masked = OUT["masked opening"][len(b"consortium.opening/1\n") + 8 :]
    assert masked[at : at + 32] == descriptor
    assert masked[:at] == terms[:at]
    assert f"vectors-{sha256(OUT['masked opening'][:-64]).hex()}" == RUN


def test_a_pair_secret_comes_from_what_its_sender_sealed_and_signed() -> None:
    body = b"consortium.pair-ciphertext/1\n" + blob(pair_terms()) + IN["pair ciphertext"]
    assert OUT["pair message"][:-64] == body
    EAST.verify(OUT["pair message"][-64:], body)
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    drawn = suite.decrypt(IN["pair ciphertext"], private_key("north")[0], pair_terms())
    info = b"consortium.pair-secret/1\n" + blob(pair_terms()) + sha256(IN["pair ciphertext"])
    assert HKDF(SHA256(), 32, None, info).derive(drawn) == OUT["pair secret"]


def test_seeds_of_masks_are_bound_to_their_place() -> None:
    assert OUT["mask place"] == place()
    digest = sha256(place())
    seed = hmac.digest(
        OUT["pair secret"],
        b"consortium.pair-mask/1\n" + digest + text("east") + text("north"),
        "sha256",
    )
    assert seed == OUT["pair mask seed"]
    own = hmac.digest(IN["own mask"], b"consortium.own-mask/1\n" + digest, "sha256")
    assert own == OUT["own mask seed"]
    committed = b"consortium.committed-mask/1\n" + blob(slot()) + text("east") + IN["own mask"]
    assert sha256(committed) == OUT["committed mask"]


def test_masked_rows_are_rows_and_key_streams() -> None:
    """East is the first in the alphabet, so it adds all of its masks."""
    digest = sha256(place())
    message = b"consortium.pair-mask/1\n" + digest + text("east") + text("south")
    with_south = hmac.digest(IN["pair secret of east and south"], message, "sha256")
    flat = [one for row in GIVEN["rows"] for one in row]
    for seed in (OUT["own mask seed"], OUT["pair mask seed"], with_south):
        stream = Cipher(AES256(seed), CTR(bytes(16))).encryptor().update(bytes(8 * len(flat)))
        for at in range(len(flat)):
            flat[at] += int.from_bytes(stream[8 * at : 8 * at + 8], "little")
    assert [one % 2**48 for one in flat] == [one for row in SAID["masked rows"] for one in row]


def test_a_bundle_commits_to_shares_and_seals_them() -> None:
    east, *others = zip(("east", "north", "south"), shares(), strict=True)
    encoded = b"consortium.share-bundle/1\n" + number(3) + share_commitment(*east) + blob(b"")
    for witness, share in others:
        info = b"consortium.share-key/1\n" + text("east") + text(witness)
        key = HKDF(SHA256(), 64, None, info).derive(pair_secrets()[witness])
        bound = [share_context(witness), share_commitment(witness, share)]
        sealed = AESSIV(key).encrypt(share.to_bytes(33, "big"), bound)
        encoded += share_commitment(witness, share) + blob(sealed)
    assert OUT["share bundle"] == encoded


def test_three_shares_join_to_the_mask() -> None:
    one, two, three = shares()
    assert (3 * one - 3 * two + three) % FIELD == int.from_bytes(IN["own mask"], "big")


def test_a_receipt_signs_mask_terms_as_its_nonce() -> None:
    terms = b"consortium.mask-terms/1\n" + cohort() + OUT["committed mask"]
    terms += sha256(OUT["share bundle"])
    assert OUT["mask terms"] == terms
    label = b"consortium.upload-label/1\n" + blob(slot()) + text("east") + number(0) + number(4)
    label += sha256(terms) + IN["state digest"]
    body = b"consortium.receipt/1\n" + blob(label) + OUT["upload digest"]
    assert OUT["masked receipt"][:-64] == body
    EAST.verify(OUT["masked receipt"][-64:], body)


def test_a_confirmation_signs_a_set_and_sealed_shares() -> None:
    receipts = b"consortium.receipts/1\n" + number(1) + blob(OUT["masked receipt"])
    sums = number(1) + number(0) + sha256(IN["upload"])
    encoded = b"consortium.sum-set/1\n" + blob(slot()) + IN["state digest"] + cohort()
    encoded += sha256(receipts) + sums + sha256(b"") + sha256(b"")
    assert OUT["sum set"] == encoded
    context = blob(IN["charter"] + text(RUN))
    info = b"consortium.derived-key/1\n" + text("reveal") + number(GIVEN["epoch"]) + context
    assert HKDF(SHA256(), 64, None, info).derive(IN["epoch secret"]) == OUT["reveal key"]
    digest = sha256(encoded)
    bound = b"consortium.revealed-shares/1\n" + digest + text("north")
    sealed = AESSIV(OUT["reveal key"]).encrypt(shares()[1].to_bytes(33, "big"), [bound])
    body = b"consortium.confirmation/1\n" + digest + text("north") + blob(sealed) + names()
    assert OUT["confirmation"][:-64] == body
    NORTH.verify(OUT["confirmation"][-64:], body)
