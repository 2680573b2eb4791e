"""The messages of an encrypted run, as both ends write and read them.

The coordinator cannot read what it carries here: deliveries, openings, ciphertexts and sealed
states. Every array is opaque bytes, and its length is checked before it is copied.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from flwr.app import RecordDict

from privacy import canonical
from privacy.canonical import Reader
from privacy.identity.public_identity import SIGNATURE_SIZE
from privacy.layout import Tally
from privacy.protocol.envelope import MAX_ATTEMPTS, MAX_ENVELOPE_BYTES, MAX_ROUND, MAX_STATE_BYTES
from privacy.protocol.masks.mask_part import (
    MAX_BUNDLE_BYTES,
    MAX_MASK_PART_BYTES,
    MAX_TERMS_BYTES,
    MaskPart,
)
from privacy.protocol.part_digests import sha256_of
from privacy.protocol.receipts import MAX_RECEIPTS, JoinedReceipts
from privacy.protocol.signed_question import PARTS, QuestionDigests
from privacy.wire import flower_records as wire

EPOCH = "query.epoch"
ROTATE = "query.rotate"
DELIVER = "query.deliver"
OPEN = "query.open"
RELEASE = "query.release"

MAX_DELIVERIES_BYTES = 2**24
MAX_OPENING_BYTES = 2**21
MAX_RECEIPTS_BYTES = MAX_RECEIPTS * (MAX_ENVELOPE_BYTES + 8) + 64

_DELIVERIES_TAG = b"consortium.deliveries/1\n"
_REQUEST_TAG = b"consortium.sealed-request/1\n"
_SIGNED_REQUEST_TAG = b"consortium.signed-request/1\n"

_CHARTER = "charter"
_LABEL = "label"
_ROSTER = "roster"
_LINEAGE = "lineage"
_EPOCH = "epoch"
_ROUND = "round"
_ATTEMPT = "attempt"
_REPORT = "report"
_RELEASED = "released"

_DELIVERY = "delivery"
_DELIVERIES = "deliveries"
_FINGERPRINT = "fingerprint"
_OPENING = "opening"
_RECEIPTS = "receipts"
_SUMS = "sums"
_STATE = "state"
_COUNT_RECEIPTS = "count-receipts"
_COUNT_SUM = "count-sum"
_UPLOAD = "upload"
_RECEIPT = "receipt"
_COUNT_UPLOAD = "count-upload"
_COUNT_RECEIPT = "count-receipt"
_TALLY = "tally"
_MODEL = "model"
_SIGNATURE = "signature"
_MASKS = "masks"
# Of a reply in a masked run, in the order of the fields.
_MASK_PARTS = {
    "bundle": MAX_BUNDLE_BYTES,
    "terms": MAX_TERMS_BYTES,
    "count-bundle": MAX_BUNDLE_BYTES,
    "count-terms": MAX_TERMS_BYTES,
}
_MASK_PARTS_OF_COUNTS = ("count-bundle", "count-terms")

_NAME_LENGTH = 64
_MAX_NAMES_LENGTH = 2**20


@dataclass(frozen=True, kw_only=True)
class SealedRound:
    """The request of a round: everything that a site needs to take part, without stored state.

    Absent parts are empty bytes.

    Args:
        charter: Fingerprint of the charter, hexadecimal.
        server_round: The requested round; 0 for the statistics.
        attempt: The attempt at this round, from 1.
        report: Whether the site shall also send the sealed state that it computed.
        opening: The run's opening.
        receipts: Receipts of the last round's updates.
        sums: Sums of the last round's updates, bucket by bucket.
        state: The sealed state that those updates were trained from.
        count_receipts: Receipts of the last tallies: in round 1 the statistics, later evaluations.
        count_sum: Sum of these tallies.
        masks: In a masked run the encoded `MaskPart`.
        signature: The coordinator's signature of all this without `report`; empty if the charter
            names no key of the coordinator.
    """

    charter: str
    server_round: int
    attempt: int
    report: bool = False
    opening: bytes
    receipts: bytes = field(default=b"", repr=False)
    sums: bytes = field(default=b"", repr=False)
    state: bytes = field(default=b"", repr=False)
    count_receipts: bytes = field(default=b"", repr=False)
    count_sum: bytes = field(default=b"", repr=False)
    masks: bytes = field(default=b"", repr=False)
    signature: bytes = b""

    @cached_property
    def mask_part(self) -> MaskPart:
        """The part of a masked run; MalformedEnvelope if it is none."""
        return MaskPart.decode(self.masks)

    @cached_property
    def digests(self) -> QuestionDigests:
        """What the coordinator signs; MalformedEnvelope if the charter is no fingerprint."""
        parts = self._parts().values()
        return QuestionDigests.of(self.charter, self.server_round, self.attempt, parts)

    def with_signature(self, sign: Callable[[bytes], bytes]) -> "SealedRound":
        """Return the request, signed by its coordinator."""
        return replace(self, signature=self.digests.sign(sign))

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of what is asked, without `report`: asking for the state is no other question.

        In a masked run it covers who is asked, and not the confirmations: other witnesses that
        confirmed the same set do not make it another question.
        """
        asked = canonical.names(self.mask_part.asked) if self.masks else b""
        return self._digest(self.attempt, asked)

    @cached_property
    def shown(self) -> bytes:
        """SHA-256 of what the request shows: the same in all attempts at a round.

        Of a masked run it covers receipts, which bind what the masks' part says of them.
        """
        return self._digest(0, b"")  # attempts count from 1

    def _digest(self, attempt: int, asked: bytes) -> bytes:
        if self.signature:
            # Of digests that were computed for the signature: no part is hashed a second time.
            parts = self.digests.parts[: len(PARTS)] + ((sha256_of(asked),) if asked else ())
            said = replace(self.digests, attempt=1, parts=parts).encode()
            return hashlib.sha256(_SIGNED_REQUEST_TAG + canonical.number(attempt) + said).digest()
        # As version 0.1.0 has it, whose answers are given again.
        digest = hashlib.sha256(_REQUEST_TAG + canonical.text(self.charter))
        digest.update(canonical.number(self.server_round) + canonical.number(attempt))
        for part in [*self._parts_of_all().values(), *([asked] if asked else [])]:
            digest.update(canonical.number(len(part)))
            digest.update(part)
        return digest.digest()

    def content(self) -> RecordDict:
        """Return the content of the message."""
        arrays = {name: wire.bytes_array(part) for name, part in self._parts().items()}
        if self.signature:
            arrays[_SIGNATURE] = wire.bytes_array(self.signature)
        return wire.content(
            arrays,
            {
                _CHARTER: self.charter,
                _ROUND: self.server_round,
                _ATTEMPT: self.attempt,
                _REPORT: int(self.report),
            },
        )

    @classmethod
    def read(cls, record: RecordDict, *, sums_bytes: int, count_bytes: int) -> "SealedRound":
        """Parse what `content` wrote; raise MalformedRecord for anything else.

        Args:
            record: Received from the coordinator, not trusted.
            sums_bytes: Agreed largest size of the sums, all buckets together.
            count_bytes: Agreed largest size of the sum of tallies.
        """
        optional = {_SIGNATURE, _MASKS} & set(wire.arrays_and_facts(record)[0])
        arrays, facts = wire.read_content(
            record,
            arrays=frozenset(PARTS) | optional,
            facts=frozenset({_CHARTER, _ROUND, _ATTEMPT, _REPORT}),
        )
        bounds = {
            _OPENING: MAX_OPENING_BYTES,
            _RECEIPTS: MAX_RECEIPTS_BYTES,
            _SUMS: sums_bytes,
            _STATE: MAX_STATE_BYTES,
            _COUNT_RECEIPTS: MAX_RECEIPTS_BYTES,
            _COUNT_SUM: count_bytes,
            _SIGNATURE: SIGNATURE_SIZE,
            _MASKS: MAX_MASK_PART_BYTES,
        }
        parts = {
            name: wire.read_bytes(arrays[name], at_most=bound)
            for name, bound in bounds.items()
            if name in arrays
        }
        return cls(
            charter=wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH),
            server_round=wire.fact_int(facts, _ROUND, low=0, high=MAX_ROUND),
            attempt=wire.fact_int(facts, _ATTEMPT, low=1, high=MAX_ATTEMPTS),
            report=bool(wire.fact_int(facts, _REPORT, low=0, high=1)),
            opening=parts[_OPENING],
            receipts=JoinedReceipts(parts[_RECEIPTS]),
            sums=parts[_SUMS],
            state=parts[_STATE],
            count_receipts=JoinedReceipts(parts[_COUNT_RECEIPTS]),
            count_sum=parts[_COUNT_SUM],
            masks=parts.get(_MASKS, b""),
            signature=parts.get(_SIGNATURE, b""),
        )

    def _parts(self) -> dict[str, bytes]:
        """Return the parts that are sent and signed."""
        return self._parts_of_all() | ({_MASKS: self.masks} if self.masks else {})

    def _parts_of_all(self) -> dict[str, bytes]:
        """Return the parts that the questions of all encrypted runs have."""
        values = (
            self.opening,
            self.receipts,
            self.sums,
            self.state,
            self.count_receipts,
            self.count_sum,
        )
        return dict(zip(PARTS, values, strict=True))


