"""What the coordinator's app leaves behind, however a run ends."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message

from consortium.audit import journal as audit
from consortium.audit.cross_check import find_logs, read_log
from consortium.charter.document import Charter
from consortium.client_app import app as client_app
from consortium.config import RunConfig, Scalar
from consortium.coordinator.audit_trail import AuditedGrid
from consortium.coordinator.checkpoint import read_checkpoint
from consortium.run.directory import ENVIRONMENT, BadRunDirectory, RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.server_app import PACKAGES, app
from consortium.site.site import model_plan
from privacy.errors import ConsortiumError
from privacy.wire import messages
from scenarios.engines.in_process import Vanished, run_in_process
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for, in_bins
from sites.evaluation.score_bins import ScoreBins
from sites.tasks.registry import task_for
from strategies.coordinator.encrypted.parameters import RoundVoid
from strategies.coordinator.messaging.cohort import QuorumNotReached

SCENARIO = scenario_named("heart-diagnosis")
NAMES = SCENARIO.sites
THREE: dict[str, Scalar] = {
    "num-server-rounds": 3,
    "local-epochs": 1,
    "deadline-s": 0.2,
    "join-deadline-s": 0.2,
}

SiteApp = Callable[[Message, Context], Message]


def played(folder: Path, site_app: SiteApp = client_app, **chosen: Scalar) -> RunDirectory:
    """Run the coordinator's app over staged sites; what it raises is raised."""
    config = configured(**chosen)
    run = RunDirectory(folder)
    stage(run, SCENARIO, config=config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(folder))
        run_in_process(app, site_app, num_sites=len(NAMES), run_config=config.flat())
    return run


def configured(**chosen: Scalar) -> RunConfig:
    named = {key.replace("_", "-"): value for key, value in chosen.items()}
    return SCENARIO.config_with({**THREE, **named})


def gone_from(server_round: int, *sites: int) -> SiteApp:
    """Return an app that falls silent at some sites from a round of training on."""

    def site(message: Message, context: Context) -> Message:
        trains = message.metadata.message_type == messages.TRAIN
        late = trains and int(message.metadata.group_id) >= server_round
        if context.node_config["partition-id"] in sites and (late or server_round == 0):
            raise Vanished
        return client_app(message, context)

    return site


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return played(tmp_path_factory.mktemp("finished"))


def test_a_summary_says_what_was_run(finished: RunDirectory) -> None:
    summary, config = read_record(finished.summary, Summary), configured()
    assert (summary.status, summary.error) == ("finished", "")
    assert (summary.name, summary.task) == (SCENARIO.name, SCENARIO.task)
    assert (summary.config, summary.seed) == (config.flat(), config.seed)
    assert set(summary.versions) == {"python", *PACKAGES}
    assert summary.charter_fingerprint == Charter.read(finished.charter).fingerprint
    assert [site.name for site in summary.sites] == list(NAMES)
    assert all(site.present for site in summary.sites)
    assert summary.quarantined == []


def test_a_summary_is_of_the_model_in_the_last_checkpoint(finished: RunDirectory) -> None:
    summary, kept = read_record(finished.summary, Summary), read_checkpoint(finished.checkpoint)
    assert summary.rounds == kept.state.server_round == 3
    assert summary.model_digest == kept.layout.digest_of(kept.state.vector)
    assert (summary.layout_digest, summary.dim) == (kept.layout.digest, kept.layout.dim)
    assert kept.config == configured().digest
    assert kept.charter == summary.charter_fingerprint


def test_the_figures_of_a_summary_are_those_of_the_recorded_counts(
    finished: RunDirectory,
) -> None:
    summary = read_record(finished.summary, Summary)
    record = read_record(finished.evaluation, Tallies)
    bins = ScoreBins(bytes.fromhex(record.score_bins))
    evaluation = in_bins(evaluation_for(SCENARIO.table), bins)
    counts = np.array(record.pooled, np.int64)
    expected = evaluation.metrics(counts)
    assert {name: one.value for name, one in summary.metrics.items()} == {
        name: metric.value for name, metric in expected.items()
    }
    assert summary.held_out == evaluation.num_examples(counts)
    assert set(summary.site_metrics) == set(record.by_site) < set(NAMES)


