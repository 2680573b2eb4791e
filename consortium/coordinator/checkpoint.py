"""Where a run stands, on disk: written whole or not at all, after every round."""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally
from privacy.storage.durable_files import replace_atomically
from strategies.coordinator.plaintext.parameters import Progress
from strategies.model_state import State, decode, encode

_MAGIC = b"consortium.checkpoint/1\n"
_LENGTH = struct.Struct("<Q")
_DIGEST = hashlib.sha256().digest_size


class BadCheckpoint(ConsortiumError, ValueError, code="bad-checkpoint"):
    """A file is not a whole checkpoint of this version."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """All that a run needs to go on in another process.

    Args:
        run: Name of the run.
        charter: Fingerprint of the charter.
        config: Digest of the run config.
        layout: Of the federated vector.
        statistics: The pooled statistics.
        state: The model's position and the optimizer's moments.
        score_bins: By which the scores of that state are counted; empty if bins stay the same.
        summed: The sites in the first exact sum; empty before it, and where updates are sent.
    """

    run: str
    charter: str
    config: str
    layout: Layout
    statistics: Tally
    state: State
    score_bins: bytes = b""
    summed: tuple[str, ...] = ()

    @classmethod
    def of(cls, progress: Progress, *, config: str, charter: str) -> "Checkpoint":
        """Return the checkpoint of a run's progress.

        Args:
            progress: How far the run is.
            config: Digest of the run config.
            charter: Fingerprint of the charter.
        """
        return cls(
            run=progress.run,
            charter=charter,
            config=config,
            layout=progress.layout,
            statistics=progress.statistics,
            state=progress.state,
            score_bins=progress.score_bins,
            summed=progress.summed,
        )

    @property
    def progress(self) -> Progress:
        """How far the run is, the inverse of `of`."""
        return Progress(
            run=self.run,
            layout=self.layout,
            statistics=self.statistics,
            state=self.state,
            score_bins=self.score_bins,
            summed=self.summed,
        )


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint at `path`: fsynced, then renamed, so that one is always whole."""
    described = json.dumps(
        {
            "run": checkpoint.run,
            "charter": checkpoint.charter,
            "config": checkpoint.config,
            "layout": checkpoint.layout.describe(),
            "statistics": [int(entry) for entry in checkpoint.statistics],
            "score_bins": checkpoint.score_bins.hex(),
            "summed": checkpoint.summed,
        }
    ).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with replace_atomically(path) as file:
        for part in (
            _MAGIC,
            *_length_and_part(described),
            *_length_and_part(encode(checkpoint.state)),
        ):
            digest.update(part)
            file.buffer.write(part)
        file.buffer.write(digest.digest())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Guarantee: what was read is what was written: its last bytes are the SHA-256 of the others.

    Raises:
        BadCheckpoint: There is none, or it is not a whole one of this version.
    """
    try:
        data = path.read_bytes()
        if not data.startswith(_MAGIC):
            raise BadCheckpoint(f"{path} does not begin like a checkpoint of version 1")
        body, digest = data[:-_DIGEST], data[-_DIGEST:]
        if hashlib.sha256(body).digest() != digest:
            raise BadCheckpoint("it was cut short or altered: its digest is of other bytes")
        described_bytes, rest = _take(body.removeprefix(_MAGIC))
        described = json.loads(described_bytes)
        layout = Layout.from_description(described["layout"])
        state_bytes, _ = _take(rest)
        return Checkpoint(
            run=str(described["run"]),
            charter=str(described["charter"]),
            config=str(described["config"]),
            layout=layout,
            statistics=np.array(described["statistics"], np.int64),
            state=decode(state_bytes, layout.dim),
            # Version 0.1.0 had bins of equal width only.
            score_bins=bytes.fromhex(described.get("score_bins", "")),
            summed=tuple(str(name) for name in described.get("summed", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise BadCheckpoint(f"{path} is not a whole checkpoint: {error}") from error


def _length_and_part(part: bytes) -> tuple[bytes, bytes]:
    return _LENGTH.pack(len(part)), part


def _take(data: bytes) -> tuple[bytes, bytes]:
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    return data[_LENGTH.size : end], data[end:]
