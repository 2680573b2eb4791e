"""The header of an upload, and the digest of an upload that its receipt signs."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from privacy import canonical
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES, UploadLabel
from privacy.protocol.records import Record, fixed_bytes, inner, name, number

MAX_BLOCKS = 2**24

_UPLOAD_TAG = b"consortium.upload-digest/1\n"


@dataclass(frozen=True, kw_only=True)
class UploadHeader(Record, tag=b"consortium.upload/1\n"):
    """The header of an upload, before its ciphertexts.

    Args:
        label: Which upload it is.
        parameter_set: Name of the encryption parameters.
        layout: Digest of the layout of the sealed vector.
        blocks: Number of ciphertexts that follow.
    """

    label: Annotated[UploadLabel, inner(UploadLabel, at_most=MAX_ENVELOPE_BYTES)]
    parameter_set: Annotated[str, name("a parameter set")]
    layout: Annotated[bytes, fixed_bytes("the digest of a layout")]
    blocks: Annotated[int, number("the number of ciphertexts", low=1, high=MAX_BLOCKS)]


def upload_digest(header: UploadHeader, blocks: Iterable[bytes]) -> bytes:
    """Return the SHA-256 digest of an upload: its header and each ciphertext with its length."""
    digest = hashlib.sha256(_UPLOAD_TAG + canonical.blob(header.encode()))
    for block in blocks:
        digest.update(canonical.number(len(block)))
        digest.update(block)
    return digest.digest()
