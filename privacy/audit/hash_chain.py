"""A tamper-evident log: entries chained by hashes, batches signed at their end.

A line is `{"entry":{...},"hash":"..."}`, and `"signature":"..."` in the last line of a batch. The
hash covers the bytes of the entry, and the entry holds the hash of the entry before it; the
signature covers the hash. So a line that is changed, removed, added or moved breaks the chain at
that line. If lines are cut off at the end of a batch, the rest is still a whole chain. Only a peer
that knows a later head detects that, so every message tells one (see `consortium.audit.journal`).
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from privacy.errors import ConsortiumError
from privacy.storage.deferred_sync import deferral_of
from privacy.storage.durable_files import sync_directory
from privacy.storage.secret_files import make_private_directory

VERSION = 1
OPENED = "opened"
NO_HASH = "0" * 64

_HASH_TAG = b"consortium.audit-entry/1\n"
_HEAD_TAG = b"consortium.audit-head/1\n"
_LINE = re.compile(
    rb'\{"entry":(\{.*\}),"hash":"([0-9a-f]{64})"(?:,"signature":"([0-9a-f]{128})")?\}'
)
_TAIL = 65_536
_KEYS = {"at", "facts", "kind", "n", "previous", "v"}

Fact: TypeAlias = str | int | bool
PublicKeys: TypeAlias = Mapping[str, bytes]


class AuditChainBroken(ConsortiumError, ValueError, code="audit-chain-broken"):
    """A log is not what its owner wrote.

    Args:
        message: What is wrong.
        line: Number of the first wrong line, from 1.
        log: Which log it is, in words, where several were read.
    """

    def __init__(self, message: str, *, line: int, log: str = "") -> None:
        super().__init__(f"{log and log + ', '}line {line}: {message}", line=line)
        self.line, self.reason = line, message

    def named(self, log: str) -> "AuditChainBroken":
        """Return the same, with which log it is."""
        return AuditChainBroken(self.reason, line=self.line, log=log)


class AuditLogUnavailable(ConsortiumError, RuntimeError, code="audit-log-unavailable"):
    """A log cannot be written or read. Without its log a site answers nothing."""


@dataclass(frozen=True)
class LogEvent:
    """Something that happened. It never holds a value computed from records.

    Args:
        kind: What happened, in kebab case.
        facts: Names, counts of messages and bytes, and digests of public data or keyed ones.
    """

    kind: str
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class LogHead:
    """The end of a log.

    Args:
        entries: Number of entries in the log.
        hash: Hash of the last entry, hexadecimal.
    """

    entries: int = 0
    hash: str = NO_HASH


@dataclass(frozen=True)
class Entry:
    """One line of a log whose chain is whole.

    Args:
        number: Number of the entry, from 1.
        at: When it was written, by its owner's clock.
        event: What happened.
        previous: Hash of the entry before it.
        hash: Hash of this entry.
        signed: Whether the line carries a signature.
    """

    number: int
    at: str
    event: LogEvent
    previous: str
    hash: str
    signed: bool


class Chain:
    """A log open for appending.

    Guarantee: when `append` returns, all its entries are on the disk, behind those of any earlier
    writer, in this process or another. Within `deferred_syncs` they are there when it ends. A
    process that dies in an append leaves whole entries and perhaps a part of one. The next append
    cuts that part off and records that it did.

    Args:
        path: The file. Its directory is created with mode 0700 if it does not exist.
        owner: Name of the member whose log it is.
        key: The owner's public Ed25519 key, 32 bytes.
        sign: Signs with the owner's private key.
        now: Returns the current time; a test may pass its own.

    Attributes:
        path: The file.
        synced_size: So many of its bytes this object synced to the disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        owner: str,
        key: bytes,
        sign: Callable[[bytes], bytes],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        make_private_directory(path.parent)
        self.key, self.sign, self._owner, self._now = key, sign, owner, now
        self.path, self.synced_size = path, 0
        self._head, self._size = LogHead(), -1
        with _unavailable_on_error(path):
            is_new = not path.exists()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            self._file = os.open(path, flags, 0o600)
            if is_new:
                sync_directory(path.parent)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def head(self) -> LogHead:
        """Return the current head of the log.

        Raises:
            AuditChainBroken: The last line is not an entry that this program wrote.
        """
        with self._exclusive_lock():
            return self._head

    def append(self, events: Sequence[LogEvent]) -> LogHead:
        """Append events as one batch, signed at its end; return the new head.

        Raises:
            AuditChainBroken: The last line is not an entry that this program wrote.
            AuditLogUnavailable: The file cannot be written.
        """
        with self._exclusive_lock() as dropped:
            lines, head = self._lines([*dropped, *events])
            # One write for the whole batch: its signature is in its last line, so a batch that is
            # cut off leaves an unsigned or unfinished line, never a shorter batch that is valid.
            if os.write(self._file, lines) != len(lines):
                raise AuditLogUnavailable(f"the log {self.path} cannot be written whole")
            # Only after the sync may a caller act on the entries, for example send an answer.
            is_synced = deferral_of(self.path) is None
            if is_synced:
                os.fsync(self._file)
            self._head, self._size = head, self._size + len(lines)
            self.synced_size = self._size if is_synced else self.synced_size
            return head

    def _lines(self, events: Sequence[LogEvent]) -> tuple[bytes, LogHead]:
        if self._head.entries == 0:
            facts = {"owner": self._owner, "key": self.key.hex(), "log": os.urandom(16).hex()}
            events = [LogEvent(OPENED, facts), *events]
        head, lines = self._head, []
        at = self._now().isoformat(timespec="milliseconds")
        for event in events:
            body = _body(event, number=head.entries + 1, previous=head.hash, at=at)
            head = LogHead(head.entries + 1, _hash(body))
            lines.append(b'{"entry":%b,"hash":"%b"}' % (body, head.hash.encode()))
        if lines:
            signature = self.sign(_HEAD_TAG + bytes.fromhex(head.hash)).hex().encode()
            lines[-1] = lines[-1][:-1] + b',"signature":"%b"}' % signature
        return b"".join(line + b"\n" for line in lines), head

    @contextmanager
    def _exclusive_lock(self) -> Iterator[list[LogEvent]]:
        """Lock out all other writers; yield the events that record an unfinished line, if any."""
        with _unavailable_on_error(self.path):
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                size = os.fstat(self._file).st_size
                yield [] if size == self._size else self._catch_up(size)
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self, size: int) -> list[LogEvent]:
        """Read the head from the end of the file; cut off a line that was never finished."""
        # An entry is far smaller than the tail; `verified_entries` checks the rest of the log.
        tail = os.pread(self._file, min(size, _TAIL), max(size - _TAIL, 0))
        whole = tail.rfind(b"\n") + 1
        unfinished = len(tail) - whole
        if unfinished:
            # The writer died before its sync returned, so nobody was told of this line.
            os.ftruncate(self._file, size - unfinished)
        self._size = size - unfinished
        lines = tail[:whole].splitlines()
        if not lines:
            if self._size:
                raise AuditChainBroken("the last line has no end", line=1)
            self._head = LogHead()
        else:
            last, _ = _parse_line(lines[-1], line=len(lines))
            self._head = LogHead(last.number, last.hash)
        return [LogEvent("recovered", {"bytes": unfinished})] if unfinished else []


