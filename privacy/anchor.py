"""Where the evidence of a site stands: what it tells a coordinator when a run begins.

Who was told an anchor can tell later that the log or the ledger of the site was put back.
"""

from dataclasses import dataclass

from privacy import canonical
from privacy.canonical import DIGEST_SIZE, Reader
from privacy.chain import Head

LINK_SIZE = 32

_TAG = b"consortium.anchor/1\n"


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The evidence of a site at one moment.

    Args:
        key: Public key that the site's log is signed with, 32 bytes.
        head: Where the log ended.
        ledger: Head of its ledger of privacy, at most 64 bytes; empty if it has none.
        link: Key of the digests by which both logs name the messages of this run. It is for the
            coordinator only, and in no log: without it a digest is no test of a guess.
    """

    key: bytes
    head: Head
    ledger: bytes = b""
    link: bytes

    def encode(self) -> bytes:
        """Return the anchor as bytes."""
        return b"".join(
            (
                _TAG,
                self.key,
                canonical.number(self.head.entries),
                bytes.fromhex(self.head.hash),
                canonical.blob(self.ledger),
                self.link,
            )
        )

    @classmethod
    def decode(cls, encoded: bytes) -> "Anchor":
        """Return what `encode` wrote.

        Raises:
            MalformedEnvelope: It is anything else.
        """
        reader = Reader(encoded, tag=_TAG)
        key, entries, digest = reader.digest(), reader.number(), reader.digest()
        ledger = reader.blob(at_most=2 * DIGEST_SIZE)
        link = reader.fixed(LINK_SIZE)
        reader.end()
        return cls(key=key, head=Head(entries, digest.hex()), ledger=ledger, link=link)
