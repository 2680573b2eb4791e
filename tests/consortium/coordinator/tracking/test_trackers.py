"""Trackers are told what is released, and a run does not depend on them."""

import errno
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.coordinator.recorder import Recorder
from consortium.coordinator.tracking.contract import RoundFigures, RunName
from consortium.coordinator.tracking.registry import begin_trackers, trackers_in_environment
from consortium.coordinator.tracking.trackers import Trackers
from consortium.run.directory import RunDirectory
from consortium.run.logs import logging_to
from consortium.run.records import MetricValue
from privacy.layout import Tally
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for
from strategies.coordinator.messaging.events import RoundFinished, RoundStarted, SiteAnswered

EVALUATION = evaluation_for(scenario_named("heart-diagnosis").charter.table)
SIZE = EVALUATION.layout.size


def finished(evaluation: Tally, server_round: int = 1) -> RoundFinished:
    return RoundFinished(
        server_round=server_round,
        answered=("east", "north"),
        evaluation=evaluation,
        bytes_down=12,
        bytes_up=34,
        seconds=0.25,
    )


@dataclass
class Listener:
    """A tracker that keeps what it is told, and raises at the chosen calls."""

    fails_at: frozenset[int] = frozenset()
    calls: int = 0
    told: list[RoundFigures] = field(default_factory=list)
    endings: list[bool] = field(default_factory=list)

    def note_round(self, told: RoundFigures) -> None:
        """Keep the figures."""
        self._count()
        self.told.append(told)

    def close(self, *, finished: bool) -> None:
        """Keep how the run ended."""
        self._count()
        self.endings.append(finished)

    def _count(self) -> None:
        self.calls += 1
        if self.calls in self.fails_at:
            raise RuntimeError(self.calls)


def metric_values(values: Mapping[str, float]) -> dict[str, MetricValue]:
    return {name: MetricValue(value=value) for name, value in values.items()}


@given(values=st.dictionaries(st.sampled_from("abcd"), st.floats()))
def test_a_figure_that_is_not_finite_is_left_out_and_every_other_is_told(
    values: dict[str, float],
) -> None:
    listener = Listener()
    trackers = Trackers(lambda _event: metric_values(values), {"a": lambda: listener})
    trackers.note_event(finished(np.zeros(1, np.int64)))
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    assert listener.told[0].metrics == finite


@given(rounds=st.integers(1, 5), fails_at=st.frozensets(st.integers(1, 6)))
def test_a_tracker_that_raises_is_named_once_and_the_others_are_told_everything(
    rounds: int, fails_at: frozenset[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("log") / "run.log"
    good, bad = Listener(), Listener(fails_at)
    heard: list[tuple[str, str]] = []
    begun = {"bad:one": lambda: bad, "good:one": lambda: good}
    with logging_to(log):
        trackers = Trackers(lambda _event: {}, begun, lambda *said: heard.append(said))
        for server_round in range(1, rounds + 1):
            trackers.note_event(finished(np.zeros(1, np.int64), server_round))
        trackers.close(finished=True)
    assert [told.server_round for told in good.told] == [*range(1, rounds + 1)]
    failed = min((call for call in fails_at if call <= rounds + 1), default=None)
    assert bad.calls == (failed or rounds + 1)
    named = log.read_text().count("the tracker bad:one failed") if log.exists() else 0
    assert named == (failed is not None)
    assert heard == [("bad:one", "RuntimeError")] * (failed is not None)


def test_a_tracker_that_cannot_begin_is_named_and_told_nothing(tmp_path: Path) -> None:
    def begin() -> Listener:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    heard: list[tuple[str, str]] = []

    def tell(words: str, why: str) -> None:
        heard.append((words, why))
        raise OSError(errno.ENOSPC, "the disk of the run is full as well")

    with logging_to(tmp_path / "run.log"):
        trackers = Trackers(lambda _event: {}, {"bad:one": begin}, tell)
        assert not heard  # nothing stands before the run's own first event
        trackers.note_event(RoundStarted(server_round=1, cohort=()))
        trackers.note_event(finished(np.zeros(1, np.int64)))
        trackers.close(finished=True)
    assert (tmp_path / "run.log").read_text().count("the tracker bad:one failed") == 1
    assert heard == [("bad:one", "No space left on device")]


def test_nothing_of_a_single_site_is_told_even_if_it_is_released(tmp_path: Path) -> None:
    """`metrics.jsonl` has it, because the site releases it there."""
    recorder, listener = Recorder(RunDirectory(tmp_path), EVALUATION), Listener()
    trackers = Trackers(recorder.metrics_of, {"a": lambda: listener})
    counted = np.full(SIZE, 3, np.int64)
    for event in (
        RoundStarted(server_round=1, cohort=("east", "north")),
        SiteAnswered(server_round=1, site="east", released=counted),
        finished(2 * counted),
    ):
        recorder(event)
        trackers.note_event(event)
    line = json.loads(recorder.run.metrics.read_text())
    assert "east" in line["site_metrics"]
    assert "east" not in str(listener.told)
    assert listener.told[0].metrics
    assert dict(listener.told[0].metrics) == {
        name: metric["value"] for name, metric in line["metrics"].items()
    }
    assert dict(listener.told[0].course) == {
        name: line[name] for name in ("sites", "seconds", "bytes_down", "bytes_up")
    }


def test_of_withheld_figures_nothing_is_told(tmp_path: Path) -> None:
    """A round without counts: of too few records, of another roster, or by the charter."""
    recorder, listener = Recorder(RunDirectory(tmp_path), EVALUATION), Listener()
    trackers = Trackers(recorder.metrics_of, {"a": lambda: listener})
    trackers.note_event(finished(np.zeros(SIZE, np.int64)))
    assert [told.metrics for told in listener.told] == [{}]


@pytest.mark.parametrize("ended_well", [True, False])
def test_the_first_word_on_how_the_run_ended_is_the_one_that_counts(*, ended_well: bool) -> None:
    listener = Listener()
    trackers = Trackers(lambda _event: {}, {"a": lambda: listener})
    trackers.close(finished=ended_well)
    trackers.close(finished=False)
    assert listener.endings == [ended_well]


@pytest.mark.parametrize("kind", ["mlflow", "tensorboard", "wandb"])
def test_a_folder_that_may_not_be_written_is_told_once_and_stops_no_run(
    kind: str, tmp_path: Path
) -> None:
    """A path below a file is refused to every user, also to those who may write everywhere."""
    (tmp_path / "file").write_text("")
    heard: list[tuple[str, str]] = []
    with trackers_in_environment([f"{kind}:{tmp_path / 'file' / 'folder'}"]):
        trackers = begin_trackers(
            lambda _event: {}, RunName("heart", "run"), lambda *said: heard.append(said)
        )
    for server_round in (1, 2):
        trackers.note_event(finished(np.zeros(1, np.int64), server_round))
    trackers.close(finished=True)
    assert heard == [(f"{kind}:{tmp_path}/file/folder", "Not a directory")]
