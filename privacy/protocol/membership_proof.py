"""What a site signs to show that it is behind a node: bytes both ends compute alike.

A node's id is Flower's and says nothing; a name is what anybody may claim. The signature binds
the site's identity key to this node, this run, this charter and the coordinator's challenge, so
that none can be shown for another: not by a member in another's name, not a second time.
"""

from dataclasses import dataclass

from privacy import canonical

CHALLENGE_SIZE = 32

_TAG = b"consortium.presence/1\n"


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What is signed.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        run: Flower's number of the run.
        node: Flower's id of the node.
        challenge: The coordinator's, 32 bytes.
        site: The site's name.
        layout: Digest of the layout it would train, 32 bytes.
        num_examples: What it says of its training examples.

    Raises:
        MalformedEnvelope: A part does not have its form.
    """

    charter: bytes
    run: int
    node: int
    challenge: bytes
    site: str
    layout: bytes
    num_examples: int

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_digest("a challenge", self.challenge)
        canonical.require_digest("the digest of a layout", self.layout)
        canonical.require_name("the name of a member", self.site)

    def encode(self) -> bytes:
        """Return the bytes to sign: a tag, and every part in a form of one reading."""
        return (
            _TAG
            + self.charter
            + canonical.text(f"{self.run}:{self.node}")  # Flower's numbers may have 64 bits
            + self.challenge
            + canonical.text(self.site)
            + self.layout
            + canonical.number(self.num_examples)
        )