@dataclass(frozen=True, kw_only=True)
class SealedReply:
    """A site's reply to a round. Absent parts are empty bytes.

    Args:
        upload: Its sealed update.
        receipt: Receipt of the update.
        count_upload: Its sealed tally.
        count_receipt: Receipt of the tally.
        state: The sealed state that it computed, if requested.
        released: The pooled tally of the last round, if the members release it; else None.
        model: Digest of the model, in the reply to the last round; else empty.
        bundle: In a masked run the shares of the update's own mask, encoded.
        terms: In a masked run the mask terms of the update, encoded.
        count_bundle: As `bundle`, of the tally.
        count_terms: As `terms`, of the tally.
    """

    upload: bytes = field(default=b"", repr=False)
    receipt: bytes = b""
    count_upload: bytes = field(default=b"", repr=False)
    count_receipt: bytes = b""
    state: bytes = field(default=b"", repr=False)
    released: Tally | None = None
    model: bytes = b""
    bundle: bytes = field(default=b"", repr=False)
    terms: bytes = b""
    count_bundle: bytes = field(default=b"", repr=False)
    count_terms: bytes = b""

    def content(self) -> RecordDict:
        """Return the content of the reply."""
        arrays = {
            _UPLOAD: wire.bytes_array(self.upload),
            _RECEIPT: wire.bytes_array(self.receipt),
            _COUNT_UPLOAD: wire.bytes_array(self.count_upload),
            _COUNT_RECEIPT: wire.bytes_array(self.count_receipt),
            _STATE: wire.bytes_array(self.state),
            _MODEL: wire.bytes_array(self.model),
        }
        masks = (self.bundle, self.terms, self.count_bundle, self.count_terms)
        # Which counts are there is told by their own parts, which a round may lack.
        arrays |= {
            name: wire.bytes_array(part)
            for name, part in zip(_MASK_PARTS, masks, strict=True)
            if part or (self.bundle and name in _MASK_PARTS_OF_COUNTS)
        }
        if self.released is not None:
            arrays[_TALLY] = wire.tally_array(self.released)
        return wire.content(arrays, {_RELEASED: int(self.released is not None)})

    @classmethod
    def read(
        cls, record: RecordDict, *, upload_bytes: int, count_bytes: int, tally_size: int
    ) -> "SealedReply":
        """Parse what `content` wrote; raise MalformedRecord for anything else.

        Args:
            record: Received from a site, not trusted.
            upload_bytes: Length of a sealed update.
            count_bytes: Length of a sealed tally.
            tally_size: Entries of a released tally.
        """
        optional = {_TALLY, *_MASK_PARTS} & set(wire.arrays_and_facts(record)[0])
        arrays, facts = wire.read_content(
            record,
            arrays=frozenset(
                {_UPLOAD, _RECEIPT, _COUNT_UPLOAD, _COUNT_RECEIPT, _STATE, _MODEL} | optional
            ),
            facts=frozenset({_RELEASED}),
        )
        released = wire.fact_int(facts, _RELEASED, low=0, high=1)
        masks = {
            name.replace("-", "_"): wire.read_bytes(arrays[name], at_most=bound)
            for name, bound in _MASK_PARTS.items()
            if name in optional
        }
        if bool(released) != (_TALLY in optional):
            raise wire.MalformedRecord(
                "a reply must hold a tally exactly if it says that it releases one"
            )
        return cls(
            upload=wire.read_bytes(arrays[_UPLOAD], at_most=upload_bytes),
            receipt=wire.read_bytes(arrays[_RECEIPT], at_most=MAX_ENVELOPE_BYTES),
            count_upload=wire.read_bytes(arrays[_COUNT_UPLOAD], at_most=count_bytes),
            count_receipt=wire.read_bytes(arrays[_COUNT_RECEIPT], at_most=MAX_ENVELOPE_BYTES),
            state=wire.read_bytes(arrays[_STATE], at_most=MAX_STATE_BYTES),
            released=wire.read_tally(arrays[_TALLY], size=tally_size) if released else None,
            model=wire.read_bytes(arrays[_MODEL], at_most=canonical.DIGEST_SIZE),
            **masks,
        )


