"""Test vectors of the encrypted protocol, computed with the product from inputs that are published.

`python -m tests.vectors.protocol` from the root of the repository writes the outputs in
docs/vectors/protocol.json anew.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from privacy import canonical
from privacy.identity.log_signing_key import SigningKey
from privacy.protocol.bucket_draw import Draw
from privacy.protocol.envelope import TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.key_messages import Opening, OpeningTerms, opening_body
from privacy.protocol.masks.pair_messages import masked_descriptor
from privacy.protocol.signed_question import PARTS, QuestionDigests
from privacy.protocol.upload import UploadHeader, upload_digest
from privacy.secrets.keys import EpochSecret, Identity
from privacy.secrets.linear_mac import PRIME, Checksum, upload_pad
from privacy.secrets.state_encryption import seal_state
from tests.vectors.masks import computed_masks, key_list

PATH = Path(__file__).parents[2] / "docs" / "vectors" / "protocol.json"


def inputs() -> dict[str, Any]:
    """Return what everything else follows from; bytes in hexadecimal."""
    return json.loads(PATH.read_text())["inputs"]  # type: ignore[no-any-return]


def opening_of(given: dict[str, Any], descriptor: bytes) -> Opening:
    """Return the opening of a run with this descriptor digest."""
    raw = {name: bytes.fromhex(one) for name, one in given["bytes"].items()}
    terms = OpeningTerms(
        label=given["label"],
        descriptor=descriptor,
        charter=raw["charter"],
        epoch=given["epoch"],
        epoch_fingerprint=EpochSecret(given["epoch"], raw["epoch secret"]).fingerprint,
        opener=given["roster"][0],
        roster=tuple(given["roster"]),
        lineage=None,
        salt=raw["salt"],
    )
    signed = SigningKey(raw["member key"]).sign(opening_body(terms, raw["wrapped key"]))
    return Opening(terms=terms, wrapped=raw["wrapped key"], signature=signed)


def computed(given: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs that the product computes from these inputs; bytes in hexadecimal."""
    raw = {name: bytes.fromhex(one) for name, one in given["bytes"].items()}
    member, coordinator = SigningKey(raw["member key"]), SigningKey(raw["coordinator key"])
    epoch = EpochSecret(given["epoch"], raw["epoch secret"])
    opening = opening_of(given, raw["descriptor"])
    slot = Slot(run=opening.run, purpose=TRAINING, server_round=given["round"], attempt=1)
    label = UploadLabel(
        slot=slot,
        site=given["roster"][0],
        bucket=0,
        weight_class=4,
        nonce=raw["nonce"],
        state=raw["state digest"],
    )
    header = UploadHeader(
        label=label, parameter_set="default", layout=raw["layout"], blocks=len(given["rows"])
    )
    digest = upload_digest(header, [raw["upload"]])
    rows = np.array(given["rows"], np.int64)
    keys = epoch.run_keys(charter=raw["charter"], run=opening.run)
    checksum = Checksum(
        keys.checksum,
        canonical.text(TRAINING) + canonical.number(given["round"]),
        num_rows=len(rows),
        row_length=rows.shape[1],
    )
    pad = upload_pad(keys.pad, label.encode())
    sealed = seal_state(
        raw["state"], keys=keys, server_round=given["round"], previous=raw["state digest"]
    )
    question = QuestionDigests.of(
        given["bytes"]["charter"], given["round"], 1, [raw[f"shown {name}"] for name in PARTS]
    )
    draw = Draw(charter=raw["charter"], roster=tuple(given["roster"]))
    first = Identity(
        draw.roster[0], signing=raw["member key"], receiving=raw["receiving key"]
    ).bucket_share(draw.digest)
    others = {site: raw[f"share of {site}"] for site in draw.roster[1:]}
    listed = key_list(raw)["pair key list digest"]
    masked = opening_of(given, masked_descriptor(raw["descriptor"], listed))
    of_masks, masked_rows = computed_masks(given, {**raw, "upload digest": digest}, epoch, masked)
    said = {
        "draw": draw.digest,
        "bucket share": first,
        "bucket commitment": draw.commit(draw.roster[0], first, member.sign).encode(),
        "drawn seed": draw.seed({draw.roster[0]: first, **others}),
        "member public key": member.public,
        "coordinator public key": coordinator.public,
        "epoch fingerprint": epoch.fingerprint,
        "state key": keys.state,
        "checksum key": keys.checksum,
        "pad key": keys.pad,
        "opening": opening.encode(),
        "slot": slot.encode(),
        "label": label.encode(),
        "upload digest": digest,
        "receipt": Receipt.sign(label, upload=digest, sign=member.sign).encode(),
        "sealed state": sealed.encode(),
        "sealed state digest": sealed.digest,
        "signed question": question.encode(),
        "signature of the question": question.sign(coordinator.sign),
        **of_masks,
    }
    return {
        "run id": opening.run,
        "masked run id": masked.run,
        "masked rows": masked_rows,
        "pad": pad,
        "tag": (checksum.of_rows(0, rows) + pad) % PRIME,
        "bytes": {name: one.hex() for name, one in said.items()},
    }


def write() -> None:
    """Write the outputs anew; the inputs stay."""
    given = inputs()
    PATH.write_text(json.dumps({"inputs": given, "outputs": computed(given)}, indent=1) + "\n")


if __name__ == "__main__":
    write()
