"""The file of an offline run of Weights & Biases: records of Protocol Buffers in a LevelDB log.

The frame is that of https://github.com/google/leveldb/blob/main/doc/log_format.md with another
checksum, and the messages are those of `wandb/proto/wandb_internal.proto` as of wandb 0.31.0.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

_SIGNATURE = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
_BLOCK = 32768
_HEAD = struct.Struct("<IHB")  # checksum, length, kind
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4

Fields: TypeAlias = Mapping[int, int | str | bytes | list[bytes]]


def message(fields: Fields) -> bytes:
    """Return a message of Protocol Buffers, by the numbers of its fields.

    Args:
        fields: An integer of at least 0, a text, a message, or messages of a field that repeats.
    """
    parts: list[bytes] = []
    for number, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            parts.append(_field(number, one))
    return b"".join(parts)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    content = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class RecordLog:
    """Appends records to a new file.

    Guarantee: what `append` was given is in the file when it returns. Between two calls the file is
    not open: nothing is left to write when a tracker is dropped.

    Args:
        path: The file, which may not be there yet.

    Raises:
        OSError: The system refuses the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._records = path, 0
        self._written = len(_SIGNATURE)
        with path.open("xb") as file:
            file.write(_SIGNATURE)

    def append(self, fields: Fields) -> None:
        """Append a `Record`, given by its fields other than its number.

        Raises:
            OSError: The system refuses it, such as on a full disk.
        """
        self._records += 1
        content = message({1: self._records, **fields})
        framed = b"".join(_framed(content, room=_BLOCK - self._written % _BLOCK))
        with self._path.open("ab") as file:
            file.write(framed)
        self._written += len(framed)


def _framed(content: bytes, *, room: int) -> Iterator[bytes]:
    """Yield what a record adds to a log that has this room, in bytes, in its last block."""
    if room < _HEAD.size:
        yield bytes(room)
        room = _BLOCK
    for kind, part in _parts(content, size=room - _HEAD.size):
        yield _HEAD.pack(zlib.crc32(bytes([kind]) + part), len(part), kind) + part


def _parts(content: bytes, *, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a record, each with its kind; the first holds at most `size` bytes."""
    at, first = 0, True
    while True:
        part, at = content[at : at + size], at + size
        last = at >= len(content)
        kind = (_WHOLE if last else _FIRST) if first else (_LAST if last else _MIDDLE)
        yield kind, part
        if last:
            return
        first, size = False, _BLOCK - _HEAD.size
