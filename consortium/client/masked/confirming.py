"""What a witness reveals with a confirmation: its shares of the own masks, for the sites alone."""

from consortium.client.masked.run_masks import RunMasks
from consortium.client.masked.shown_sets import SeenSet
from privacy.canonical import MalformedEnvelope
from privacy.protocol.envelope import TRAINING, Receipt
from privacy.protocol.masks.bundles import Deal, Entry
from privacy.protocol.masks.confirmations import Confirmation
from privacy.secrets.masks.pair_secrets import PairSecret
from privacy.secrets.masks.share_bundles import UnreadableShare, open_entry, seal_shares
from privacy.wire.mask_messages import ConfirmationRequest


def signed_confirmation(masks: RunMasks, seen: SeenSet, asked: ConfirmationRequest) -> Confirmation:
    """Return this site's confirmation of a set: its shares, and whose share does not open.

    Guarantee: of the same request it is the same bytes.
    """
    sites = [receipt.label.site for receipt, _ in seen.uploads]
    secrets = masks.pair_secrets(sites)
    shares: list[int | None] = []
    for receipt, terms in seen.uploads:
        slot, dealer = receipt.label.slot, receipt.label.site
        deal = masks.deal(slot, dealer, terms.commitment)
        if dealer == masks.site:
            shares.append(_own_share(masks, receipt))
            continue
        entries = asked.entries if slot.purpose == TRAINING else asked.count_entries
        shares.append(_opened(entries.get(dealer, b""), deal, masks.site, secrets[dealer]))
    member, key = masks.terms.member, masks.terms.opened.keys.reveal
    sealed = b""
    if shares:
        sealed = seal_shares(shares, key=key, set_digest=seen.digest, witness=masks.site)
    return Confirmation.sign(
        seen.digest,
        witness=masks.site,
        shares=sealed,
        unreadable=sorted({site for site, one in zip(sites, shares, strict=True) if one is None}),
        sign=member.identity.sign,
    )


def _own_share(masks: RunMasks, receipt: Receipt) -> int | None:
    kept = masks.memory.masks.own_share(receipt.label.slot)
    return None if kept is None else int.from_bytes(kept, "big")


def _opened(entry: bytes, deal: Deal, witness: str, secret: PairSecret) -> int | None:
    try:
        return open_entry(Entry.decode(entry), deal, witness=witness, secret=secret)
    except (MalformedEnvelope, UnreadableShare):
        return None  # who is to blame follows from the bundle, which its dealer signed
