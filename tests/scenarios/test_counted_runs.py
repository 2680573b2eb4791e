"""Runs of exact sums whose sites go away: each step waits for all, and the run goes on at it."""

from pathlib import Path

import pytest
from flwr.app import Context, Message

from consortium.client_app import app as client_app
from consortium.config import Scalar
from consortium.run.directory import ENVIRONMENT, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from privacy.wire import messages
from scenarios.engines.in_process import SiteApp, Vanished, run_in_process
from scenarios.engines.runner import ScenarioRun, interrupted_run, resume_run, run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached

HEART = scenario_named("heart-diagnosis")
SHORT: dict[str, Scalar] = {
    "num-server-rounds": 3,
    "deadline-s": 0.2,
    "join-deadline-s": 0.2,
    "attempts": 2,
}


def placed(folder: Path, aggregation: str) -> tuple[RunDirectory, ScenarioRun]:
    chosen = {**SHORT, "learner": "glm", "missing-values": "indicator"}
    order = ScenarioRun(
        scenario=HEART, config=HEART.config_with({**chosen, "aggregation": aggregation})
    )
    return new_run_directory(HEART, under=folder, named=None), order


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_step_that_a_site_misses_is_tried_again_then_parked_and_gone_on_with(
    aggregation: str, tmp_path: Path
) -> None:
    whole, order = placed(tmp_path / "whole", aggregation)
    expected = run_scenario(order, whole).model_digest
    run, order = placed(tmp_path / "parked", aggregation)
    stage(run, HEART, config=order.config)
    asked: list[str] = []

    def leaves(message: Message, context: Context) -> Message:
        kind, step = message.metadata.message_type, message.metadata.group_id
        if kind == messages.TRAIN and step == "2":
            asked.append(step)
            raise Vanished
        return client_app(message, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(run.path))
        apps: dict[int, SiteApp] = {0: leaves, **dict.fromkeys((1, 2, 3), client_app)}
        with pytest.raises((QuorumNotReached, RoundVoid)):
            run_in_process(server_app, apps, num_sites=4, run_config=order.config.flat())
    parked = read_record(run.summary, Summary)
    assert (parked.status, parked.rounds) == ("parked", 1)
    assert HEART.sites[0] in parked.error
    assert len(asked) == order.config.attempts
    summary = resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)
    assert (summary.status, summary.model_digest) == ("finished", expected)
