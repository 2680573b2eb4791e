"""The content of a message as bytes, for two processes of one party that share no bus of Flower's.

A hub is two processes: one has the bus to the coordinator, the other the bus to the members.
"""

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from privacy.wire.flower_records import MalformedRecord

_HEAD = struct.Struct(">Q")
_ARRAYS, _CONFIG, _METRICS = "arrays", "config", "metrics"
_BYTES = "bytes"


def encode_content(content: RecordDict) -> bytes:
    """Return a content as bytes: records, arrays and facts in their order, bit for bit."""
    arrays: list[bytes] = []
    described = [_described(name, record, arrays) for name, record in content.items()]
    head = json.dumps(described).encode()
    return b"".join([_HEAD.pack(len(head)), head, *arrays])


def decode_content(data: bytes) -> RecordDict:
    """Return the content that `encode_content` wrote.

    Raises:
        MalformedRecord: It wrote something else, or not all of it is here.
    """
    try:
        (size,) = _HEAD.unpack_from(data)
        head = json.loads(data[_HEAD.size : _HEAD.size + size])
        rest = memoryview(data)[_HEAD.size + size :]
        content = RecordDict(dict(_records(head, rest)))
    except (struct.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise MalformedRecord("these bytes hold no content of a message") from error
    if sum(nbytes for _, kind, said in head if kind == _ARRAYS for *_, nbytes in said) != len(rest):
        raise MalformedRecord("these bytes hold more or less than the content of a message")
    return content


def _described(name: str, record: object, arrays: list[bytes]) -> list[Any]:
    if isinstance(record, ArrayRecord):
        arrays += [array.data for array in record.values()]
        said: Any = [
            [key, array.dtype, [*array.shape], array.stype, len(array.data)]
            for key, array in record.items()
        ]
        return [name, _ARRAYS, said]
    if isinstance(record, ConfigRecord):
        return [name, _CONFIG, [[key, _fact(value)] for key, value in record.items()]]
    if isinstance(record, MetricRecord):
        return [name, _METRICS, [[key, value] for key, value in record.items()]]
    raise MalformedRecord("a message must hold arrays, facts and figures only")


def _records(head: Any, rest: memoryview) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 -- JSON
    at = 0
    for name, kind, said in head:
        if kind == _ARRAYS:
            arrays = {}
            for key, dtype, shape, stype, nbytes in said:
                data = bytes(rest[at : at + nbytes])
                arrays[key] = Array(dtype=dtype, shape=tuple(shape), stype=stype, data=data)
                at += nbytes
            yield name, ArrayRecord(arrays)
        elif kind == _CONFIG:
            yield name, ConfigRecord({key: _fact_of(value) for key, value in said})
        else:
            yield name, MetricRecord(dict(said))


def _fact(value: Any) -> Any:  # noqa: ANN401 -- what a ConfigRecord holds
    """Return a fact as JSON can say it: bytes, alone or in a list, as text in an object."""
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    return [_fact(one) for one in value] if isinstance(value, list) else value


def _fact_of(said: Any) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(said, dict):
        try:
            return base64.b64decode(said[_BYTES], validate=True)
        except binascii.Error as error:
            raise MalformedRecord("these bytes hold no content of a message") from error
    return [_fact_of(one) for one in said] if isinstance(said, list) else said
