"""The two messages by which members compare what they hold of each other, before a run.

The coordinator carries what the members signed. It can forge nothing of it, and what it holds back
is missed.
"""

from collections.abc import Mapping

from flwr.app import RecordDict

from privacy.protocol.announcements import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_ATTESTATION_BYTES,
    decode_named,
    encode_named,
)
from privacy.wire import flower_records as wire

ATTEST = "query.attest"
COMPARE = "query.compare"

MAX_PARTS_BYTES = 2**28

_CHARTER = "charter"
_PARTS = "parts"
_NAME_LENGTH = 64


def announcements(charter: str, announced: Mapping[str, bytes]) -> RecordDict:
    """Return the message `ATTEST`: what the other members announced, to be answered and held."""
    return _named(announced, {_CHARTER: charter})


def read_announcements(record: RecordDict) -> tuple[str, dict[str, bytes]]:
    """Return the charter and the encoded announcements by member, or raise MalformedRecord."""
    return _read(record, at_most=MAX_ANNOUNCEMENT_BYTES)


def attestations(made: Mapping[str, bytes]) -> RecordDict:
    """Return the answer to `ATTEST`: what this site holds of each member that announced itself."""
    return _named(made, {})


def read_attestations(record: RecordDict) -> dict[str, bytes]:
    """Return the encoded attestations by subject, or raise MalformedRecord."""
    arrays, _ = wire.read_content(record, arrays=frozenset({_PARTS}), facts=frozenset())
    encoded = wire.read_bytes(arrays[_PARTS], at_most=MAX_PARTS_BYTES)
    return decode_named(encoded, at_most=MAX_ATTESTATION_BYTES)


def comparison(charter: str, held: Mapping[str, bytes]) -> RecordDict:
    """Return the message `COMPARE`: what each other member attests of the site that is asked."""
    return _named(held, {_CHARTER: charter})


def read_comparison(record: RecordDict) -> tuple[str, dict[str, bytes]]:
    """Return the charter and the encoded attestations by witness, or raise MalformedRecord."""
    return _read(record, at_most=MAX_ATTESTATION_BYTES)


def compared() -> RecordDict:
    """Return the answer to `COMPARE` of a site that knows all that was shown."""
    return wire.content({}, {})


def _named(parts: Mapping[str, bytes], facts: Mapping[str, str]) -> RecordDict:
    return wire.content({_PARTS: wire.bytes_array(encode_named(parts))}, dict(facts))


def _read(record: RecordDict, *, at_most: int) -> tuple[str, dict[str, bytes]]:
    arrays, facts = wire.read_content(
        record, arrays=frozenset({_PARTS}), facts=frozenset({_CHARTER})
    )
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    encoded = wire.read_bytes(arrays[_PARTS], at_most=MAX_PARTS_BYTES)
    return charter, decode_named(encoded, at_most=at_most)
