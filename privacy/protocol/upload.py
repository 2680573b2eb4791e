"""The header of an upload, and the digest of an upload that its receipt signs."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from privacy import canonical
from privacy.canonical import Reader
from privacy.protocol.envelope import MAX_ENVELOPE_BYTES, UploadLabel

MAX_BLOCKS = 2**24

_HEADER_TAG = b"consortium.upload/1\n"
_UPLOAD_TAG = b"consortium.upload-digest/1\n"


@dataclass(frozen=True, kw_only=True)
class UploadHeader:
    """The header of an upload, before its ciphertexts.

    Args:
        label: Which upload it is.
        parameter_set: Name of the encryption parameters.
        layout: Digest of the layout of the sealed vector.
        blocks: Number of ciphertexts that follow.
    """

    label: UploadLabel
    parameter_set: str
    layout: bytes
    blocks: int

    def __post_init__(self) -> None:
        canonical.require_name("a parameter set", self.parameter_set)
        canonical.require_digest("the digest of a layout", self.layout)
        canonical.require_number("the number of ciphertexts", self.blocks, low=1, high=MAX_BLOCKS)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return (
            _HEADER_TAG
            + canonical.blob(self.label.encode())
            + canonical.text(self.parameter_set)
            + self.layout
            + canonical.number(self.blocks)
        )

    @classmethod
    def decode(cls, data: bytes) -> "UploadHeader":
        """Parse what `encode` wrote; raise MalformedEnvelope for anything else."""
        reader = Reader(data, tag=_HEADER_TAG)
        header = cls(
            label=UploadLabel.decode(reader.blob(at_most=MAX_ENVELOPE_BYTES)),
            parameter_set=reader.text(),
            layout=reader.digest(),
            blocks=reader.number(),
        )
        reader.end()
        return header


def upload_digest(header: UploadHeader, blocks: Iterable[bytes]) -> bytes:
    """Return the SHA-256 digest of an upload: its header and each ciphertext with its length."""
    digest = hashlib.sha256(_UPLOAD_TAG + canonical.blob(header.encode()))
    for block in blocks:
        digest.update(canonical.number(len(block)))
        digest.update(block)
    return digest.digest()
