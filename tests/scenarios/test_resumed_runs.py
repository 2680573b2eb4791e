"""Runs that die, and go on: the coordinator's process is killed, really; sites leave and return."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message
from typer.testing import CliRunner

from consortium.client_app import app as client_app
from consortium.coordinator.resume import NotResumable
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.server_app import app as server_app
from privacy.wire import messages
from scenarios.cli.main import app as command
from scenarios.engines.in_process import SiteApp, Vanished, run_in_process
from scenarios.engines.runner import ScenarioRun, carry_out, interrupted_order, resume
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.forked import Forked

HEART = scenario_named("heart-diagnosis")
CONFIG = HEART.configured({"num-server-rounds": 4, "deadline-s": 60.0, "join-deadline-s": 0.2})
KILLED = """
import os, signal, sys
from pathlib import Path
from consortium import kept_answer, recorder, server_app, vault
from consortium.run.directory import RunDirectory
from scenarios.library.registry import scenario_named
from scenarios.engines.runner import Order, carry_out

module, name, times = sys.argv[2], sys.argv[3], int(sys.argv[4])
owner = {
    "write": server_app,
    "append": recorder.Recorder,
    "keep": kept_answer.KeptAnswer,
    "sealed": vault.Vault,
}[module]
real, called = getattr(owner, name), [0]

def dies(*given, **named):
    called[0] += 1
    if called[0] == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(owner, name, dies)
scenario = scenario_named("heart-diagnosis")
config = scenario.configured({"num-server-rounds": 4, "deadline-s": 60.0, "join-deadline-s": 0.2})
if owner is vault.Vault:
    config = config.model_copy(update={"aggregation": "encrypted"})
carry_out(Order(scenario=scenario, config=config), RunDirectory(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("whole"), named=None)
    return carry_out(ScenarioRun(scenario=HEART, config=CONFIG), run)


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("sealed"), named=None)
    config = CONFIG.model_copy(update={"aggregation": "encrypted"})
    return carry_out(ScenarioRun(scenario=HEART, config=config), run)


def killed(forked: Forked, tmp_path: Path, *moment: str) -> RunDirectory:
    """Return the directory of a run whose process was killed at a moment."""
    run = new_run_directory(HEART, under=tmp_path, named=None)
    words = [str(run.path), *moment]
    status = forked.run(KILLED, words, folder=tmp_path, output=tmp_path / "said")
    assert status == -signal.SIGKILL, (tmp_path / "said").read_text()
    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


MOMENTS = {
    "before the second checkpoint, all told": ("write", "write_checkpoint", "2"),
    "in the middle of a round": ("append", "_append", "20"),
    "in the final evaluation": ("append", "write_evaluation", "1"),
}


OTHER_MOMENTS = {
    "before the first checkpoint": ("write", "write_checkpoint", "1"),
    "before the last checkpoint": ("write", "write_checkpoint", "5"),
    "at a site that has trained and not answered": ("keep", "keep", "7"),
}


@pytest.mark.parametrize(
    "moment",
    [
        *(pytest.param(moment, id=name) for name, moment in MOMENTS.items()),
        *(
            pytest.param(moment, id=name, marks=pytest.mark.slow)
            for name, moment in OTHER_MOMENTS.items()
        ),
    ],
)
def test_a_run_whose_process_was_killed_goes_on_to_the_same_end(
    moment: tuple[str, str, str], tmp_path: Path, whole: Summary, forked: Forked
) -> None:
    run = killed(forked, tmp_path, *moment)
    assert not run.summary.exists()
    summary = resume(interrupted_order(run, engine="inprocess", verbose=False), run)
    for name in ("status", "model_digest", "rounds", "metrics", "sites", "evaluated", "held_out"):
        assert getattr(summary, name) == getattr(whole, name), name
    assert summary.site_metrics == whole.site_metrics
    shown = [read_record(path, Tallies).by_site for path in (run.statistics, run.evaluation)]
    assert shown[0].keys() >= shown[1].keys() == whole.site_metrics.keys() != set()
    assert summary.bytes_up == whole.bytes_up
    assert [line["server_round"] for line in lines(run.metrics)] == [1, 2, 3, 4, 5]
    assert (run.model / "model.safetensors").exists()


def test_a_run_killed_twice_goes_on_twice(tmp_path: Path, whole: Summary) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=CONFIG)
    died(order, run, carry_out)
    died(order, run, resume)
    assert resume(order, run).model_digest == whole.model_digest


