"""The messages that masked runs have besides those of all encrypted runs.

The coordinator carries keys, ciphertexts and confirmations that the sites signed. It can alter none
of them unnoticed, and what it holds back is missed. docs/protocol.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from flwr.app import Array, ArrayRecord, RecordDict

from privacy.canonical import DIGEST_SIZE
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.protocol.announcements import decode_named, encode_named
from privacy.protocol.envelope import (
    EVALUATION,
    MAX_ATTEMPTS,
    MAX_ENVELOPE_BYTES,
    MAX_ROUND,
    STATISTICS,
    TRAINING,
)
from privacy.protocol.masks.mask_part import (
    MAX_CONFIRMATION_BYTES,
    MAX_ENTRY_BYTES,
    MAX_JOINED_TERMS_BYTES,
)
from privacy.protocol.masks.sum_set import SUM_DIGESTS, SumDigests
from privacy.protocol.records import Record, blob, names
from privacy.wire import encrypted_messages
from privacy.wire import flower_records as wire
from privacy.wire.encrypted_messages import MAX_OPENING_BYTES, MAX_RECEIPTS_BYTES

PAIR_KEYS = "query.pair_keys"
PAIR = "query.pair"
PAIR_SECRETS = "query.pair_secrets"
CONFIRM = "query.confirm"

MAX_KEY_LIST_BYTES = 2**22
MAX_CIPHERTEXTS_BYTES = 2**22
MAX_ENTRIES_BYTES = 2**19
MAX_SET_BYTES = 2 * (MAX_RECEIPTS_BYTES + MAX_JOINED_TERMS_BYTES) + 2**19

_CHARTER = "charter"
_PURPOSE = "purpose"
_ROUND = "round"
_ATTEMPT = "attempt"

_KEY = "key"
_KEYS = "keys"
_OPENING = "opening"
_CIPHERTEXTS = "ciphertexts"
_CONFIRMATION = "confirmation"
_SET = "set"
_ENTRIES = "entries"
_COUNT_ENTRIES = "count-entries"
_PARTS = "parts"

_RECEIPTS = blob("joined receipts", low=0, high=MAX_RECEIPTS_BYTES)
_TERMS = blob("joined mask terms", low=0, high=MAX_JOINED_TERMS_BYTES)

_NAME_LENGTH = 64
_BOUNDS = {
    _OPENING: MAX_OPENING_BYTES,
    _SET: MAX_SET_BYTES,
    _ENTRIES: MAX_ENTRIES_BYTES,
    _COUNT_ENTRIES: MAX_ENTRIES_BYTES,
}
_NAMES_BYTES = 2**10  # the names of the parts, and their lengths


def pair_key_request(charter: str) -> RecordDict:
    """Return the message `PAIR_KEYS`: a request for the key that the next run will use."""
    return wire.content({}, {_CHARTER: charter})


def read_pair_key_request(record: RecordDict) -> str:
    """Return the charter of a `pair_key_request`, or raise MalformedRecord."""
    _, facts = wire.read_content(record, arrays=frozenset(), facts=frozenset({_CHARTER}))
    return wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)


def pair_key(encoded: bytes) -> RecordDict:
    """Return the answer to `PAIR_KEYS`: the site's signed key, encoded."""
    return wire.content({_KEY: wire.bytes_array(encoded)}, {})


def read_pair_key(record: RecordDict) -> bytes:
    """Return the encoded key of a `pair_key`, or raise MalformedRecord."""
    return _read_one(record, _KEY, at_most=MAX_ENVELOPE_BYTES)


def masked_opening_request(
    charter: str, label: str, roster: Sequence[str], lineage: str, *, keys: bytes
) -> RecordDict:
    """Return the message `OPEN` of a masked run: with the list of its sites' keys, joined."""
    content = encrypted_messages.opening_request(charter, label, roster, lineage)
    facts = wire.arrays_and_facts(content)[1]
    arrays = ArrayRecord({_KEYS: wire.bytes_array(keys)})
    return RecordDict({wire.ARRAYS: arrays, wire.FACTS: facts})


