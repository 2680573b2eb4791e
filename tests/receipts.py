"""Receipts as they travel, for tests that make their own."""

from collections.abc import Sequence

from privacy.protocol.envelope import Receipt
from privacy.protocol.receipts import join_receipts


def encode_receipts(receipts: Sequence[Receipt]) -> bytes:
    """Return what `decode_receipts` reads."""
    return join_receipts([receipt.encode() for receipt in receipts])
