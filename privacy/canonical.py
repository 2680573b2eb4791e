"""Canonical encoding: one value has one encoding, and the reader trusts no length in the data.

Every encoding starts with a tag that names its type and version. A tag ends with a newline, so no
tag is a prefix of another: bytes that were signed as one type can never be read as another.
"""

import re
from collections.abc import Sequence

from privacy.errors import ConsortiumError

DIGEST_SIZE = 32
MAX_NUMBER = 2**63 - 1
MAX_NAMES = 1024

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,127}")


class MalformedEnvelope(ConsortiumError, ValueError, code="malformed-envelope"):
    """Bytes, or values to be encoded, do not have the agreed form."""


def text(value: str) -> bytes:
    """Encode a name, at most 255 bytes of ASCII: its length in one byte, then the name."""
    raw = value.encode("ascii")
    return len(raw).to_bytes(1, "big") + raw


def number(value: int) -> bytes:
    """Encode a whole number from 0 to `MAX_NUMBER` as 8 big-endian bytes."""
    return value.to_bytes(8, "big")


def blob(data: bytes) -> bytes:
    """Encode bytes: their length as a `number`, then the bytes."""
    return number(len(data)) + data


def names(values: Sequence[str]) -> bytes:
    """Encode at most `MAX_NAMES` names: their count, then each as `text`."""
    return number(len(values)) + b"".join(text(value) for value in values)


def require_name(what: str, value: str) -> None:
    """Check for a name: a lower-case letter, then lower-case letters, digits, `_`, `.` or `-`.

    Raises:
        MalformedEnvelope: The value is not a name, or is longer than 128 characters.
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise MalformedEnvelope(f"{what} must be a lower-case name of at most 128 characters")


def require_names(what: str, values: Sequence[str]) -> None:
    """Check that names are distinct and sorted, so that one set has one encoding.

    Raises:
        MalformedEnvelope: They are not, one is not a name, or there are more than `MAX_NAMES`.
    """
    if len(values) > MAX_NAMES:
        raise MalformedEnvelope(f"{what} holds at most {MAX_NAMES} names", came=len(values))
    for value in values:
        require_name(what, value)
    if list(values) != sorted(set(values)):
        raise MalformedEnvelope(f"{what} must be distinct names in alphabetical order")


def require_number(what: str, value: int, *, low: int = 0, high: int = MAX_NUMBER) -> None:
    """Check for a whole number from `low` to `high`.

    Raises:
        MalformedEnvelope: The value is not a whole number, or is out of range.
    """
    # `type`, not `isinstance`: True is an int, and would encode as the number 1.
    if type(value) is not int or not low <= value <= high:
        raise MalformedEnvelope(f"{what} must be a whole number from {low} to {high}")


def require_bytes(what: str, data: bytes, *, low: int, high: int) -> None:
    """Check for `low` to `high` bytes.

    Raises:
        MalformedEnvelope: There are fewer or more, or the value is not bytes.
    """
    if not isinstance(data, bytes) or not low <= len(data) <= high:
        raise MalformedEnvelope(f"{what} must be {low} to {high} bytes")


def require_digest(what: str, data: bytes) -> None:
    """Check for bytes as long as a SHA-256 digest.

    Raises:
        MalformedEnvelope: The length is another.
    """
    require_bytes(what, data, low=DIGEST_SIZE, high=DIGEST_SIZE)


class Reader:
    """Reads untrusted bytes from front to back.

    Guarantee: nothing is copied before its length is known to be at most the agreed length and
    at most the number of bytes left. Every error is a `MalformedEnvelope`.

    Args:
        data: The bytes as they were received.
        tag: The tag they must start with.

    Raises:
        MalformedEnvelope: The bytes start with something else.
    """

    def __init__(self, data: bytes, *, tag: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0
        if self.fixed_bytes(len(tag)) != tag:
            raise MalformedEnvelope(f"these bytes are not a {tag.decode().rstrip()}")

    def fixed_bytes(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self._position + size
        if end > len(self._data):
            raise MalformedEnvelope(
                f"{size} more bytes were announced, {self._left} are left",
                needed=size,
                came=self._left,
            )
        part = bytes(self._data[self._position : end])
        self._position = end
        return part

    def number(self) -> int:
        """Return the next whole number. The caller checks its range."""
        return int.from_bytes(self.fixed_bytes(8), "big")

    def digest(self) -> bytes:
        """Return the next 32 bytes."""
        return self.fixed_bytes(DIGEST_SIZE)

    def text(self) -> str:
        """Return the next name. The caller checks its pattern."""
        raw = self.fixed_bytes(self.fixed_bytes(1)[0])
        if not raw.isascii():
            raise MalformedEnvelope("a name must be ASCII")
        return raw.decode("ascii")

    def names(self) -> tuple[str, ...]:
        """Return the next list of names, at most `MAX_NAMES`."""
        count = self.number()
        if count > MAX_NAMES:
            raise MalformedEnvelope(f"at most {MAX_NAMES} names were agreed", at_most=MAX_NAMES)
        return tuple(self.text() for _ in range(count))

    def blob(self, *, at_most: int) -> bytes:
        """Return the next `blob`, at most `at_most` bytes."""
        size = self.number()
        if size > at_most:
            raise MalformedEnvelope(f"at most {at_most} bytes were agreed", at_most=at_most)
        return self.fixed_bytes(size)

    def rest(self, *, at_most: int) -> bytes:
        """Return everything that is left, at most `at_most` bytes."""
        if self._left > at_most:
            raise MalformedEnvelope(f"at most {at_most} bytes were agreed", at_most=at_most)
        return self.fixed_bytes(self._left)

    def end(self) -> None:
        """Check that every byte was read: an encoding has no trailing bytes."""
        if self._left:
            raise MalformedEnvelope(f"{self._left} bytes are left over at the end", came=self._left)

    @property
    def _left(self) -> int:
        return len(self._data) - self._position