def read_masked_opening_request(
    record: RecordDict,
) -> tuple[tuple[str, str, tuple[str, ...], str], bytes]:
    """Parse what `masked_opening_request` wrote: what every opening request says, and the keys.

    Raises:
        MalformedRecord: It is anything else.
    """
    arrays, facts = wire.arrays_and_facts(record)
    if set(arrays) != {_KEYS}:
        raise wire.MalformedRecord("the opening of a masked run needs the list of its sites' keys")
    keys = wire.read_bytes(arrays[_KEYS], at_most=MAX_KEY_LIST_BYTES)
    request = RecordDict({wire.ARRAYS: ArrayRecord(), wire.FACTS: facts})
    return encrypted_messages.read_opening_request(request), keys


def pair_request(charter: str, *, opening: bytes, keys: bytes) -> RecordDict:
    """Return the message `PAIR`: the run's opening and the list of its sites' keys, joined."""
    arrays = {_OPENING: wire.bytes_array(opening), _KEYS: wire.bytes_array(keys)}
    return wire.content(arrays, {_CHARTER: charter})


def read_pair_request(record: RecordDict) -> tuple[str, bytes, bytes]:
    """Return charter, opening and keys of a `pair_request`, or raise MalformedRecord."""
    bounds = {_OPENING: MAX_OPENING_BYTES, _KEYS: MAX_KEY_LIST_BYTES}
    charter, parts = _read_parts(record, bounds)
    return charter, parts[_OPENING], parts[_KEYS]


def pair_ciphertexts(joined: bytes) -> RecordDict:
    """Return the answer to `PAIR`: the site's signed ciphertexts for the others, joined."""
    return wire.content({_CIPHERTEXTS: wire.bytes_array(joined)}, {})


def read_pair_ciphertexts(record: RecordDict) -> bytes:
    """Return the joined ciphertexts of a `pair_ciphertexts`, or raise MalformedRecord."""
    return _read_one(record, _CIPHERTEXTS, at_most=MAX_CIPHERTEXTS_BYTES)


def pair_secrets(charter: str, *, opening: bytes, ciphertexts: bytes) -> RecordDict:
    """Return the message `PAIR_SECRETS`: the opening, and the ciphertexts for the site, joined."""
    arrays = {_OPENING: wire.bytes_array(opening), _CIPHERTEXTS: wire.bytes_array(ciphertexts)}
    return wire.content(arrays, {_CHARTER: charter})


def read_pair_secrets(record: RecordDict) -> tuple[str, bytes, bytes]:
    """Return charter, opening and ciphertexts of a `pair_secrets`, or raise MalformedRecord."""
    bounds = {_OPENING: MAX_OPENING_BYTES, _CIPHERTEXTS: MAX_CIPHERTEXTS_BYTES}
    charter, parts = _read_parts(record, bounds)
    return charter, parts[_OPENING], parts[_CIPHERTEXTS]


def pair_confirmation() -> RecordDict:
    """Return the answer to `PAIR_SECRETS` of a site that holds a secret with each other one."""
    return wire.content({}, {})


@dataclass(frozen=True, kw_only=True)
class SetToConfirm(Record, tag=b"consortium.set-to-confirm/1\n"):
    """What all witnesses of a set are shown alike. Absent parts are empty.

    Args:
        cohort: V: the sites that were asked, sorted.
        receipts: Receipts of its updates.
        terms: Mask terms of its updates, joined.
        sums: SHA-256 of each bucket's sum of updates, in the order of the buckets that are there.
        count_receipts: Receipts of its counts.
        count_terms: Mask terms of its counts, joined.
        count_sum: SHA-256 of the sum of its counts.
        signature: The coordinator's, as in `SignedSet`; empty if the charter names no key of the
            coordinator.
    """

    cohort: Annotated[tuple[str, ...], names("the sites that were asked")]
    receipts: Annotated[bytes, _RECEIPTS] = field(default=b"", repr=False)
    terms: Annotated[bytes, _TERMS] = field(default=b"", repr=False)
    sums: Annotated[SumDigests, SUM_DIGESTS] = ()
    count_receipts: Annotated[bytes, _RECEIPTS] = field(default=b"", repr=False)
    count_terms: Annotated[bytes, _TERMS] = field(default=b"", repr=False)
    count_sum: Annotated[bytes, blob("a digest of counts", low=0, high=DIGEST_SIZE)] = b""
    signature: Annotated[bytes, blob("a signature", low=0, high=SIGNATURE_SIZE)] = b""