def died(
    order: ScenarioRun, run: RunDirectory, how: Callable[[ScenarioRun, RunDirectory], Summary]
) -> None:
    """Let a run end without a word where it would record its next round."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("consortium.coordinator.recorder.Recorder._round", _Dies())
        with pytest.raises(KeyboardInterrupt):
            how(order, run)


@pytest.mark.parametrize(
    "times", ["40", *(pytest.param(str(n), marks=pytest.mark.slow) for n in range(12, 70, 6))]
)
def test_an_encrypted_run_whose_process_was_killed_goes_on_to_the_same_end(
    times: str, tmp_path: Path, sealed: Summary, forked: Forked
) -> None:
    """At some file that its coordinator keeps."""
    run = killed(forked, tmp_path, "sealed", "keep", times)
    summary = resume(interrupted_order(run, engine="inprocess", verbose=False), run)
    for name in ("status", "model_digest", "rounds", "metrics", "sites", "evaluated", "held_out"):
        assert getattr(summary, name) == getattr(sealed, name), name
    assert [line["server_round"] for line in lines(run.metrics)] == [1, 2, 3, 4, 5]


class _Dies:
    def __call__(self, *_given: object) -> None:
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_killed_at_any_instant_goes_on_to_the_same_end(
    tmp_path: Path, whole: Summary
) -> None:
    for number in range(20):
        run = new_run_directory(HEART, under=tmp_path, named=tmp_path / f"{number}")
        arguments = ["run", "heart-diagnosis", "--out", str(run.path)]
        for key, value in (("num-server-rounds", 4), ("deadline-s", 0.2), ("join-deadline-s", 0.2)):
            arguments += ["--set", f"{key}={value}"]
        starting = "from scenarios.cli.main import main; main()"
        process = subprocess.Popen([sys.executable, "-c", starting, *arguments])
        until = time.monotonic() + 60
        while not run.run_config.exists() and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.02 * number)
        process.kill()
        process.wait()
        if run.summary.exists():
            continue
        order = interrupted_order(run, engine="inprocess", verbose=False)
        assert resume(order, run).model_digest == whole.model_digest


def test_a_run_that_lost_its_quorum_is_parked_and_goes_on_when_the_sites_are_back(
    tmp_path: Path, whole: Summary
) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    stage(run, HEART)
    config = CONFIG.model_copy(update={"quorum": 3, "deadline_s": 0.2})

    def leaves(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN and message.metadata.group_id == "3":
            raise Vanished
        return client_app(message, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(run.path))
        apps: dict[int, SiteApp] = {0: leaves, 1: leaves, 2: client_app, 3: client_app}
        with pytest.raises(QuorumNotReached):
            run_in_process(server_app, apps, num_sites=4, run_config=config.flat())
    parked = read_record(run.summary, Summary)
    assert (parked.status, parked.rounds) == ("parked", 2)
    events = [line["event"] for line in lines(run.events)]
    assert events.count("round-started") == 3 + config.attempts
    summary = resume(interrupted_order(run, engine="inprocess", verbose=False), run)
    assert (summary.status, summary.model_digest) == ("finished", whole.model_digest)


def test_a_site_does_not_train_again_for_a_round_that_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a coordinator that died had been sent already, and what it had not."""
    trained: Counter[int] = Counter()
    train = TabularTask.train

    def counting(self: TabularTask, data: object, *given: object, **named: object) -> object:
        trained[id(data)] += 1
        return train(self, data, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(TabularTask, "train", counting)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=CONFIG)
    died(order, run, carry_out)
    assert sorted(trained.values()) == [1, 1, 1, 1]
    resume(order, run)
    assert sorted(trained.values()) == [4, 4, 4, 4]


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    short = HEART.configured({"num-server-rounds": 1})
    carry_out(ScenarioRun(scenario=HEART, config=short), run)
    with pytest.raises(NotResumable, match="finished"):
        interrupted_order(run, engine="inprocess", verbose=False)


def test_the_command_goes_on_and_reports(tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    died(ScenarioRun(scenario=HEART, config=CONFIG), run, carry_out)
    said = CliRunner().invoke(command, ["resume", str(run.path)])
    assert said.exit_code == 0, said.output
    assert run.report.exists()
    assert read_record(run.summary, Summary).status == "finished"
    again = CliRunner().invoke(command, ["resume", str(run.path)])
    assert again.exit_code == 2


@pytest.mark.slow
def test_a_run_killed_in_process_goes_on_in_the_simulation_engine(
    tmp_path: Path, whole: Summary, forked: Forked
) -> None:
    run = killed(forked, tmp_path, "write", "write_checkpoint", "3")
    summary = resume(interrupted_order(run, engine="simulation", verbose=False), run)
    assert summary.model_digest == whole.model_digest
