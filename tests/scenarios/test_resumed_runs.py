"""Interrupted runs that are resumed: the coordinator is killed; sites leave and return."""

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
from consortium.coordinator.recorder import Recorder
from consortium.coordinator.resume import NotResumable
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.server_app import app as server_app
from privacy.wire import messages
from scenarios.cli.main import app as command
from scenarios.engines.in_process import SiteApp, Vanished, run_in_process
from scenarios.engines.runner import ScenarioRun, interrupted_run, resume_run, run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from sites.tasks.tabular.task import TabularTask
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached
from tests.forked import Forked

HEART = scenario_named("heart-diagnosis")
CONFIG = HEART.config_with({"num-server-rounds": 4, "deadline-s": 60.0, "join-deadline-s": 0.2})
KILLED = """
import os, signal, sys
from pathlib import Path
from consortium.coordinator import clear_run
from consortium.client.reply_cache import ReplyCache
from consortium.coordinator.recorder import Recorder
from consortium.run.evidence_store import EvidenceStore
from consortium.run.directory import RunDirectory
from scenarios.library.registry import scenario_named
from scenarios.engines.runner import ScenarioRun, run_scenario

module, name, times = sys.argv[2], sys.argv[3], int(sys.argv[4])
owner = {
    "write": clear_run,
    "append": Recorder,
    "keep": ReplyCache,
    "sealed": EvidenceStore,
}[module]
real, called = getattr(owner, name), [0]

def dies(*given, **named):
    called[0] += 1
    if called[0] == times:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **named)

setattr(owner, name, dies)
scenario = scenario_named("heart-diagnosis")
config = scenario.config_with({"num-server-rounds": 4, "deadline-s": 60.0, "join-deadline-s": 0.2})
if owner is EvidenceStore:
    config = config.model_copy(update={"aggregation": "encrypted"})
run_scenario(ScenarioRun(scenario=scenario, config=config), RunDirectory(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("whole"), named=None)
    return run_scenario(ScenarioRun(scenario=HEART, config=CONFIG), run)


@pytest.fixture(scope="module")
def encrypted_run(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("sealed"), named=None)
    config = CONFIG.model_copy(update={"aggregation": "encrypted"})
    return run_scenario(ScenarioRun(scenario=HEART, config=config), run)


def killed_run(forked: Forked, tmp_path: Path, *moment: str) -> RunDirectory:
    """Return the directory of a run whose process was killed at a given call."""
    run = new_run_directory(HEART, under=tmp_path, named=None)
    words = [str(run.path), *moment]
    status = forked.run(KILLED, words, folder=tmp_path, output=tmp_path / "said")
    assert status == -signal.SIGKILL, (tmp_path / "said").read_text()
    return run


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


MOMENTS = {
    "before the second checkpoint, all told": ("write", "write_checkpoint", "2"),
    "in the middle of a round": ("append", "_append_line", "20"),
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
def test_a_killed_run_resumes_to_the_same_result(
    moment: tuple[str, str, str], tmp_path: Path, whole_run: Summary, forked: Forked
) -> None:
    run = killed_run(forked, tmp_path, *moment)
    assert not run.summary.exists()
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    for name in ("status", "model_digest", "rounds", "metrics", "sites", "evaluated", "held_out"):
        assert getattr(summary, name) == getattr(whole_run, name), name
    assert summary.site_metrics == whole_run.site_metrics
    shown = [read_record(path, Tallies).by_site for path in (run.statistics, run.evaluation)]
    assert shown[0].keys() >= shown[1].keys() == whole_run.site_metrics.keys() != set()
    assert summary.bytes_up == whole_run.bytes_up
    assert [line["server_round"] for line in read_lines(run.metrics)] == [1, 2, 3, 4, 5]
    assert (run.model / "model.safetensors").exists()


def test_a_run_killed_twice_resumes_twice(tmp_path: Path, whole_run: Summary) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=CONFIG)
    die_while_recording(order, run, run_scenario)
    die_while_recording(order, run, resume_run)
    assert resume_run(order, run).model_digest == whole_run.model_digest


def test_a_compressed_run_that_died_goes_on_with_what_its_sites_left(tmp_path: Path) -> None:
    """In a round that all sites had answered: what they left out by then is counted once."""
    chosen: dict[str, Any] = {"compression": "top-k", "prune-to": 0.5, "prune-after": 1}
    order = ScenarioRun(
        scenario=HEART, config=HEART.config_with({"num-server-rounds": 3, **chosen})
    )
    ends = []
    for name in ("whole", "died"):
        run = new_run_directory(HEART, under=tmp_path / name, named=None)
        if name == "died":
            die_while_recording(order, run, run_scenario, times=3)
        ends.append((resume_run if name == "died" else run_scenario)(order, run))
    assert ends[0].model_digest == ends[1].model_digest


def die_while_recording(
    order: ScenarioRun,
    run: RunDirectory,
    how: Callable[[ScenarioRun, RunDirectory], Summary],
    times: int = 1,
) -> None:
    """Interrupt a run when it is about to record a round for the n-th time."""
    record, left = Recorder._record_round, [times]

    def dies(*given: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        record(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("consortium.coordinator.recorder.Recorder._record_round", dies)
        with pytest.raises(KeyboardInterrupt):
            how(order, run)


@pytest.mark.parametrize(
    "times", ["40", *(pytest.param(str(n), marks=pytest.mark.slow) for n in range(12, 70, 6))]
)
def test_a_killed_encrypted_run_resumes_to_the_same_result(
    times: str, tmp_path: Path, encrypted_run: Summary, forked: Forked
) -> None:
    """It is killed while its coordinator stores a file."""
    run = killed_run(forked, tmp_path, "sealed", "keep", times)
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    for name in ("status", "model_digest", "rounds", "metrics", "sites", "evaluated", "held_out"):
        assert getattr(summary, name) == getattr(encrypted_run, name), name
    assert [line["server_round"] for line in read_lines(run.metrics)] == [1, 2, 3, 4, 5]


@pytest.mark.slow
def test_a_run_killed_at_any_instant_resumes_to_the_same_result(
    tmp_path: Path, whole_run: Summary
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
        order = interrupted_run(run, engine="inprocess", verbose=False)
        assert resume_run(order, run).model_digest == whole_run.model_digest


@pytest.mark.parametrize(
    ("aggregation", "uninterrupted"), [("clear", "whole_run"), ("encrypted", "encrypted_run")]
)
def test_a_run_without_quorum_is_parked_and_resumes_when_the_sites_are_back(
    aggregation: str, uninterrupted: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    config = CONFIG.model_copy(update={"aggregation": aggregation, "quorum": 3, "deadline_s": 0.2})
    stage(run, HEART, config=config)

    def leaves(message: Message, context: Context) -> Message:
        if message.metadata.message_type == messages.TRAIN and message.metadata.group_id == "3":
            raise Vanished
        return client_app(message, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(run.path))
        apps: dict[int, SiteApp] = {0: leaves, 1: leaves, 2: client_app, 3: client_app}
        with pytest.raises((QuorumNotReached, RoundVoid)):
            run_in_process(server_app, apps, num_sites=4, run_config=config.flat())
    parked = read_record(run.summary, Summary)
    assert (parked.status, parked.rounds) == ("parked", 2)
    silent = [one.site for one in parked.quarantined if one.server_round == 3]
    assert Counter(silent) == dict.fromkeys(HEART.sites[:2], config.attempts)
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    whole_run: Summary = request.getfixturevalue(uninterrupted)
    assert (summary.status, summary.model_digest) == ("finished", whole_run.model_digest)


def test_a_site_asked_again_for_a_round_does_not_train_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is so whether the coordinator had received the reply before it crashed or not."""
    trained: Counter[int] = Counter()
    train = TabularTask.train

    def counting(self: TabularTask, data: object, *given: object, **named: object) -> object:
        trained[id(data)] += 1
        return train(self, data, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(TabularTask, "train", counting)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=CONFIG)
    die_while_recording(order, run, run_scenario)
    assert sorted(trained.values()) == [1, 1, 1, 1]
    resume_run(order, run)
    assert sorted(trained.values()) == [4, 4, 4, 4]


def test_a_finished_run_cannot_be_resumed(tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    short = HEART.config_with({"num-server-rounds": 1})
    run_scenario(ScenarioRun(scenario=HEART, config=short), run)
    with pytest.raises(NotResumable, match="finished"):
        interrupted_run(run, engine="inprocess", verbose=False)


def test_the_resume_command_finishes_the_run_and_writes_the_report(tmp_path: Path) -> None:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    die_while_recording(ScenarioRun(scenario=HEART, config=CONFIG), run, run_scenario)
    said = CliRunner().invoke(command, ["resume", str(run.path)])
    assert said.exit_code == 0, said.output
    assert run.report.exists()
    assert read_record(run.summary, Summary).status == "finished"
    again = CliRunner().invoke(command, ["resume", str(run.path)])
    assert again.exit_code == 2


@pytest.mark.slow
def test_a_run_killed_in_process_resumes_on_the_simulation_engine(
    tmp_path: Path, whole_run: Summary, forked: Forked
) -> None:
    run = killed_run(forked, tmp_path, "write", "write_checkpoint", "3")
    summary = resume_run(interrupted_run(run, engine="simulation", verbose=False), run)
    assert summary.model_digest == whole_run.model_digest
