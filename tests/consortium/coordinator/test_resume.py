import json
from pathlib import Path

import numpy as np
import pytest

from consortium.config import RunConfig
from consortium.coordinator.checkpoint import Checkpoint, write_checkpoint
from consortium.coordinator.resume import (
    NotResumable,
    interrupted_config,
    kept_checkpoint,
    new_run_name,
    write_run_config,
)
from consortium.run.directory import RunDirectory
from privacy.layout import Field, Layout
from scenarios.library.registry import SCENARIOS
from strategies import model_state
from strategies.coordinator.plaintext.parameters import Progress
from strategies.server_optimizer import OPTIMIZERS, OptimizerOptions

CHARTER = SCENARIOS["bank-credit"].charter
CONFIG = RunConfig(seed=11)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def keep(run: RunDirectory, config: RunConfig = CONFIG) -> Progress:
    layout = Layout(fields=(Field("w", (3,)),), start="seed 7")
    optimizer = OPTIMIZERS["adam"](OptimizerOptions())
    state = model_state.advance_with(
        model_state.initial_state(3, optimizer), np.arange(3.0), optimizer
    )
    progress = Progress(run="run-1", layout=layout, statistics=np.array([1, 2]), state=state)
    write_checkpoint(
        run.checkpoint, Checkpoint.of(progress, config=config.digest, charter=CHARTER.fingerprint)
    )
    return progress


def test_a_run_goes_on_from_what_it_kept(run: RunDirectory) -> None:
    wanted = keep(run)
    found = kept_checkpoint(run, CONFIG, CHARTER)
    assert found is not None
    assert (found.progress.run, found.progress.layout) == (wanted.run, wanted.layout)
    assert found.progress.statistics.tolist() == [1, 2]
    assert model_state.encode(found.progress.state) == model_state.encode(wanted.state)


def test_a_run_that_kept_nothing_begins(run: RunDirectory) -> None:
    assert kept_checkpoint(run, CONFIG, CHARTER) is None


def test_a_run_does_not_go_on_under_other_settings_or_another_charter(run: RunDirectory) -> None:
    keep(run)
    with pytest.raises(NotResumable, match="other settings"):
        kept_checkpoint(run, RunConfig(seed=12), CHARTER)
    with pytest.raises(NotResumable, match="another charter"):
        kept_checkpoint(run, CONFIG, SCENARIOS["heart-diagnosis"].charter)


def test_what_a_run_was_started_with_is_known_afterwards(run: RunDirectory) -> None:
    write_run_config(run, CONFIG)
    assert interrupted_config(run) == CONFIG


def test_a_directory_without_a_run_is_refused(run: RunDirectory) -> None:
    with pytest.raises(NotResumable, match="no run was started"):
        interrupted_config(run)
    run.coordinator.mkdir()
    run.run_config.write_text(json.dumps({"seed": "x"}))
    with pytest.raises(NotResumable, match="no run was started"):
        interrupted_config(run)


def test_no_two_runs_have_one_name() -> None:
    assert len({new_run_name() for _ in range(100)}) == 100
