"""SHA-256 of the parts of a message, each hashed once however many checks ask for it.

The log of a site, the coordinator's signature and the memory of what was shown all go by digests
of the same megabytes. Where they are asked for within `digests_shared`, each part is read once.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from privacy.block_values import value_in_block

_WORTH_KEEPING = 4_096  # bytes: to hash fewer costs no more than to look them up

# The bytes themselves are kept beside their digest: as long as they live, nothing else has their
# identity, and bytes never change.
_SHARED: ContextVar[dict[int, tuple[bytes, bytes]] | None] = ContextVar("digests", default=None)


@contextmanager
def digests_shared() -> Iterator[None]:
    """Hash the same bytes once within this block, and keep nothing after it."""
    with value_in_block(_SHARED, {}):
        yield


def sha256_of(data: bytes) -> bytes:
    """Return the SHA-256 of bytes, 32 bytes."""
    shared = _SHARED.get()
    # Of what can be changed in place, identity says nothing.
    if shared is None or type(data) is not bytes or len(data) < _WORTH_KEEPING:
        return hashlib.sha256(data).digest()
    if id(data) not in shared:
        shared[id(data)] = data, hashlib.sha256(data).digest()
    return shared[id(data)][1]
