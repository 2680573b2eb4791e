"""The file of an offline run of Weights & Biases: records of Protocol Buffers in a LevelDB log.

The frame is that of https://github.com/google/leveldb/blob/main/doc/log_format.md with another
checksum, and the messages are those of `wandb/proto/wandb_internal.proto` as of wandb 0.31.0.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, TypeAlias

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

    Guarantee: what `append` was given is in the file when it returns, as far as the system says.

    Args:
        file: The file, empty and open for writing bytes; `close` closes it.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._written, self._records = file, 0, 0
        self._write(_SIGNATURE)

    def append(self, fields: Fields) -> None:
        """Append a `Record`, given by its fields other than its number.

        Raises:
            OSError: The system refuses it, such as on a full disk.
        """
        self._records += 1
        content = message({1: self._records, **fields})
        for kind, part in _parts(content, room=self._room()):
            if self._room() < _HEAD.size:
                self._write(bytes(self._room()))
            checksum = zlib.crc32(bytes([kind]) + part)
            self._write(_HEAD.pack(checksum, len(part), kind) + part)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _room(self) -> int:
        return _BLOCK - self._written % _BLOCK

    def _write(self, content: bytes) -> None:
        self._file.write(content)
        self._written += len(content)


def _parts(content: bytes, *, room: int) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a record that fill the room of this block and those after it."""
    at, first = 0, True
    size = room - _HEAD.size if room >= _HEAD.size else _BLOCK - _HEAD.size
    while True:
        part, at = content[at : at + size], at + size
        last = at >= len(content)
        kind = (_WHOLE if last else _FIRST) if first else (_LAST if last else _MIDDLE)
        yield kind, part
        if last:
            return
        first, size = False, _BLOCK - _HEAD.size