@dataclass(frozen=True, kw_only=True)
class ConfirmationRequest:
    """The message `CONFIRM`: one set of uploads and its sums, to be confirmed by one witness.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        purpose: Of the set: statistics, training or evaluation.
        server_round: Its round.
        attempt: Its attempt.
        opening: The run's opening.
        shown: The set.
        entries: For each site in it, its share for this witness in the bundle of its update.
        count_entries: As `entries`, of the counts.
    """

    charter: str
    purpose: str
    server_round: int
    attempt: int
    opening: bytes
    shown: SetToConfirm
    entries: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    count_entries: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def for_witness(
        self, entries: Mapping[str, bytes], count_entries: Mapping[str, bytes]
    ) -> "ConfirmationRequest":
        """Return the request with the shares of one witness."""
        return replace(self, entries=entries, count_entries=count_entries)

    def content(self) -> RecordDict:
        """Return the content of the message: one array, because each takes two requests more."""
        parts = {
            _OPENING: self.opening,
            _SET: self.shown.encode(),
            _ENTRIES: encode_named(self.entries),
            _COUNT_ENTRIES: encode_named(self.count_entries),
        }
        return wire.content(
            {_PARTS: wire.bytes_array(encode_named(parts))},
            {
                _CHARTER: self.charter,
                _PURPOSE: self.purpose,
                _ROUND: self.server_round,
                _ATTEMPT: self.attempt,
            },
        )

    @classmethod
    def read(cls, record: RecordDict) -> "ConfirmationRequest":
        """Parse what `content` wrote; raise MalformedRecord or MalformedEnvelope for other bytes.

        Args:
            record: Received from the coordinator, not trusted.
        """
        arrays, facts = wire.read_content(
            record,
            arrays=frozenset({_PARTS}),
            facts=frozenset({_CHARTER, _PURPOSE, _ROUND, _ATTEMPT}),
        )
        parts = _named_parts(arrays[_PARTS])
        purpose = wire.fact_str(facts, _PURPOSE, at_most=_NAME_LENGTH)
        if purpose not in (STATISTICS, TRAINING, EVALUATION):
            raise wire.MalformedRecord("no set of this purpose is confirmed")
        return cls(
            charter=wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH),
            purpose=purpose,
            server_round=wire.fact_int(facts, _ROUND, low=0, high=MAX_ROUND),
            attempt=wire.fact_int(facts, _ATTEMPT, low=1, high=MAX_ATTEMPTS),
            opening=parts[_OPENING],
            shown=SetToConfirm.decode(parts[_SET]),
            entries=decode_named(parts[_ENTRIES], at_most=MAX_ENTRY_BYTES),
            count_entries=decode_named(parts[_COUNT_ENTRIES], at_most=MAX_ENTRY_BYTES),
        )


def confirmation(encoded: bytes) -> RecordDict:
    """Return the answer to `CONFIRM`: the witness's confirmation, encoded."""
    return wire.content({_CONFIRMATION: wire.bytes_array(encoded)}, {})


def read_confirmation(record: RecordDict) -> bytes:
    """Return the encoded confirmation of a `confirmation`, or raise MalformedRecord."""
    return _read_one(record, _CONFIRMATION, at_most=MAX_CONFIRMATION_BYTES)


def _named_parts(array: Array) -> dict[str, bytes]:
    joined = wire.read_bytes(array, at_most=sum(_BOUNDS.values()) + _NAMES_BYTES)
    parts = decode_named(joined, at_most=max(_BOUNDS.values()))
    if parts.keys() != _BOUNDS.keys():
        raise wire.MalformedRecord("a set to be confirmed has other parts than were agreed")
    for name, most in _BOUNDS.items():
        if len(parts[name]) > most:
            raise wire.MalformedRecord(
                f"at most {most} bytes of the part {name} were agreed, got {len(parts[name])}",
                at_most=most,
                came=len(parts[name]),
            )
    return parts


def _read_one(record: RecordDict, name: str, *, at_most: int) -> bytes:
    arrays, _ = wire.read_content(record, arrays=frozenset({name}), facts=frozenset())
    return wire.read_bytes(arrays[name], at_most=at_most)


def _read_parts(record: RecordDict, bounds: Mapping[str, int]) -> tuple[str, dict[str, bytes]]:
    arrays, facts = wire.read_content(record, arrays=frozenset(bounds), facts=frozenset({_CHARTER}))
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    return charter, {
        name: wire.read_bytes(arrays[name], at_most=most) for name, most in bounds.items()
    }
