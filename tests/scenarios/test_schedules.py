"""Whole runs whose model moves otherwise than round by round: their records, deaths and budgets."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Message

from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.audit.journal import ROUND
from consortium.client_app import app as client_app
from consortium.config import RunConfig, Scalar
from consortium.model.files import read_model
from consortium.report.render import render_report
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from consortium.server_app import app as server_app
from consortium.site.directory import SiteDirectory
from privacy.differential.ledger import Ledger
from privacy.wire import messages
from scenarios.engines.in_process import run_in_process
from scenarios.engines.runner import (
    ScenarioRun,
    interrupted_run,
    resume_run,
    run_in_environment,
    run_scenario,
)
from scenarios.engines.staging import new_run_directory, stage
from scenarios.library.registry import scenario_named

HEART = scenario_named("heart-diagnosis")
ROUNDS = 5
SHORT: Mapping[str, Scalar] = {"num-server-rounds": ROUNDS, "deadline-s": 60.0, "quorum": 2}
BUFFERED: Mapping[str, Scalar] = {**SHORT, "schedule": "buffered", "buffer-size": 3}
TRIGGERED: Mapping[str, Scalar] = {**SHORT, "schedule": "triggered", "trigger-threshold": 0.1}


class Died(BaseException):
    """The process of the coordinator is gone: nothing catches this."""


def whole_run(folder: Path, config: RunConfig) -> tuple[RunDirectory, Summary]:
    run = new_run_directory(HEART, under=folder, named=None)
    return run, run_scenario(ScenarioRun(scenario=HEART, config=config), run)


def killed_at(folder: Path, config: RunConfig, question: int) -> RunDirectory:
    """Return a run whose coordinator died when so many answers to `train` had been made."""
    run = new_run_directory(HEART, under=folder, named=None)
    stage(run, HEART, config=config)
    asked: list[int] = []

    def app(message: Message, context: Context) -> Message:
        reply = client_app(message, context)
        asked.append(message.metadata.message_type == messages.TRAIN)
        if sum(asked) == question:
            raise Died
        return reply

    with run_in_environment(run), pytest.raises(Died):
        run_in_process(server_app, app, num_sites=len(HEART.sites), run_config=config.flat())
    return run


def resumed(run: RunDirectory) -> Summary:
    return resume_run(interrupted_run(run, engine="inprocess", verbose=False), run)


def events_of(run: RunDirectory, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


@pytest.fixture(scope="module")
def buffered(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Summary]:
    return whole_run(tmp_path_factory.mktemp("buffered"), HEART.config_with(BUFFERED))


@pytest.fixture(scope="module")
def triggered(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDirectory, Summary]:
    return whole_run(tmp_path_factory.mktemp("triggered"), HEART.config_with(TRIGGERED))


def test_the_log_of_the_coordinator_says_from_which_model_each_update_was_computed(
    buffered: tuple[RunDirectory, Summary],
) -> None:
    """Signed and chained like every round, and the same as `events.jsonl` says."""
    run, summary = buffered
    assert summary.rounds == ROUNDS
    finished = [one for one in events_of(run, "round-finished") if "asked_in" in one]
    assert [len(one["answered"]) for one in finished] == [3] * ROUNDS  # type: ignore[arg-type]
    logs = [read_log(path) for path in find_logs(run.path)]
    require_agreement(logs)
    (log,) = [one for one in logs if one.is_a_coordinators]
    noted = [one.event.facts for one in log.entries_of(ROUND) if "asked-in" in one.event.facts]
    assert [
        (str(facts["sites"]).split(","), str(facts["asked-in"]).split(",")) for facts in noted
    ] == [
        (one["answered"], [str(number) for number in one["asked_in"]])  # type: ignore[attr-defined]
        for one in finished
    ]
    assert any(
        number < one["server_round"]
        for one in finished
        for number in one["asked_in"]  # type: ignore[attr-defined]
    )


@pytest.mark.parametrize("schedule", [BUFFERED, TRIGGERED], ids=["buffered", "triggered"])
def test_updates_travel_compressed_in_each_schedule(
    schedule: Mapping[str, Scalar], tmp_path: Path
) -> None:
    """In 16 bits a number the model is nearly the one of whole numbers, at half of the bytes."""
    packed = {**schedule, "compression": "float16"}
    (one, plain), (other, small) = (
        whole_run(tmp_path / name, HEART.config_with(chosen))
        for name, chosen in (("plain", schedule), ("packed", packed))
    )
    assert small.quarantined == plain.quarantined == []
    vectors = [read_model(run.model).vector for run in (one, other)]
    assert 0 < np.linalg.norm(vectors[0] - vectors[1]) < 0.01 * np.linalg.norm(vectors[0])


@pytest.mark.parametrize(
    "question", [5, *(pytest.param(at, marks=pytest.mark.slow) for at in (2, 9))]
)
def test_a_buffered_run_goes_on_after_the_death_of_its_coordinator(
    tmp_path: Path, question: int
) -> None:
    """From the newest model that was kept; each round is in the records once."""
    run = killed_at(tmp_path, HEART.config_with(BUFFERED), question)
    assert resumed(run).rounds == ROUNDS
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert [line["server_round"] for line in lines] == list(range(1, ROUNDS + 2))
    require_agreement([read_log(path) for path in find_logs(run.path)])


def test_a_triggered_run_counts_who_had_nothing_new_apart_from_who_was_left_out(
    triggered: tuple[RunDirectory, Summary],
) -> None:
    run, summary = triggered
    """Those who were asked once more, because too few others had news, count as who answered."""
    said = events_of(run, "site-unchanged")
    finished = events_of(run, "round-finished")
    kept = [site for one in finished for site in one.get("unchanged", ())]  # type: ignore[attr-defined]
    assert 0 < len(kept) < len(said)
    assert summary.quarantined == []
    assert {site.name: site.unchanged for site in summary.sites} == {
        name: kept.count(name) for name in HEART.sites
    }
    assert all(site.answered + site.unchanged == ROUNDS + 1 for site in summary.sites)
    logs = [read_log(path) for path in find_logs(run.path)]
    require_agreement(logs)
    (log,) = [one for one in logs if one.is_a_coordinators]
    noted = [one.event.facts.get("unchanged", "") for one in log.entries_of(ROUND)]
    assert [name for each in noted if each for name in str(each).split(",")] == kept


@pytest.mark.parametrize(
    "question", [6, *(pytest.param(at, marks=pytest.mark.slow) for at in (2, 11))]
)
def test_a_triggered_run_that_is_resumed_ends_with_the_same_model(
    triggered: tuple[RunDirectory, Summary], tmp_path: Path, question: int
) -> None:
    """What a site said of a round it says again, and what it sent it sends again."""
    run = killed_at(tmp_path, HEART.config_with(TRIGGERED), question)
    assert resumed(run).model_digest == triggered[1].model_digest


@pytest.mark.slow
def test_a_site_pays_once_for_each_model_of_a_buffered_run_and_never_for_more_than_was_reserved(
    tmp_path: Path,
) -> None:
    """With noise: what the ledger holds is at most what a synchronous run would cost."""
    noisy: dict[str, Scalar] = {
        "dp.unit": "person",
        "dp.epsilon": 8.0,
        "dp.steps": 2,
        "weighting": "equal",
    }
    config = HEART.config_with({**BUFFERED, **noisy, "num-server-rounds": 3, "buffer-size": 2})
    run = killed_at(tmp_path, config, 4)
    resumed(run)
    finished = events_of(run, "round-finished")
    for name in HEART.sites:
        with Ledger(SiteDirectory(run.site(name)).ledger) as ledger:
            (charge,) = [one for one in ledger.charges() if one.used]
        used = [one for one in finished if name in one["answered"]]  # type: ignore[operator]
        assert 2 * (len(used) - 1) <= sum(charge.used.values()) <= 2 * 3
        assert charge.committed == sum(charge.used.values()), "the rest was given back"


@pytest.mark.slow
@pytest.mark.timeout(900)  # real processes, on machines with other work
def test_deployed_sites_work_side_by_side_in_a_buffered_run(tmp_path: Path) -> None:
    """Through SuperLink, gateways and SuperNodes: a question may be answered rounds later."""
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=HEART.config_with(BUFFERED), engine="deployment")
    assert run_scenario(order, run).rounds == ROUNDS
    finished = [one for one in events_of(run, "round-finished") if "asked_in" in one]
    assert [len(one["answered"]) for one in finished] == [3] * ROUNDS  # type: ignore[arg-type]
    require_agreement([read_log(path) for path in find_logs(run.path)])


@pytest.mark.slow
def test_the_report_tells_who_had_nothing_new_from_who_was_left_out(
    triggered: tuple[RunDirectory, Summary],
) -> None:
    run, summary = triggered
    page = render_report(run).read_text()
    counts = {site.unchanged for site in summary.sites if site.unchanged}
    assert all(f"of {ROUNDS + 1}, {times} nothing new" in page for times in counts)
