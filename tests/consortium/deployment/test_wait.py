"""Waiting for a run, which is a directory that fills, with a stand-in for the SuperLink."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consortium.deployment.control_client import Control
from consortium.deployment.processes import LaunchFailed
from consortium.deployment.superlink import SuperLink
from consortium.deployment.wait import Waiting
from consortium.run.directory import RunDirectory
from consortium.run.leader_lock import hold_leadership
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.registry import scenario_named

HEART = scenario_named("heart-diagnosis")


@dataclass(frozen=True)
class Told(Control):
    """A control that knows the active runs without asking a SuperLink."""

    going_on: list[int] = field(default_factory=list)

    def active_runs(self) -> list[int]:
        """Return the given runs."""
        return self.going_on


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = new_run_directory(HEART, under=tmp_path_factory.mktemp("run"), named=None)
    run_scenario(
        ScenarioRun(scenario=HEART, config=HEART.config_with({"num-server-rounds": 1})), run
    )
    return run


def waiting(
    run: RunDirectory,
    going: list[int] | None = None,
    sleep: Callable[[float], None] = lambda _seconds: None,
    tell: Callable[[str], None] = lambda _line: None,
) -> Waiting:
    control = Told(SuperLink(run.path), going if going is not None else [1])
    return Waiting(control, run, sleep, tell)


def test_a_finished_run_is_not_waited_for(finished: RunDirectory) -> None:
    def never(_seconds: float) -> None:
        raise AssertionError

    assert waiting(finished, sleep=never).wait_for_end().status == "finished"
    waiting(finished, sleep=never).wait_for_round(1)


def test_a_round_is_awaited_until_it_begins_whatever_half_line_is_there(tmp_path: Path) -> None:
    run, looks = RunDirectory(tmp_path), 0
    run.events.write_text('{"event": "run-started"}\n{"event": "round-st')

    def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        lines = [{"event": "round-started", "server_round": number} for number in range(looks)]
        written = "".join(json.dumps(line) + "\n" for line in lines)
        run.events.write_text('{"event": "run-started"}\n' + written + '{"event')

    waiting(run, sleep=sleep).wait_for_round(2)
    assert looks == 3


def test_who_is_left_out_is_told_at_once_and_once_for_each_reason(tmp_path: Path) -> None:
    run, told = RunDirectory(tmp_path), list[str]()
    refused = {"event": "site-quarantined", "site": "west", "code": "silent", "counts": {}}
    lines = [
        {"event": "sites-joined", "sites": ["east", "west"], "absent": ["north"]},
        {**refused, "server_round": 1},
        {**refused, "server_round": 2},
        {**refused, "server_round": 3, "code": "site-refused.too-often", "counts": {"hour": 4}},
        {"event": "tracker-failed", "tracker": "wandb:/full", "why": "No space left on device"},
        {"event": "round-started", "server_round": 4},
    ]
    seen = []

    def sleep(_seconds: float) -> None:
        seen.append(len(told))
        with run.events.open("a") as file:
            file.write(json.dumps(lines.pop(0)) + "\n")

    waiting(run, sleep=sleep, tell=told.append).wait_for_round(4)
    assert told == [
        f"the run goes on without north, with 2 sites; see {run.log}",
        f"left out: west, silent; see {run.log}",
        f"left out: west, site-refused.too-often (hour 4); see {run.log}",
        "the tracker wandb:/full failed (No space left on device): it gets no more figures, "
        f"and the run goes on; see {run.log}",
    ]
    assert seen == [0, 1, 2, 2, 3, 4]


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_an_encrypted_run_without_a_member_says_at_once_what_may_be_withheld(
    aggregation: str, tmp_path: Path
) -> None:
    run, told = RunDirectory(tmp_path), list[str]()
    run.coordinator.mkdir()
    run.run_config.write_text(json.dumps({"aggregation": aggregation}))
    joined = {"event": "sites-joined", "sites": ["east", "west"], "absent": ["north"]}
    started = {"event": "round-started", "server_round": 1}
    run.events.write_text(json.dumps(joined) + "\n" + json.dumps(started) + "\n")
    waiting(run, tell=told.append).wait_for_round(1)
    withheld = [line for line in told if line.startswith("its evaluation may be withheld")]
    assert len(withheld) == (aggregation == "encrypted")
    assert told[0].startswith("the run goes on without north")


def test_a_run_that_died_without_a_word_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LaunchFailed, match="consortium resume"):
        waiting(RunDirectory(tmp_path), going=[]).wait_for_end()
    with pytest.raises(LaunchFailed, match="consortium resume"):
        waiting(RunDirectory(tmp_path), going=[]).wait_for_round(1)


def test_while_a_process_leads_the_run_the_superlink_is_not_asked(tmp_path: Path) -> None:
    run, looks = RunDirectory(tmp_path), 0
    line = json.dumps({"event": "round-started", "server_round": 1}) + "\n"

    def sleep(_seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 100:
            run.events.write_text(line)

    with hold_leadership(run.leader):
        waiting(run, going=[], sleep=sleep).wait_for_round(1)
    assert looks == 100


def test_a_round_that_the_run_never_had_is_not_awaited_for_ever(finished: RunDirectory) -> None:
    with pytest.raises(LaunchFailed, match="has no round 9"):
        waiting(finished).wait_for_round(9)


def test_a_parked_run_says_how_it_goes_on(finished: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    summary = json.loads(finished.summary.read_text())
    run.summary.write_text(json.dumps({**summary, "status": "parked", "error": "too few"}))
    with pytest.raises(LaunchFailed, match=r"parked: too few.*consortium resume"):
        waiting(run).wait_for_end()
    with pytest.raises(LaunchFailed, match="parked"):
        waiting(run).wait_for_round(1)
