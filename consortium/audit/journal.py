"""The audit journal: every message that was received or sent, in a tamper-evident log.

Each site keeps a log, and so does the coordinator. Both name a message by the same digest, so that
the logs can be compared. No entry holds a value computed from records: the digest of a message is
keyed with a key of the run that only the two ends have. In an encrypted run, the digest is of
ciphertext anyway.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from consortium.run.party_directory import LOG_FILE, PartyDirectory
from privacy.audit.hash_chain import AuditLogUnavailable, Chain, Fact, LogEvent, LogHead
from privacy.protocol.part_digests import sha256_of
from privacy.storage.durable_files import write_atomically

if TYPE_CHECKING:
    from flwr.app import ArrayRecord, RecordDict

LOG = LOG_FILE
PUBLIC = "public.json"

RUN = "run"
RECEIVED = "received"
SENT = "sent"
SEALED = "sealed"
REFUSED = "refused"
REFUSED_TOGETHER = "refused-together"  # without entries of their own
JOINED = "joined"
QUARANTINED = "quarantined"
EXPORTED = "exported"
ROUND = "round"
ENDED = "ended"
LEDGER = "ledger"
STOPPED = "stopped"
ALLOWED = "allowed"
SHOWN = "shown"
SPOILED = "spoiled"
RECOUNTED = "recounted"
FORGOTTEN = "forgotten"  # masked runs, whose secrets the operator deleted
ACCEPTED = "accepted"  # a finding in the records, which the operator said is right
STATISTICS_CHANGED = "statistics-changed"
CONFIRMED = "confirmed"  # a set of uploads with its sums, in a masked run
LEFT_OUT = "left-out"  # this site's answer, of what a masked run opens

_CONTENT_TAG = b"consortium.audit-content/1\n"
_SIGNATURE = "signature"
_BOUND = (("upload", "receipt"), ("count-upload", "count-receipt"))
_MOST_WAITING = 128  # about 40 KB of log


def content_digest(kind: str, content: "RecordDict") -> bytes:
    """Return the SHA-256 of the whole content of a message.

    The bytes of an upload with a receipt beside it are left out: the signed receipt holds the
    upload's SHA-256, which the receiver compares. The arrays of a question that its coordinator
    signed enter by the SHA-256 of each, which the signature covers. So neither is hashed twice.
    """
    # Flower takes a third of a second to load, and commands that show a log need no message.
    from flwr.app import ArrayRecord, ConfigRecord

    digest = hashlib.sha256(_CONTENT_TAG)
    _hash_text(digest, kind)
    for name in sorted(content):
        record = content[name]
        _hash_text(digest, name)
        if isinstance(record, ArrayRecord):
            _hash_arrays(digest, record)
        elif isinstance(record, ConfigRecord):
            _hash_text(digest, json.dumps(sorted((key, repr(record[key])) for key in record)))
    return digest.digest()


def link_digest(link: bytes, digest: bytes) -> str:
    """Return the name of a message in both logs: its digest, keyed with the run's key (HMAC)."""
    return hmac.digest(link, digest, "sha256").hex()


def _hash_arrays(digest: "hashlib._Hash", record: "ArrayRecord") -> None:
    named = {upload for upload, receipt in _BOUND if receipt in record and record[receipt].data}
    signed = _SIGNATURE in record
    for key in sorted(record):
        array = record[key]
        _hash_text(
            digest, json.dumps([key, array.dtype, array.stype, *array.shape, len(array.data)])
        )
        if key not in named:
            digest.update(sha256_of(array.data) if signed else array.data)


def _hash_text(digest: "hashlib._Hash", text: str) -> None:
    raw = text.encode()
    digest.update(len(raw).to_bytes(8, "big") + raw)


@dataclass(eq=False)
class Journal:
    """A log, and the events that wait to be written to it.

    Guarantee: all noted events are on disk when `commit` returns. When many events wait, they are
    written earlier, so memory does not grow with their number.

    Args:
        chain: The log.
    """

    chain: Chain
    _waiting: list[LogEvent] = field(default_factory=list)

    def note(self, kind: str, /, **facts: Fact) -> None:
        """Note an event. It is written with the next commit at the latest."""
        self._waiting.append(LogEvent(kind, facts))
        if len(self._waiting) >= _MOST_WAITING:
            self.commit()

    def commit(self) -> LogHead:
        """Write the waiting events to disk; return the new head of the log."""
        waiting, self._waiting = self._waiting, []
        return self.chain.append(waiting) if waiting else self.chain.head()


def open_journal(
    directory: Path, *, owner: str, key: bytes, sign: Callable[[bytes], bytes]
) -> Journal:
    """Open the journal in a directory, and write its public key beside the log if it is missing."""
    folder = PartyDirectory(directory).audit
    chain = Chain(folder / LOG, owner=owner, key=key, sign=sign)
    public = folder / PUBLIC
    if not public.exists():
        write_atomically(public, json.dumps({owner: key.hex()}) + "\n")
    return Journal(chain)


def read_public_keys(log: Path) -> Mapping[str, bytes]:
    """Read the public keys beside a log. They are as trustworthy as the source of the log.

    Raises:
        AuditLogUnavailable: There are none, or they cannot be read.
    """
    path = log.parent / PUBLIC
    try:
        told = json.loads(path.read_bytes())
        return {str(owner): bytes.fromhex(key) for owner, key in told.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise AuditLogUnavailable(
            f"the log {log} cannot be checked: {path}, which holds its owner's key, cannot be read"
        ) from error


OWNER = "coordinator"