def verified_entries(
    path: Path, public_keys: PublicKeys, *, known: Iterable[LogHead] = ()
) -> Iterator[Entry]:
    """Yield the entries of a log, each once the chain up to it was checked.

    Guarantee: whoever has read to the end knows that the log is whole and its owner wrote it.

    Args:
        path: The log.
        public_keys: Names of the possible owners, each with its public key, 32 bytes.
        known: Heads of this log that were told to somebody else.

    Raises:
        AuditChainBroken: A line was changed, removed, added or moved; the owner did not sign it;
            or a known head is missing: the end was cut off, or it is another log.
        AuditLogUnavailable: The log cannot be read.
    """
    heads = {head.entries: head.hash for head in known if head.entries}
    last: Entry | None = None
    key: Ed25519PublicKey | None = None
    with _unavailable_on_error(path), path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.endswith(b"\n"):
                raise AuditChainBroken("the line was never finished", line=number)
            entry, signature = _parse_line(raw[:-1], line=number)
            _require_next(entry, last, line=number)
            key = key or _key_of(entry, public_keys)
            if signature is not None:
                _require_signed(entry, signature, key)
            if heads.pop(number, entry.hash) != entry.hash:
                raise AuditChainBroken("a peer was told another hash for this line", line=number)
            last = entry
            yield entry
    _require_end(last, heads)


