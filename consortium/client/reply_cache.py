"""The last answer of a site, kept so that work already done is not done again.

A coordinator that died asks for the same round once more. What a site then computes anew would
cost time, and privacy where the training spends any; so it answers what it answered before.
"""

import hashlib
import os
from functools import cached_property
from pathlib import Path

import numpy as np

from consortium.site.directory import SiteDirectory
from privacy.storage.secret_files import make_private_directory
from privacy.wire.messages import Contribution, Position

_TAG = b"consortium.kept-answer/1\n"
_DIGEST = hashlib.sha256().digest_size


class ReplyCache:
    """The answer to one question in the clear.

    Guarantee: a question is the same only if run, round, model and statistics are. The file is
    readable by its owner only, and whole or not there: its content is under a digest.

    Args:
        directory: The site's.
        stands: What the site is asked to train from.
    """

    def __init__(self, directory: Path, stands: Position) -> None:
        self._path = SiteDirectory(directory).last_answer
        self._stands = stands

    def recall(self) -> Contribution | None:
        """Return what was answered to the same question; None if it was not asked before."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        head = _TAG + self._key
        body = data[len(head) : -_DIGEST]
        whole = hashlib.sha256(body).digest() == data[-_DIGEST:]
        return Contribution.decode(body) if whole and data.startswith(head) else None

    def keep(self, sent: Contribution) -> None:
        """Keep an answer in place of the last one, before it is given."""
        make_private_directory(self._path.parent)
        body = sent.encode()
        partial = self._path.with_name(".last.partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for part in (_TAG, self._key, body, hashlib.sha256(body).digest()):
                file.write(part)
        self._path.unlink(missing_ok=True)  # replaced, the disk would be waited for
        partial.replace(self._path)

    @cached_property
    def _key(self) -> bytes:
        """Digest of the question."""
        stands = self._stands
        digest = hashlib.sha256(f"{stands.charter} {stands.run} {stands.server_round}\n".encode())
        digest.update(np.ascontiguousarray(stands.state, "<f4").tobytes())
        digest.update(np.ascontiguousarray(stands.statistics, "<i8").tobytes())
        return digest.digest()
