"""The same consortium on Flower's simulation engine: the same model, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from consortium.config import Scalar
from consortium.run_directory import ENVIRONMENT
from scenarios.catalogue import scenario_named
from scenarios.runner import Order, carry_out
from scenarios.staging import new_run_directory
from tests.scenarios.conftest import done

TWO: dict[str, Scalar] = {"num-server-rounds": 2}
HEART = scenario_named("heart-diagnosis")


def left_behind(run: Path) -> list[int]:
    """Return the processes that were started for a run and are alive."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(ENVIRONMENT) == str(run) and process.pid != os.getpid():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param({"aggregation": "encrypted"}, id="encrypted"),
        pytest.param({}, id="clear", marks=pytest.mark.slow),
    ],
)
def test_every_engine_gives_the_same_model_and_leaves_nothing_behind(
    chosen: dict[str, Scalar], tmp_path: Path
) -> None:
    here = done("heart-diagnosis", tmp_path, {**TWO, **chosen}).summary
    run = new_run_directory(HEART, under=tmp_path, named=None)
    config = HEART.configured({**TWO, **chosen})
    there = carry_out(Order(scenario=HEART, config=config, engine="simulation"), run)
    assert there.model_digest == here.model_digest
    assert there.metrics == here.metrics
    assert there.quarantined == []
    assert left_behind(run.path) == []
    assert (run.path / "flower" / "config.toml").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_interrupted_simulation_leaves_nothing_behind(tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = Path(sys.executable).parent / "scenario"
    command = [str(program), "run", "heart-diagnosis", "--engine", "simulation", "--out", str(run)]
    process = subprocess.Popen([*command, "--set", "num-server-rounds=500"])
    until = time.monotonic() + 120
    while not (run / "events.jsonl").exists() and time.monotonic() < until:
        time.sleep(0.2)
    assert left_behind(run)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert left_behind(run) == []
