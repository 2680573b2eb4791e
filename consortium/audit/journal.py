"""The evidence: what came and what left, in a log that cannot be altered unseen.

Each site keeps such a log, and the coordinator keeps one. Both name every message by the same
digest, so that one log can be held against the other. No entry holds a value computed from
records: a message is named by a digest that is keyed with a key of the run, which only the two
ends have, and under encryption what is digested is ciphertext anyway.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, RecordDict

from consortium.run.party_directory import PartyDirectory
from privacy.audit.hash_chain import Chain, Fact, LogEvent, LogHead
from privacy.wire import flower_records as wire

LOG = "log.jsonl"
PUBLIC = "public.json"

RUN = "run"
RECEIVED = "received"
SENT = "sent"
SEALED = "sealed"
REFUSED = "refused"
JOINED = "joined"
QUARANTINED = "quarantined"
EXPORTED = "exported"
ROUND = "round"
ENDED = "ended"
LEDGER = "ledger"
STOPPED = "stopped"
ALLOWED = "allowed"

_CONTENT_TAG = b"consortium.audit-content/1\n"
_BOUND = (("upload", "receipt"), ("count-upload", "count-receipt"))
_MOST_WAITING = 128  # some 40 KB of log
_PACKAGES = ("consortium", "sites", "strategies", "privacy")


def content_digest(kind: str, content: RecordDict) -> bytes:
    """Return the SHA-256 of all that a message holds, whatever it holds.

    An upload whose receipt stands beside it is not read again: the receipt is signed, and holds
    the upload's own SHA-256, which who receives it compares.
    """
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
    """Return the name of a message in both logs: its digest, keyed with the key of the run."""
    return hmac.digest(link, digest, "sha256").hex()


def _hash_arrays(digest: "hashlib._Hash", record: ArrayRecord) -> None:
    named = {upload for upload, receipt in _BOUND if receipt in record and record[receipt].data}
    for key in sorted(record):
        array = record[key]
        _hash_text(
            digest, json.dumps([key, array.dtype, array.stype, *array.shape, len(array.data)])
        )
        if key not in named:
            digest.update(array.data)


def _hash_text(digest: "hashlib._Hash", text: str) -> None:
    raw = text.encode()
    digest.update(len(raw).to_bytes(8, "big") + raw)


@lru_cache(maxsize=1)
def package_digest() -> str:
    """Return the SHA-256 of the program that is running: every module that a bundle ships."""
    root = Path(__file__).parents[2]
    digest = hashlib.sha256()
    for path in sorted(one for name in _PACKAGES for one in (root / name).rglob("*.py")):
        _hash_text(digest, path.relative_to(root).as_posix())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(eq=False)
class Journal:
    """A log, and what is waiting to be written to it.

    Guarantee: what was noted is on the disk when `commit` returns, and before it when much is
    waiting: memory does not grow with what is noted.

    Args:
        chain: The log.
    """

    chain: Chain
    _waiting: list[LogEvent] = field(default_factory=list)

    def note(self, kind: str, /, **facts: Fact) -> None:
        """Say what happened; it is written with the next commit, if not before."""
        self._waiting.append(LogEvent(kind, facts))
        if len(self._waiting) >= _MOST_WAITING:
            self.commit()

    def commit(self) -> LogHead:
        """Write what is waiting; return where the log ends then."""
        waiting, self._waiting = self._waiting, []
        return self.chain.append(waiting) if waiting else self.chain.head()


def open_journal(
    directory: Path, *, owner: str, key: bytes, sign: Callable[[bytes], bytes]
) -> Journal:
    """Return the journal in a directory, with its public key beside the log."""
    folder = PartyDirectory(directory).audit
    chain = Chain(folder / LOG, owner=owner, key=key, sign=sign)
    public = folder / PUBLIC
    if not public.exists():
        public.write_text(json.dumps({owner: key.hex()}) + "\n")
    return Journal(chain)


def read_public_keys(log: Path) -> Mapping[str, bytes]:
    """Return the keys that stand beside a log: of whoever wrote it, if nobody else is asked."""
    told = json.loads((log.parent / PUBLIC).read_text())
    return {owner: bytes.fromhex(key) for owner, key in told.items()}


def message_bytes(content: RecordDict) -> int:
    """Return how many bytes of arrays a message carries."""
    return wire.num_bytes(content)


OWNER = "coordinator"
