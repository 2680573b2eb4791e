"""Where the evidence of a site stands: what it tells a coordinator when a run begins.

Who was told an anchor can show later that the log or the ledger of the site was put back: the
site signed it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy import canonical
from privacy.audit.hash_chain import LogHead
from privacy.canonical import Reader
from privacy.identity.public_identity import SIGNATURE_SIZE, BadSignature

LINK_SIZE = 32
LEDGER_SIZE = 64

_TAG = b"consortium.anchor/1\n"


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The evidence of a site at one moment.

    Args:
        key: Public key that the site's log is signed with, 32 bytes.
        head: Where the log ended.
        ledger: Head of its ledger of privacy, at most 64 bytes; empty if it has none.
        link: Key of the digests by which both logs name the messages of this run. It is for the
            coordinator only, is in no log and under no signature: without it a digest is no
            test of a guess.
        signature: Over all but the link.
    """

    key: bytes
    head: LogHead
    ledger: bytes = b""
    link: bytes = field(default=bytes(LINK_SIZE), repr=False)
    signature: bytes = bytes(SIGNATURE_SIZE)

    def with_signature(self, sign: Callable[[bytes], bytes]) -> "Anchor":
        """Return the anchor with its signature."""
        return replace(self, signature=sign(self._body()))

    def verify(self) -> None:
        """Return if the holder of the key signed exactly this.

        Raises:
            BadSignature: It did not.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(self.signature, self._body())
        except (InvalidSignature, ValueError) as error:
            raise BadSignature("the anchor was not signed with the key in it") from error

    def encode(self) -> bytes:
        """Return the anchor as bytes."""
        return self._body() + self.link + self.signature

    @classmethod
    def decode(cls, encoded: bytes) -> "Anchor":
        """Return what `encode` wrote; whether it is signed, `verify` says.

        Raises:
            MalformedEnvelope: It is anything else.
        """
        reader = Reader(encoded, tag=_TAG)
        key, entries, digest = reader.digest(), reader.number(), reader.digest()
        ledger = reader.blob(at_most=LEDGER_SIZE)
        link, signature = reader.fixed(LINK_SIZE), reader.fixed(SIGNATURE_SIZE)
        reader.end()
        head = LogHead(entries, digest.hex())
        return cls(key=key, head=head, ledger=ledger, link=link, signature=signature)

    def _body(self) -> bytes:
        log = canonical.number(self.head.entries) + bytes.fromhex(self.head.hash)
        return _TAG + self.key + log + canonical.blob(self.ledger)
