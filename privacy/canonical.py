"""Canonical bytes: one value has one encoding, and reading trusts no length it is told.

Every form starts with a tag that names what it is and its version, ends with a newline, and
so is no prefix of another tag: bytes signed as one thing can never be read as another.
"""

import re
from collections.abc import Sequence

from privacy.errors import ConsortiumError

DIGEST_SIZE = 32
MAX_NUMBER = 2**63 - 1
MAX_NAMES = 1024

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,127}")


class MalformedEnvelope(ConsortiumError, ValueError):
    """Bytes, or the values meant for them, do not have the agreed form."""

    code = "malformed-envelope"


def text(value: str) -> bytes:
    """Return a name, at most 255 bytes of ASCII, behind its length."""
    raw = value.encode("ascii")
    return len(raw).to_bytes(1, "big") + raw


def number(value: int) -> bytes:
    """Return a whole number from 0 to `MAX_NUMBER` as 8 bytes."""
    return value.to_bytes(8, "big")


def blob(data: bytes) -> bytes:
    """Return bytes behind their length."""
    return number(len(data)) + data


def names(values: Sequence[str]) -> bytes:
    """Return names, at most `MAX_NAMES`, behind their number."""
    return number(len(values)) + b"".join(text(value) for value in values)


def require_name(what: str, value: str) -> None:
    """Refuse a value that is no name: a lower-case letter, then letters, digits, `_`, `.`, `-`.

    Raises:
        MalformedEnvelope: It is none, or longer than 128 characters.
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise MalformedEnvelope(f"{what} must be a lower-case name of at most 128 characters")


def require_names(what: str, values: Sequence[str]) -> None:
    """Refuse names that are not distinct and in order, so that one set has one encoding.

    Raises:
        MalformedEnvelope: They are not, one is no name, or there are more than `MAX_NAMES`.
    """
    if len(values) > MAX_NAMES:
        raise MalformedEnvelope(f"{what} holds at most {MAX_NAMES} names", came=len(values))
    for value in values:
        require_name(what, value)
    if list(values) != sorted(set(values)):
        raise MalformedEnvelope(f"{what} must be distinct names in alphabetical order")


def require_number(what: str, value: int, *, low: int = 0, high: int = MAX_NUMBER) -> None:
    """Refuse a value that is no whole number from `low` to `high`.

    Raises:
        MalformedEnvelope: It is none, or out of range.
    """
    if type(value) is not int or not low <= value <= high:
        raise MalformedEnvelope(f"{what} must be a whole number from {low} to {high}")


def require_bytes(what: str, data: bytes, *, low: int, high: int) -> None:
    """Refuse bytes that are fewer than `low` or more than `high`.

    Raises:
        MalformedEnvelope: They are, or they are no bytes.
    """
    if not isinstance(data, bytes) or not low <= len(data) <= high:
        raise MalformedEnvelope(f"{what} must be {low} to {high} bytes")


def require_digest(what: str, data: bytes) -> None:
    """Refuse bytes that are not as long as a SHA-256 digest.

    Raises:
        MalformedEnvelope: They are not.
    """
    require_bytes(what, data, low=DIGEST_SIZE, high=DIGEST_SIZE)


class Reader:
    """Takes untrusted bytes apart, front to back.

    Guarantee: nothing is copied before its length was found to be at most what was agreed and
    at most what is there; whatever is wrong is a `MalformedEnvelope`.

    Args:
        data: The bytes, as they came.
        tag: What they must start with.

    Raises:
        MalformedEnvelope: They start with something else.
    """

    def __init__(self, data: bytes, *, tag: bytes) -> None:
        self._data = memoryview(data)
        self._position = 0
        if self.fixed(len(tag)) != tag:
            raise MalformedEnvelope(f"these bytes are no {tag.decode().rstrip()}")

    def fixed(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self._position + size
        if end > len(self._data):
            raise MalformedEnvelope(
                f"{size} more bytes were announced and {self._left} are there",
                needed=size,
                came=self._left,
            )
        part = bytes(self._data[self._position : end])
        self._position = end
        return part

    def number(self) -> int:
        """Return the next whole number; its range is the business of who asked."""
        return int.from_bytes(self.fixed(8), "big")

    def digest(self) -> bytes:
        """Return the next 32 bytes."""
        return self.fixed(DIGEST_SIZE)

    def text(self) -> str:
        """Return the next name; its pattern is the business of who asked."""
        raw = self.fixed(self.fixed(1)[0])
        if not raw.isascii():
            raise MalformedEnvelope("a name holds ASCII only")
        return raw.decode("ascii")

    def names(self) -> tuple[str, ...]:
        """Return the next list of names, at most `MAX_NAMES`."""
        count = self.number()
        if count > MAX_NAMES:
            raise MalformedEnvelope(f"at most {MAX_NAMES} names were agreed", at_most=MAX_NAMES)
        return tuple(self.text() for _ in range(count))

    def blob(self, *, at_most: int) -> bytes:
        """Return the next bytes behind a length, at most `at_most` of them."""
        size = self.number()
        if size > at_most:
            raise MalformedEnvelope(f"at most {at_most} bytes were agreed", at_most=at_most)
        return self.fixed(size)

    def rest(self, *, at_most: int) -> bytes:
        """Return everything that is left, at most `at_most` bytes."""
        if self._left > at_most:
            raise MalformedEnvelope(f"at most {at_most} bytes were agreed", at_most=at_most)
        return self.fixed(self._left)

    def end(self) -> None:
        """Refuse bytes that nobody asked for."""
        if self._left:
            raise MalformedEnvelope(f"{self._left} bytes too many", came=self._left)

    @property
    def _left(self) -> int:
        return len(self._data) - self._position