def _require_next(entry: Entry, last: Entry | None, *, line: int) -> None:
    if entry.number != line:
        raise AuditChainBroken(f"entry {line} was expected, got entry {entry.number}", line=line)
    if entry.previous != (last.hash if last else NO_HASH):
        raise AuditChainBroken("it does not hold the hash of the line before it", line=line)
    if (entry.event.kind == OPENED) != (last is None):
        raise AuditChainBroken("an opening entry must be the first line, and only that", line=line)


def _require_end(last: Entry | None, heads: Mapping[int, str]) -> None:
    if last is None:
        raise AuditChainBroken("the log is empty", line=1)
    if not last.signed:
        raise AuditChainBroken("the last line is not signed", line=last.number)
    if heads:
        missing = f"the end is cut off: a peer was told of line {max(heads)}"
        raise AuditChainBroken(missing, line=last.number + 1)


def _key_of(entry: Entry, public_keys: PublicKeys) -> Ed25519PublicKey:
    owner, key = entry.event.facts.get("owner"), entry.event.facts.get("key")
    expected = public_keys.get(str(owner))
    if expected is None or expected.hex() != key:
        raise AuditChainBroken(f"it is not the log of any of {sorted(public_keys)}", line=1)
    return Ed25519PublicKey.from_public_bytes(expected)


def _require_signed(entry: Entry, signature: bytes, key: Ed25519PublicKey) -> None:
    try:
        key.verify(signature, _HEAD_TAG + bytes.fromhex(entry.hash))
    except InvalidSignature as error:
        raise AuditChainBroken("the signature is not its owner's", line=entry.number) from error


def _body(event: LogEvent, *, number: int, previous: str, at: str) -> bytes:
    fields = {
        "at": at,
        "facts": dict(event.facts),
        "kind": event.kind,
        "n": number,
        "previous": previous,
        "v": VERSION,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def _hash(body: bytes) -> str:
    return hashlib.sha256(_HASH_TAG + body).hexdigest()


def _parse_line(raw: bytes, *, line: int) -> tuple[Entry, bytes | None]:
    """Return the entry of a line, after checking its hash, and the signature on it if any."""
    found = _LINE.fullmatch(raw)
    if found is None:
        raise AuditChainBroken("it does not have the form of a log line", line=line)
    body, stated_hash, signature = found.groups()
    if _hash(body) != stated_hash.decode():
        raise AuditChainBroken("its hash does not match its entry", line=line)
    fields = _parse_body(body, line=line)
    entry = Entry(
        number=fields["n"],
        at=fields["at"],
        event=LogEvent(fields["kind"], fields["facts"]),
        previous=fields["previous"],
        hash=stated_hash.decode(),
        signed=signature is not None,
    )
    return entry, bytes.fromhex(signature.decode()) if signature else None


def _parse_body(body: bytes, *, line: int) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AuditChainBroken("its entry cannot be read", line=line) from error
    if set(fields) != _KEYS or fields["v"] != VERSION or not isinstance(fields["facts"], dict):
        raise AuditChainBroken(f"it is not an entry of version {VERSION}", line=line)
    return dict(fields)


@contextmanager
def _unavailable_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AuditLogUnavailable(f"the log {path} is not available: {error.strerror}") from error
