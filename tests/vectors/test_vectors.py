"""The published vectors are what the product computes, and what another program computes."""

import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.vectors.protocol import PATH, computed

PUBLISHED = json.loads(PATH.read_text())
GIVEN, SAID = PUBLISHED["inputs"], PUBLISHED["outputs"]
IN = {name: bytes.fromhex(one) for name, one in GIVEN["bytes"].items()}
OUT = {name: bytes.fromhex(one) for name, one in SAID["bytes"].items()}
PRIME = 2**61 - 1


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def blob(value: bytes) -> bytes:
    return number(len(value)) + value


def test_the_product_computes_them() -> None:
    assert computed(GIVEN) == SAID


def test_a_run_id_is_the_digest_of_what_the_opener_signed() -> None:
    body, signature = OUT["opening"][:-64], OUT["opening"][-64:]
    assert SAID["run id"] == f"vectors-{hashlib.sha256(body).hexdigest()}"
    Ed25519PublicKey.from_public_bytes(OUT["member public key"]).verify(signature, body)


def test_keys_of_a_run_come_from_the_epoch_the_charter_and_the_run_id() -> None:
    context = blob(IN["charter"] + text(SAID["run id"]))
    for purpose, length in (("state", 64), ("checksum", 32), ("pad", 32)):
        info = b"consortium.derived-key/1\n" + text(purpose) + number(GIVEN["epoch"]) + context
        derived = HKDF(SHA256(), length, None, info).derive(IN["epoch secret"])
        assert derived == OUT[f"{purpose} key"], purpose


def test_buckets_are_drawn_from_charter_roster_and_a_share_of_each_site() -> None:
    names = number(len(GIVEN["roster"])) + b"".join(text(site) for site in GIVEN["roster"])
    draw = hashlib.sha256(b"consortium.bucket-draw/1\n" + IN["charter"] + names).digest()
    secret = IN["member key"] + IN["receiving key"]
    info = b"consortium.bucket-share/1\n" + draw
    share = HKDF(SHA256(), 32, None, info).derive(secret)
    assert (draw, share) == (OUT["draw"], OUT["bucket share"])
    committed = b"consortium.committed-share/1\n" + draw + text("east") + share
    body = b"consortium.bucket-commitment/1\n" + draw + text("east")
    body += hashlib.sha256(committed).digest()
    assert OUT["bucket commitment"][:-64] == body
    key = Ed25519PublicKey.from_public_bytes(OUT["member public key"])
    key.verify(OUT["bucket commitment"][-64:], body)
    shares = share + IN["share of north"] + IN["share of south"]
    seed = hashlib.sha256(b"consortium.drawn-seed/1\n" + draw + shares).digest()
    assert seed == OUT["drawn seed"]


def test_a_receipt_signs_label_and_upload() -> None:
    slot = b"consortium.slot/1\n" + text(SAID["run id"]) + text("training") + number(5) + number(1)
    label = b"consortium.upload-label/1\n" + blob(slot) + text("east") + number(0) + number(4)
    label += IN["nonce"] + IN["state digest"]
    assert (slot, label) == (OUT["slot"], OUT["label"])
    body = b"consortium.receipt/1\n" + blob(label) + OUT["upload digest"]
    assert OUT["receipt"][:-64] == body
    Ed25519PublicKey.from_public_bytes(OUT["member public key"]).verify(OUT["receipt"][-64:], body)


def test_a_tag_is_the_secret_product_of_the_rows_and_the_pad() -> None:
    """Here with whole numbers of any size, as the protocol defines it."""
    pad = int.from_bytes(hmac.digest(OUT["pad key"], OUT["label"], "sha256"), "little") % PRIME
    assert pad == SAID["pad"]
    context = b"consortium checksum/1" + text("training") + number(GIVEN["round"])
    key = hmac.digest(OUT["checksum key"], context, "sha256")

    def secret_numbers(purpose: int, count: int) -> list[int]:
        nonce = purpose.to_bytes(16, "big")
        stream = Cipher(ChaCha20(key, nonce), mode=None).encryptor().update(bytes(8 * count))
        words = (stream[8 * i : 8 * i + 8] for i in range(count))
        return [int.from_bytes(word, "little") & PRIME for word in words]

    rows = GIVEN["rows"]
    u, v = secret_numbers(0, len(rows)), secret_numbers(1, len(rows[0]))
    product = sum(
        a * sum(b * m for b, m in zip(v, row, strict=True)) for a, row in zip(u, rows, strict=True)
    )
    assert SAID["tag"] == (product + pad) % PRIME


def test_a_sealed_state_is_bound_to_its_place() -> None:
    place = b"consortium.sealed-state/1\n" + IN["charter"] + text(SAID["run id"])
    place += number(GIVEN["round"]) + IN["state digest"]
    assert OUT["sealed state"] == place + AESSIV(OUT["state key"]).encrypt(IN["state"], [place])
    assert OUT["sealed state digest"] == hashlib.sha256(OUT["sealed state"]).digest()


def test_a_question_signs_the_digests_of_its_parts() -> None:
    parts = ("opening", "receipts", "sums", "state", "count-receipts", "count-sum")
    body = b"consortium.signed-question/1\n" + IN["charter"] + number(GIVEN["round"]) + number(1)
    body += b"".join(hashlib.sha256(IN[f"shown {name}"]).digest() for name in parts)
    assert OUT["signed question"] == body
    key = Ed25519PublicKey.from_public_bytes(OUT["coordinator public key"])
    key.verify(OUT["signature of the question"], body)
