"""A signed log head: the state of a site's log and ledger, sent to a coordinator at a run's start.

The site signs it. So a coordinator that received it can prove later that the site's log or ledger
was rolled back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from privacy import canonical
from privacy.audit.hash_chain import LogHead
from privacy.canonical import Reader
from privacy.identity.public_identity import SIGNATURE_SIZE, require_signature

LINK_SIZE = 32
LEDGER_SIZE = 64

_TAG = b"consortium.anchor/1\n"


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The heads of a site's log and ledger at one moment.

    Args:
        key: Public key that the site's log is signed with, 32 bytes.
        head: Head of the log.
        ledger: Head of its privacy ledger, at most 64 bytes; empty if it has none.
        link: Key of the digests by which both logs name the messages of this run. It is meant
            for the coordinator only; it is written to no log and covered by no signature.
            Without it nobody can test a guess of a message against its digest.
        signature: Ed25519 signature over everything but the link.
    """

    key: bytes
    head: LogHead
    ledger: bytes = b""
    link: bytes = field(default=bytes(LINK_SIZE), repr=False)
    signature: bytes = bytes(SIGNATURE_SIZE)

    def with_signature(self, sign: Callable[[bytes], bytes]) -> "Anchor":
        """Return the anchor with the signature that `sign` makes over it."""
        return replace(self, signature=sign(self._body()))

    def verify(self) -> None:
        """Check that the holder of the key signed exactly this anchor.

        Raises:
            BadSignature: The signature is not valid.
        """
        otherwise = "the anchor was not signed with the key it names"
        require_signature(self.key, self._body(), self.signature, otherwise=otherwise)

    def encode(self) -> bytes:
        """Return the canonical bytes, signature included."""
        return self._body() + self.link + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> "Anchor":
        """Parse what `encode` wrote. Call `verify` to check the signature.

        Raises:
            MalformedEnvelope: The bytes are anything else.
        """
        reader = Reader(encoded, tag=_TAG)
        key, entries, digest = reader.digest(), reader.number(), reader.digest()
        ledger = reader.blob(at_most=LEDGER_SIZE)
        link, signature = reader.fixed_bytes(LINK_SIZE), reader.fixed_bytes(SIGNATURE_SIZE)
        reader.end()
        head = LogHead(entries, digest.hex())
        return cls(key=key, head=head, ledger=ledger, link=link, signature=signature)

    def _body(self) -> bytes:
        log = canonical.number(self.head.entries) + bytes.fromhex(self.head.hash)
        return _TAG + self.key + log + canonical.blob(self.ledger)
