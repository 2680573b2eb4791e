"""The part of the test vectors that only masked runs have."""

import hashlib
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import numpy as np

from privacy.layout import Tally
from privacy.protocol.envelope import TRAINING, Receipt, Slot, UploadLabel
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.bundles import Deal
from privacy.protocol.masks.confirmations import Confirmation
from privacy.protocol.masks.groups import cohort_digest, confirmations_needed
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.protocol.masks.pair_messages import (
    SUITE_NAME,
    PairCiphertext,
    PairTerms,
    join_pair_keys,
    key_list_digest,
)
from privacy.protocol.masks.sum_set import NOTHING, SumSet
from privacy.protocol.receipts import join_receipts
from privacy.secrets.keys import EpochSecret, Identity
from privacy.secrets.masks.mask_streams import UPDATE_DOOR, MaskPlace, Masks, OwnMask
from privacy.secrets.masks.pair_keys import PairPrivateKey, sign_pair_key
from privacy.secrets.masks.pair_secrets import PairSecret, accept_pair_secret
from privacy.secrets.masks.share_bundles import open_entry, seal_bundle, seal_shares

PLAIN_BITS = 48
MAX_COLLUDERS = 1

Raw = Mapping[str, bytes]
Said = dict[str, bytes]


def members(raw: Raw) -> tuple[Identity, Identity]:
    """Return east, who seals, and north, who confirms."""
    return (
        Identity("east", signing=raw["member key"], receiving=raw["receiving key"]),
        Identity("north", signing=raw["north key"], receiving=raw["north receiving key"]),
    )


def key_list(raw: Raw) -> Said:
    """Return the signed pair keys of east and north, and the digest of their list."""
    signed = {
        member.name: sign_pair_key(
            PairPrivateKey(raw[f"pair key of {member.name}"]),
            identity=member,
            charter=raw["charter"],
            suite=SUITE_NAME,
        )
        for member in members(raw)
    }
    joined = join_pair_keys(signed)
    return {
        "pair key of north": signed["north"].encode(),
        "pair key list": joined,
        "pair key list digest": key_list_digest(joined),
    }


def pair_terms(raw: Raw, run: str) -> PairTerms:
    """Return the place of the secret that east makes for north."""
    return PairTerms(
        charter=raw["charter"],
        run=run,
        key_list=key_list(raw)["pair key list digest"],
        sender="east",
        recipient="north",
    )


def pair_secret(raw: Raw, run: str) -> tuple[PairCiphertext, PairSecret]:
    """Return the signed ciphertext of east, and what north opens it to."""
    east, _ = members(raw)
    terms, sealed = pair_terms(raw, run), raw["pair ciphertext"]
    body = PairCiphertext.body_of(terms=terms, ciphertext=sealed)
    sent = PairCiphertext(terms=terms, ciphertext=sealed, signature=east.sign(body))
    private = PairPrivateKey(raw["pair key of north"])
    return sent, accept_pair_secret(sent, private, terms=terms, sender=east.public)


def computed_masks(
    given: Mapping[str, Any], raw: Raw, epoch: EpochSecret, opening: Opening
) -> tuple[Said, list[list[int]]]:
    """Return what follows from these inputs in a masked run, and the masked rows of east."""
    roster, (east, _) = tuple(given["roster"]), members(raw)
    slot = Slot(run=opening.run, purpose=TRAINING, server_round=given["round"], attempt=1)
    sent, secret = pair_secret(raw, opening.run)
    pairs = {"north": secret, "south": PairSecret(raw["pair secret of east and south"])}
    own = OwnMask(raw["own mask"])
    deal = Deal(
        slot=slot,
        site="east",
        witnesses=roster,
        threshold=confirmations_needed(len(roster), MAX_COLLUDERS),
        commitment=own.commitment(slot, "east"),
    )
    drawn = [int.from_bytes(raw[f"coefficient {one}"], "big") for one in (1, 2)]
    # The only randomness in a deal: published here.
    with patch("secrets.randbelow", side_effect=drawn):
        bundle, _ = seal_bundle(own, deal, secrets=pairs)
    cohort = cohort_digest(roster)
    place = MaskPlace(
        slot=slot,
        state=raw["state digest"],
        question=raw["question digest"],
        cohort=cohort,
        bucket=0,
        door=UPDATE_DOOR,
    )
    terms = MaskTerms(cohort=cohort, commitment=deal.commitment, bundle=bundle.digest)
    rows: Tally = np.array(given["rows"], np.int64)
    Masks.to_seal(place, site="east", own=own, pairs=pairs).add_to(rows, 0)
    share = open_entry(bundle.entry(deal, "north"), deal, witness="north", secret=secret)
    label = UploadLabel(
        slot=slot,
        site="east",
        bucket=0,
        weight_class=4,
        nonce=terms.nonce,
        state=raw["state digest"],
    )
    receipt = Receipt.sign(label, upload=raw["upload digest"], sign=east.sign)
    said = {
        **key_list(raw),
        "masked opening": opening.encode(),
        "pair message": sent.encode(),
        "pair secret": secret.material(),
        "mask place": place.encode(),
        "pair mask seed": secret.seed(place.digest, "east", "north"),
        "own mask seed": own.seed(place),
        "committed mask": deal.commitment,
        "share bundle": bundle.encode(),
        "mask terms": terms.encode(),
        "masked receipt": receipt.encode(),
        **confirmed(raw, epoch, receipt, share),
    }
    return said, (rows & ((1 << PLAIN_BITS) - 1)).tolist()


def confirmed(raw: Raw, epoch: EpochSecret, receipt: Receipt, share: int) -> Said:
    """Return the set of this one receipt, and how north confirms it."""
    slot, (_, north) = receipt.label.slot, members(raw)
    sums = SumSet(
        slot=slot,
        state=raw["state digest"],
        cohort=cohort_digest(("east", "north", "south")),
        receipts=hashlib.sha256(join_receipts([receipt.encode()])).digest(),
        sums=((0, hashlib.sha256(raw["upload"]).digest()),),
        count_receipts=NOTHING,
        count_sum=NOTHING,
    )
    keys = epoch.run_keys(charter=raw["charter"], run=slot.run)
    sealed = seal_shares([share], key=keys.reveal, set_digest=sums.digest, witness="north")
    signed = Confirmation.sign(sums.digest, witness="north", shares=sealed, sign=north.sign)
    return {
        "sum set": sums.encode(),
        "reveal key": keys.reveal,
        "confirmation": signed.encode(),
    }
