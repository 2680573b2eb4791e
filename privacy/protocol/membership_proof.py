"""Proof of membership: the bytes that a site signs to prove that it runs a Flower node.

Both ends compute the same bytes. A node's id is chosen by Flower and proves nothing, and anybody
may claim a name. The signature binds the site's identity key to this node, this run, this charter
and the coordinator's challenge. So no member can use it in another's name, and nobody can replay
it. A site that refuses to take part signs its reason in the same way.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from privacy import canonical

CHALLENGE_SIZE = 32

_TAG = b"consortium.presence/1\n"
_DECLINED_TAG = b"consortium.declined/1\n"


@dataclass(frozen=True, kw_only=True)
class Presence:
    """The statement that is signed.

    Args:
        charter: Fingerprint of the charter, 32 bytes.
        run: Flower's number of the run.
        node: Flower's id of the node.
        challenge: The coordinator's challenge, 32 bytes.
        site: The site's name.
        layout: Digest of the layout that it would train, 32 bytes.
        num_examples: The number of training examples that it states.

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
        """Return the canonical bytes to sign."""
        return (
            _TAG
            + self.charter
            + canonical.text(
                f"{self.run}:{self.node}"
            )  # as text: Flower's numbers may need all 64 bits
            + self.challenge
            + canonical.text(self.site)
            + self.layout
            + canonical.number(self.num_examples)
        )


@dataclass(frozen=True, kw_only=True)
class Declined:
    """The statement of a site that refuses to say what it would train.

    Args:
        charter: Fingerprint of the charter in the greeting, 32 bytes.
        run: Flower's number of the run.
        node: Flower's id of the node.
        challenge: The coordinator's challenge, 32 bytes.
        site: The site's name.
        code: The code of the refusal.
        counts: Its counts, by name.

    Raises:
        MalformedEnvelope: A part does not have its form.
    """

    charter: bytes
    run: int
    node: int
    challenge: bytes
    site: str
    code: str
    counts: Mapping[str, int]

    def __post_init__(self) -> None:
        canonical.require_digest("the fingerprint of a charter", self.charter)
        canonical.require_digest("a challenge", self.challenge)
        canonical.require_name("the name of a member", self.site)

    def encode(self) -> bytes:
        """Return the canonical bytes to sign."""
        counts = [part for name in sorted(self.counts) for part in (name, str(self.counts[name]))]
        return (
            _DECLINED_TAG
            + self.charter
            + canonical.text(f"{self.run}:{self.node}")
            + self.challenge
            + canonical.text(self.site)
            + canonical.text(self.code)
            + canonical.names(counts)
        )