def held_epoch(epoch: int, fingerprint: bytes) -> RecordDict:
    """Return a site's answer to `EPOCH`: its current epoch under this charter, 0 if none."""
    return wire.content({_FINGERPRINT: wire.bytes_array(fingerprint)}, {_EPOCH: epoch})


def read_held_epoch(record: RecordDict) -> tuple[int, bytes]:
    """Parse what `held_epoch` wrote; raise MalformedRecord for anything else."""
    arrays, facts = wire.read_content(
        record, arrays=frozenset({_FINGERPRINT}), facts=frozenset({_EPOCH})
    )
    return (
        wire.fact_int(facts, _EPOCH, low=0, high=canonical.MAX_NUMBER),
        wire.read_bytes(arrays[_FINGERPRINT], at_most=canonical.DIGEST_SIZE),
    )


def rotation_request(charter: str, last_epoch: int) -> RecordDict:
    """Return the message `ROTATE`: a request to make the epoch after this one."""
    return wire.content({}, {_CHARTER: charter, _EPOCH: last_epoch})


def read_rotation_request(record: RecordDict) -> tuple[str, int]:
    """Return the charter and last epoch of a `rotation_request`, or raise MalformedRecord."""
    _, facts = wire.read_content(record, arrays=frozenset(), facts=frozenset({_CHARTER, _EPOCH}))
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    return charter, wire.fact_int(facts, _EPOCH, low=0, high=canonical.MAX_NUMBER)


