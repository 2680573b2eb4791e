import hashlib
from pathlib import Path

import numpy as np
import pytest

from consortium.config import RunConfig
from consortium.coordinator.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from privacy.layout import Field, Layout
from scenarios.library.registry import SCENARIOS
from strategies import model_state
from strategies.coordinator.plaintext.parameters import Progress
from strategies.server_optimizer import OPTIMIZERS, OptimizerOptions

LAYOUT = Layout(fields=(Field("w", (3, 2)), Field("b", (2,))), start="seed 7")


def checkpoint() -> Checkpoint:
    optimizer = OPTIMIZERS["adam"](OptimizerOptions())
    state = model_state.initial_state(LAYOUT.dim, optimizer)
    state = model_state.advance_with(state, np.arange(8.0), optimizer)
    progress = Progress(
        run="run-1",
        layout=LAYOUT,
        statistics=np.array([1, -2, 2**40]),
        state=state,
        summed=("east", "west"),
    )
    charter = SCENARIOS["bank-credit"].charter
    return Checkpoint.of(progress, config=RunConfig().digest, charter=charter.fingerprint)


def test_a_checkpoint_is_read_as_it_was_written_and_replaces_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "coordinator" / "checkpoint.bin"
    written = checkpoint()
    for _ in range(2):
        write_checkpoint(path, written)
    read = read_checkpoint(path)
    assert (read.charter, read.config, read.layout) == (
        written.charter,
        written.config,
        written.layout,
    )
    assert np.array_equal(read.statistics, written.statistics)
    assert model_state.encode(read.state) == model_state.encode(written.state)
    assert read.progress.summed == ("east", "west")
    assert [item.name for item in path.parent.iterdir()] == ["checkpoint.bin"]


def test_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.bin"
    write_checkpoint(path, checkpoint())
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint):
            read_checkpoint(path)
    with pytest.raises(BadCheckpoint):
        read_checkpoint(tmp_path / "absent")


def test_a_checkpoint_with_any_byte_altered_or_added_is_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.bin"
    write_checkpoint(path, checkpoint())
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(BadCheckpoint):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(BadCheckpoint):
        read_checkpoint(path)


def with_its_digest(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    "after",
    [b"", b"\x02" + bytes(7) + b"{}", b"\xff" * 8, b"\x02" + bytes(7) + b"[]" + bytes(8)],
)
def test_bytes_with_a_right_digest_and_nothing_else_are_no_checkpoint(
    after: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "checkpoint.bin"
    path.write_bytes(with_its_digest(b"consortium.checkpoint/1\n" + after))
    with pytest.raises(BadCheckpoint, match="not a whole checkpoint"):
        read_checkpoint(path)


def test_a_write_that_fails_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full, or the machine dies before the rename."""
    path = tmp_path / "checkpoint.bin"
    write_checkpoint(path, checkpoint())
    whole = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(path, checkpoint())
    assert path.read_bytes() == whole
    read_checkpoint(path)


def test_equal_checkpoints_are_equal_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.bin", tmp_path / "other.bin"
    write_checkpoint(one, checkpoint())
    write_checkpoint(other, checkpoint())
    assert one.read_bytes() == other.read_bytes()


def test_a_checkpoint_is_bound_to_its_config_and_charter() -> None:
    kept, charter = checkpoint(), SCENARIOS["bank-credit"].charter
    assert (kept.config, kept.charter) == (RunConfig().digest, charter.fingerprint)
    assert kept.config != RunConfig(seed=8).digest
