from pathlib import Path

import numpy as np
import pytest

from consortium.checkpoint import (
    BadCheckpoint,
    Checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from consortium.config import RunConfig
from privacy.layout import Field, Layout
from scenarios.catalogue import SCENARIOS
from strategies import advance
from strategies.optimizer import OPTIMIZERS, OptimizerOptions
from strategies.synchronous import Progress

LAYOUT = Layout(fields=(Field("w", (3, 2)), Field("b", (2,))), start="seed 7")


def checkpoint() -> Checkpoint:
    optimizer = OPTIMIZERS["adam"](OptimizerOptions())
    state = advance.start(LAYOUT.dim, optimizer)
    state = advance.advance_with(state, np.arange(8.0), optimizer)
    progress = Progress(layout=LAYOUT, statistics=np.array([1, -2, 2**40]), state=state)
    return Checkpoint.of(progress, RunConfig(), SCENARIOS["bank-credit"].charter)


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
    assert advance.encode(read.state) == advance.encode(written.state)
    assert [item.name for item in path.parent.iterdir()] == ["checkpoint.bin"]


def test_half_a_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.bin"
    write_checkpoint(path, checkpoint())
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BadCheckpoint):
            read_checkpoint(path)
    path.write_bytes(b"x" + whole[1:])
    with pytest.raises(BadCheckpoint):
        read_checkpoint(path)
    with pytest.raises(BadCheckpoint):
        read_checkpoint(tmp_path / "absent")