def deliveries(made: Mapping[str, bytes]) -> RecordDict:
    """Return the answer to `ROTATE`: an encoded delivery for each other member."""
    encoded = _DELIVERIES_TAG + canonical.names(sorted(made))
    encoded += b"".join(canonical.blob(made[name]) for name in sorted(made))
    return wire.content({_DELIVERIES: wire.bytes_array(encoded)}, {})


def read_deliveries(record: RecordDict) -> dict[str, bytes]:
    """Parse what `deliveries` wrote, or raise MalformedRecord or MalformedEnvelope."""
    arrays, _ = wire.read_content(record, arrays=frozenset({_DELIVERIES}), facts=frozenset())
    encoded = wire.read_bytes(arrays[_DELIVERIES], at_most=MAX_DELIVERIES_BYTES)
    reader = Reader(encoded, tag=_DELIVERIES_TAG)
    names = reader.names()
    made = {name: reader.blob(at_most=MAX_ENVELOPE_BYTES) for name in names}
    reader.end()
    return made


def delivery(charter: str, encoded: bytes) -> RecordDict:
    """Return the message `DELIVER`."""
    return wire.content({_DELIVERY: wire.bytes_array(encoded)}, {_CHARTER: charter})


def read_delivery(record: RecordDict) -> tuple[str, bytes]:
    """Return the charter and encoded delivery of a `delivery`, or raise MalformedRecord."""
    arrays, facts = wire.read_content(
        record, arrays=frozenset({_DELIVERY}), facts=frozenset({_CHARTER})
    )
    charter = wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH)
    return charter, wire.read_bytes(arrays[_DELIVERY], at_most=MAX_ENVELOPE_BYTES)


def opening_request(charter: str, label: str, roster: Sequence[str], lineage: str) -> RecordDict:
    """Return the message `OPEN`: a request to open a run with this label for these sites."""
    facts = {_CHARTER: charter, _LABEL: label, _ROSTER: ",".join(roster), _LINEAGE: lineage}
    return wire.content({}, facts)


def read_opening_request(record: RecordDict) -> tuple[str, str, tuple[str, ...], str]:
    """Parse the charter, label, roster and lineage of an `opening_request`.

    Raises:
        MalformedRecord: It is anything else.
    """
    _, facts = wire.read_content(
        record, arrays=frozenset(), facts=frozenset({_CHARTER, _LABEL, _ROSTER, _LINEAGE})
    )
    return (
        wire.fact_str(facts, _CHARTER, at_most=_NAME_LENGTH),
        wire.fact_str(facts, _LABEL, at_most=_NAME_LENGTH),
        tuple(wire.fact_str(facts, _ROSTER, at_most=_MAX_NAMES_LENGTH).split(",")),
        wire.fact_str(facts, _LINEAGE, at_most=2 * _NAME_LENGTH),
    )


def opening(encoded: bytes) -> RecordDict:
    """Return the answer to `OPEN`."""
    return wire.content({_OPENING: wire.bytes_array(encoded)}, {})


def read_opening(record: RecordDict) -> bytes:
    """Return the encoded opening of an `opening`, or raise MalformedRecord."""
    arrays, _ = wire.read_content(record, arrays=frozenset({_OPENING}), facts=frozenset())
    return wire.read_bytes(arrays[_OPENING], at_most=MAX_OPENING_BYTES)
