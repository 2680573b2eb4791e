"""The three messages by which the sites of a run draw buckets, before it is opened.

The coordinator carries commitments that the sites signed, then the shares. It can alter neither
unnoticed.
"""

from collections.abc import Mapping, Sequence

from flwr.app import RecordDict

from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.bucket_draw import MAX_COMMITMENT_BYTES, SHARE_SIZE
from privacy.wire import flower_records as wire

COMMIT = "query.commit"
REVEAL = "query.reveal"
DRAW = "query.draw"

MAX_PARTS_BYTES = 2**22

_CHARTER = "charter"
_ROSTER = "roster"
_DRAWN = "drawn"
_COMMITMENTS = "commitments"
_SHARE = "share"
_SHARES = "shares"

_NAME_LENGTH = 64
_MAX_NAMES_LENGTH = 2**20


def commitment_request(charter: str, roster: Sequence[str]) -> RecordDict:
    """Return the message `COMMIT`: a request to commit to a share of the draw of these sites."""
    return wire.content({}, {_CHARTER: charter, _ROSTER: ",".join(roster)})


def read_commitment_request(record: RecordDict) -> tuple[str, tuple[str, ...]]:
    """Return the charter and roster of a `commitment_request`, or raise MalformedRecord."""
    _, facts = wire.read_content(record, arrays=frozenset(), facts=frozenset({_CHARTER, _ROSTER}))
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    roster = wire.fact_str(facts, _ROSTER, at_most=_MAX_NAMES_LENGTH)
    return charter, tuple(roster.split(","))


def commitment_answer(commitments: Mapping[str, bytes], *, drawn: bool) -> RecordDict:
    """Return the answer to `COMMIT`.

    Args:
        commitments: The site's own one, encoded; or those of all sites of the roster, if it
            revealed its share for them before.
        drawn: Whether it holds the draw already.
    """
    parts = wire.bytes_array(encode_named(commitments))
    return wire.content({_COMMITMENTS: parts}, {_DRAWN: int(drawn)})


def read_commitment_answer(record: RecordDict) -> tuple[dict[str, bytes], bool]:
    """Parse what `commitment_answer` wrote, or raise MalformedRecord or MalformedEnvelope."""
    arrays, facts = wire.read_content(
        record, arrays=frozenset({_COMMITMENTS}), facts=frozenset({_DRAWN})
    )
    encoded = wire.read_bytes(arrays[_COMMITMENTS], at_most=MAX_PARTS_BYTES)
    drawn = bool(wire.fact_int(facts, _DRAWN, low=0, high=1))
    return decode_named(encoded, at_most=MAX_COMMITMENT_BYTES), drawn


def commitments(charter: str, made: Mapping[str, bytes]) -> RecordDict:
    """Return the message `REVEAL`: the commitments of all sites that draw."""
    return _named(charter, _COMMITMENTS, made)


def read_commitments(record: RecordDict) -> tuple[str, dict[str, bytes]]:
    """Return the charter and the encoded commitments by site, or raise MalformedRecord."""
    return _read_named(record, _COMMITMENTS, at_most=MAX_COMMITMENT_BYTES)


def revealed_share(share: bytes) -> RecordDict:
    """Return the answer to `REVEAL`: the site's share."""
    return wire.content({_SHARE: wire.bytes_array(share)}, {})


def read_revealed_share(record: RecordDict) -> bytes:
    """Return the share of a `revealed_share`, or raise MalformedRecord."""
    arrays, _ = wire.read_content(record, arrays=frozenset({_SHARE}), facts=frozenset())
    return wire.read_bytes(arrays[_SHARE], at_most=SHARE_SIZE)


def shares(charter: str, revealed_by: Mapping[str, bytes]) -> RecordDict:
    """Return the message `DRAW`: the shares of all sites that draw."""
    return _named(charter, _SHARES, revealed_by)


def read_shares(record: RecordDict) -> tuple[str, dict[str, bytes]]:
    """Return the charter and the shares by site, or raise MalformedRecord."""
    return _read_named(record, _SHARES, at_most=SHARE_SIZE)


def draw_confirmation() -> RecordDict:
    """Return the answer to `DRAW` of a site that holds the draw."""
    return wire.content({}, {})


def _named(charter: str, key: str, parts: Mapping[str, bytes]) -> RecordDict:
    return wire.content({key: wire.bytes_array(encode_named(parts))}, {_CHARTER: charter})


def _read_named(record: RecordDict, key: str, *, at_most: int) -> tuple[str, dict[str, bytes]]:
    arrays, facts = wire.read_content(record, arrays=frozenset({key}), facts=frozenset({_CHARTER}))
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    encoded = wire.read_bytes(arrays[key], at_most=MAX_PARTS_BYTES)
    return charter, decode_named(encoded, at_most=at_most)
