"""What a hub signs."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from privacy.identity.log_signing_key import SigningKey
from privacy.identity.public_identity import BadSignature
from privacy.protocol.envelope import NO_STATE, TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.hub_sums import (
    HubPresence,
    HubSum,
    receipts_digest,
    require_hub_signature,
)

KEY = SigningKey(bytes([5]) * 32)
SLOT = Slot(run="run", purpose=TRAINING, server_round=1, attempt=1)


def receipt(site: str, upload: bytes = bytes(32)) -> Receipt:
    label = UploadLabel(
        slot=SLOT, site=site, bucket=0, weight_class=8, nonce=bytes(32), state=NO_STATE
    )
    return Receipt.sign(label, upload=upload, sign=lambda _body: bytes(64))


def test_a_statement_says_whose_uploads_are_in_which_sum_and_the_hub_signs_it() -> None:
    said = HubSum.sign(
        [receipt("west"), receipt("east")], b"sum", charter=bytes(32), hub="hub-a", sign=KEY.sign
    )
    assert HubSum.decode(said.encode()) == said
    assert (said.sites, said.slot, said.bucket) == (("east", "west"), SLOT, 0)
    said.require_signed(KEY.public)
    with pytest.raises(BadSignature):
        replace(said, bucket=1).require_signed(KEY.public)
    with pytest.raises(BadSignature):
        said.require_signed(SigningKey(bytes(32)).public)


def test_the_digest_of_receipts_goes_by_the_names_and_by_every_upload() -> None:
    one, other = receipt("east"), receipt("west")
    assert receipts_digest([one, other]) == receipts_digest([other, one])
    assert receipts_digest([one, other]) != receipts_digest([one])
    assert receipts_digest([one]) != receipts_digest([receipt("east", b"x" * 32)])


@pytest.mark.parametrize(
    "other", [{"run": 2}, {"node": 8}, {"hub": "hub-b"}, {"challenge": b"y" * 32}], ids=str
)
def test_a_hub_proves_one_node_of_one_run_to_one_challenge(other: Mapping[str, object]) -> None:
    said: dict[str, object] = {
        "charter": "00" * 32,
        "run": 1,
        "node": 2**64 - 1,
        "challenge": b"x" * 32,
        "hub": "hub-a",
    }
    proof = KEY.sign(HubPresence.at(**said).encode())  # type: ignore[arg-type]
    require_hub_signature(KEY.public, HubPresence.at(**said).encode(), proof)  # type: ignore[arg-type]
    with pytest.raises(BadSignature):
        require_hub_signature(KEY.public, HubPresence.at(**{**said, **other}).encode(), proof)  # type: ignore[arg-type]
