"""What may be asked for, and how it reaches the process that leads a run."""

import os
from pathlib import Path

import numpy as np
import pytest

from consortium.coordinator.tracking.contract import RunName
from consortium.coordinator.tracking.registry import (
    BadTracker,
    begin_trackers,
    parse_trackers,
    trackers_in_environment,
)
from consortium.deployment.superlink import SuperLink
from consortium.run.directory import TRACK
from strategies.coordinator.messaging.events import RoundFinished

NAME = RunName("heart", "heart-1")
ROUND = RoundFinished(
    server_round=1,
    answered=("east",),
    evaluation=np.zeros(1, np.int64),
    bytes_down=1,
    bytes_up=1,
    seconds=0.1,
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("tensorboard", "KIND:PATH"),
        ("tensorboard:", "KIND:PATH"),
        ("prometheus:two\nlines.prom", "KIND:PATH"),
        ("tensorbord:curves", "did you mean 'tensorboard'"),
        ("prometheus:figures.txt", "ends in .prom"),
        ("prometheus:nowhere/figures.prom", "there is no folder"),
        ("prometheus:http://0.0.0.0:9109", "this machine only"),
        ("prometheus:http://127.0.0.1", "this machine only"),
        ("prometheus:http://127.0.0.1:0", "this machine only"),
        ("prometheus:http://127.0.0.1:99999", "this machine only"),
        ("prometheus:http://127.0.0.1:80@example.org:9109", "this machine only"),
        ("prometheus:https://127.0.0.1:9109", "this machine only"),
        ("mlflow:https://mlflow.example.org", "a path and no server"),
        ("wandb:https://api.wandb.ai", "a path and no server"),
        ("mlflow:/dev/null", "is a file: name another"),
        ("wandb:/dev/null", "is a file: name another"),
    ],
)
def test_what_cannot_be_tracked_is_refused_before_the_run(words: str, said: str) -> None:
    with pytest.raises(BadTracker, match=said):
        parse_trackers([words])


def test_a_path_is_one_from_the_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process that leads a run works elsewhere."""
    monkeypatch.chdir(tmp_path)
    assert parse_trackers(["prometheus:a.prom"]) == (f"prometheus:{tmp_path}/a.prom",)


def test_the_environment_asks_for_trackers_within_the_block_only(tmp_path: Path) -> None:
    words = parse_trackers([f"prometheus:{tmp_path}/a.prom", f"prometheus:{tmp_path}/b.prom"])
    with trackers_in_environment(words):
        with trackers_in_environment(()):
            trackers = begin_trackers(lambda _event: {}, NAME)
        assert SuperLink(tmp_path).environment[TRACK] == os.environ[TRACK]
    assert TRACK not in os.environ
    assert TRACK not in SuperLink(tmp_path).environment
    trackers.note_event(ROUND)
    assert {path.name for path in tmp_path.glob("*.prom")} == {"a.prom", "b.prom"}


def test_words_in_the_environment_that_mean_nothing_do_not_stop_a_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(TRACK, "nonsense\nprometheus:/nowhere/a.prom")
    begin_trackers(lambda _event: {}, NAME).note_event(ROUND)