def test_traffic_is_the_sum_over_rounds(finished: RunDirectory) -> None:
    summary, rounds = read_record(finished.summary, Summary), lines(finished.metrics)
    assert [line["server_round"] for line in rounds] == [1, 2, 3, 4]
    assert summary.bytes_up == sum(line["bytes_up"] for line in rounds) > 0
    assert summary.bytes_down == sum(line["bytes_down"] for line in rounds) > 0


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Two of four sites vanish in the second round, and three were needed."""
    folder = tmp_path_factory.mktemp("broken")
    with pytest.raises(QuorumNotReached, match="hungary"):
        played(folder, gone_from(2, 1, 3), quorum=3)
    return RunDirectory(folder)


def test_a_run_that_stops_says_why_and_where_it_stands(broken: RunDirectory) -> None:
    summary = read_record(broken.summary, Summary)
    assert summary.status == "parked"
    assert summary.error.startswith("quorum-not-reached: ")
    assert "hungary" in summary.error
    assert summary.rounds == 1
    assert (lines(broken.events)[-1]["event"], lines(broken.events)[-1]["code"]) == (
        "run-failed",
        "quorum-not-reached",
    )


def test_a_run_that_stops_leaves_the_checkpoint_of_its_last_whole_round(
    broken: RunDirectory,
) -> None:
    summary, kept = read_record(broken.summary, Summary), read_checkpoint(broken.checkpoint)
    assert kept.state.server_round == 1
    assert summary.model_digest == kept.layout.digest_of(kept.state.vector)


def test_a_run_that_stops_shows_no_figures_as_if_it_had_ended_well(broken: RunDirectory) -> None:
    summary = read_record(broken.summary, Summary)
    assert summary.metrics == {}
    assert summary.site_metrics == {}
    assert summary.evaluated == []
    assert summary.held_out == 0


def test_who_was_silent_is_named_with_the_round(broken: RunDirectory) -> None:
    summary = read_record(broken.summary, Summary)
    assert {(one.server_round, one.site, one.code) for one in summary.quarantined} == {
        (2, "hungary", "silent"),
        (2, NAMES[3], "silent"),
    }
    answered = {site.name: site.answered for site in summary.sites}
    assert answered == {NAMES[0]: 2, NAMES[1]: 1, NAMES[2]: 2, NAMES[3]: 1}


@pytest.fixture(scope="module", params=["clear", "encrypted"])
def parked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """One of four sites is silent from the third round on, and all were needed."""
    folder = tmp_path_factory.mktemp(f"parked-{request.param}")
    with pytest.raises((QuorumNotReached, RoundVoid)):
        played(folder, gone_from(3, 1), quorum=4, aggregation=request.param)
    return read_record(RunDirectory(folder).summary, Summary)


def test_a_run_that_lost_its_quorum_is_parked_in_either_mode(parked: Summary) -> None:
    assert parked.status == "parked"
    assert parked.error.partition(":")[0] in (
        "quorum-not-reached",
        "round-void",
        "sites-awaited",
    )
    assert parked.rounds == 2


def test_a_parked_run_says_what_was_trained_and_what_was_promised(parked: Summary) -> None:
    plan = model_plan(configured(), SCENARIO.table)
    layout = task_for(SCENARIO.task, SCENARIO.table, plan, seed=parked.seed).layout
    assert (parked.layout_digest, parked.dim) == (layout.digest, layout.dim)
    assert parked.protection is not None
    assert parked.protection.voters_needed == 1


@pytest.fixture(scope="module", params=["clear", "encrypted"])
def unforeseen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    """The coordinator has no memory left when the questions of the third round leave."""
    folder, sent = tmp_path_factory.mktemp(f"unforeseen-{request.param}"), AuditedGrid.push_messages

    def failing(grid: AuditedGrid, asked: Iterable[Message]) -> Iterable[str]:
        asked = list(asked)
        if any(one.metadata.group_id == "3" for one in asked):
            raise MemoryError("of patient Jane Roe")
        return sent(grid, asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditedGrid, "push_messages", failing)
        with pytest.raises(MemoryError, match="Jane Roe"):
            played(folder, aggregation=request.param)
    return RunDirectory(folder)


def test_a_run_that_ends_by_an_error_nobody_foresaw_is_summarised_too(
    unforeseen: RunDirectory,
) -> None:
    summary = read_record(unforeseen.summary, Summary)
    assert (summary.status, summary.error) == ("failed", "unforeseen: MemoryError")
    assert (summary.rounds, summary.dim > 0) == (2, True)
    last = lines(unforeseen.events)[-1]
    assert (last["event"], last["code"], last["text"]) == (
        "run-failed",
        "unforeseen",
        "MemoryError",
    )


def test_the_audit_log_has_the_end_of_a_run_that_nobody_foresaw(unforeseen: RunDirectory) -> None:
    (path,) = [
        one for one in find_logs(unforeseen.path) if one.is_relative_to(unforeseen.coordinator)
    ]
    log = read_log(path, Charter.read(unforeseen.charter))
    assert [entry.event.facts["status"] for entry in log.entries_of(audit.ENDED)] == ["failed"]


def test_the_text_of_an_error_nobody_foresaw_is_in_no_record(unforeseen: RunDirectory) -> None:
    """It may quote what the coordinator was sent."""
    for path in (unforeseen.summary, unforeseen.events):
        assert "Jane" not in path.read_text()


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_run_to_which_nobody_comes_is_summarised_too(aggregation: str, tmp_path: Path) -> None:
    with pytest.raises(ConsortiumError):
        played(tmp_path, gone_from(0, 0, 1, 2, 3), aggregation=aggregation)
    run = RunDirectory(tmp_path)
    summary = read_record(run.summary, Summary)
    assert (summary.status, summary.rounds, summary.dim) == ("failed", 0, 0)
    assert summary.model_digest == summary.layout_digest == ""
    assert not any(site.present for site in summary.sites)
    assert not run.statistics.exists()
    assert not run.evaluation.exists()


def test_a_run_that_never_began_is_summarised_too(tmp_path: Path) -> None:
    with pytest.raises(ConsortiumError, match="can never be reached"):
        played(tmp_path, quorum=5)
    summary = read_record(RunDirectory(tmp_path).summary, Summary)
    assert summary.error.startswith("impossible-cohort: quorum=5")


def test_a_run_that_goes_on_without_a_site_says_of_which_sites_its_figures_are(
    tmp_path: Path,
) -> None:
    run = played(tmp_path, gone_from(1, 2))
    summary = read_record(run.summary, Summary)
    assert summary.status == "finished"
    assert summary.rounds == 3
    left_out = {(one.server_round, one.site) for one in summary.quarantined}
    assert {(turn, NAMES[2]) for turn in (1, 2, 3)} <= left_out
    assert NAMES[2] in summary.evaluated  # it was back for the final evaluation


def test_the_app_is_started_by_a_launcher_that_names_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(BadRunDirectory, match="scenario run"):
        run_in_process(app, client_app, num_sites=4, run_config=configured().flat())
