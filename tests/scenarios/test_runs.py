"""Whole runs: their results, and faults that do not end them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flwr.app import Context, Message

from consortium.audit.coordinator_view import coordinator_view
from consortium.audit.sum_verification import Auditor
from consortium.client_app import app as client_app
from consortium.config import RunConfig, Scalar
from consortium.model.files import BadModel, read_model
from consortium.report.render import render_report
from consortium.run.directory import ENVIRONMENT, BadRunDirectory, RunDirectory
from consortium.run.records import Summary, read_record
from consortium.server_app import app as server_app
from privacy.errors import ConsortiumError
from privacy.storage.site_process import SITE_PROCESS
from scenarios.engines.in_process import Vanished, run_in_process
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory, stage
from scenarios.experiments.comparison import compare
from scenarios.experiments.prediction import predictions
from scenarios.library.registry import SCENARIOS, scenario_named
from sites.data.source import TableFile
from tests.scenarios.conftest import Done, done

HEART = scenario_named("heart-diagnosis")
TWO: dict[str, Scalar] = {"num-server-rounds": 2, "local-epochs": 1}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=[] if scenario.dataset else [pytest.mark.slow, pytest.mark.timeout(1_800)]
        )
        for name, scenario in SCENARIOS.items()
    ],
)
def test_every_scenario_runs_and_learns_something(name: str, tmp_path: Path) -> None:
    """Two rounds beat chance or the spread of the label; private notes need three.

    A learner that counts has as many exchanges as it needs; of trees there are two.
    """
    scenario = SCENARIOS[name]
    counts = scenario.config_with({}).learning.exchanges(scenario.task) is not None
    # Ten hospitals have a test of their own, to the end.
    short = {"bank-trees": {"trees.count": 2}, "ten-hospitals": {"num-server-rounds": 1}}
    chosen: dict[str, Scalar] = dict(short.get(name, {}))
    over = done(name, tmp_path, chosen if counts or chosen or name == "private-notes" else TWO)
    assert over.summary.status == "finished"
    assert over.summary.quarantined == []
    assert set(over.summary.evaluated) == set(over.scenario.sites)
    value = over.summary.metrics[over.scenario.headline.name].value
    if over.scenario.headline.higher_is_better:
        least = {
            "roc_auc": 0.55,
            "macro_f1": 0.15,
            "entity_f1": 0.15,
            "concordance": 0.55,
            "recall_at_1_percent": 0.05,  # by chance 0.01
        }
        assert value > least[over.scenario.headline.name]
    else:
        assert over.summary.metrics["r2"].value > 0.0


def test_hospitals_learn_to_tell_the_ill_from_the_well(tmp_path: Path) -> None:
    """The first run of the README, to its end: its loss has settled."""
    over = done("heart-diagnosis", tmp_path, {})
    assert over.summary.metrics["roc_auc"].value >= 0.80
    assert over.summary.convergence is not None
    assert over.summary.convergence.course == "settled"


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    heart: Done, tmp_path: Path
) -> None:
    again = done("heart-diagnosis", tmp_path, {"num-server-rounds": 3})
    other = done("heart-diagnosis", tmp_path, {"num-server-rounds": 3, "seed": 8})
    assert again.summary.model_digest == heart.summary.model_digest
    assert other.summary.model_digest != heart.summary.model_digest


def test_an_encrypted_run_gives_the_model_of_the_run_in_the_clear(
    heart: Done, sealed_heart: Done
) -> None:
    """Up to quantisation: every parameter differs by at most a thousandth of the largest."""
    clear, sealed = (read_model(over.run.model).vector for over in (heart, sealed_heart))
    np.testing.assert_allclose(sealed, clear, atol=1e-3 * np.abs(clear).max())
    difference = (
        heart.summary.metrics["roc_auc"].value - sealed_heart.summary.metrics["roc_auc"].value
    )
    assert abs(difference) < 0.002


def test_an_encrypted_run_repeats_with_fresh_keys(sealed_heart: Done, tmp_path: Path) -> None:
    chosen: dict[str, Scalar] = {"num-server-rounds": 3, "aggregation": "encrypted"}
    again = done("heart-diagnosis", tmp_path, chosen)
    assert again.summary.model_digest == sealed_heart.summary.model_digest
    views = [coordinator_view(over.run) for over in (again, sealed_heart)]
    assert views[0].run_id != views[1].run_id
    assert views[0].sites[0].sample != views[1].sites[0].sample


def test_the_coordinator_saw_noise_and_no_key(sealed_heart: Done) -> None:
    view = coordinator_view(sealed_heart.run)
    assert view.secret_keys == 0
    assert {site.site for site in view.sites} == set(HEART.sites)
    assert all(site.bits_per_byte > 7.9 for site in view.sites)
    assert not any(verdict.deviation for verdict in view.verdicts)


def test_the_report_of_an_encrypted_run_says_what_the_coordinator_saw(
    sealed_heart: Done, heart: Done
) -> None:
    page = render_report(sealed_heart.run).read_text()
    assert "What did the coordinator see?" in page
    assert coordinator_view(sealed_heart.run).sites[0].sample in page
    assert "Each is correct" in page
    assert "What did the coordinator see?" not in render_report(heart.run).read_text()


def test_the_auditor_convicts_a_coordinator_that_published_another_sum(tmp_path: Path) -> None:
    over = done("heart-diagnosis", tmp_path, {**TWO, "aggregation": "encrypted"})
    folder = over.run.vault / "round-2" / "updates"
    sums = bytearray((folder / "sums.bin").read_bytes())
    sums[1000] ^= 1
    (folder / "sums.bin").write_bytes(sums)
    found = [verdict for verdict in Auditor.for_run(over.run).check_sums() if verdict.deviation]
    assert [(verdict.server_round, verdict.what) for verdict in found] == [(2, "updates")]
    assert "the coordinator published a sum other than" in found[0].deviation
    assert "the coordinator published a sum other than" in render_report(over.run).read_text()

    upload = next(folder.glob("upload-*.bin"))
    altered = bytearray(upload.read_bytes())
    altered[1000] ^= 1
    upload.write_bytes(altered)
    found = [verdict for verdict in Auditor.for_run(over.run).check_sums() if verdict.deviation]
    assert "an upload other than" in found[0].deviation
    upload.unlink()
    found = [verdict for verdict in Auditor.for_run(over.run).check_sums() if verdict.deviation]
    assert "did not keep the upload" in found[0].deviation


def test_a_run_in_the_clear_has_nothing_to_audit(heart: Done) -> None:
    with pytest.raises(BadRunDirectory, match="in the clear"):
        Auditor.for_run(heart.run)


def test_the_trained_model_predicts_a_users_own_table(heart: Done, tmp_path: Path) -> None:
    model = read_model(heart.run.model)
    source = TableFile(path=heart.run.site("hungary") / "data.parquet")
    table = pd.read_parquet(source.path).drop(columns=["disease", "patient"])
    own = tmp_path / "own.csv"
    table.to_csv(own, index=False)
    frame = predictions(heart.run, TableFile(path=own))
    assert list(frame["row"]) == list(range(1, len(table) + 1))
    expected = model.task.predict(source, model.statistics, model.vector)
    np.testing.assert_allclose(frame["probability_yes"], expected, rtol=1e-6)
    assert set(frame["predicted"]) == {"no", "yes"}
    table.drop(columns=["age"]).to_csv(own, index=False)
    with pytest.raises(ConsortiumError, match="age"):
        predictions(heart.run, TableFile(path=own))


def test_a_regression_predicts_in_the_labels_unit(tmp_path: Path) -> None:
    over = done("house-prices", tmp_path, TWO)
    source = TableFile(path=over.run.site("east-office") / "data.parquet")
    frame = predictions(over.run, source)
    assert list(frame.columns) == ["row", "house", "sale_price"]
    assert frame["sale_price"].between(0, 1_000_000).all()


def test_a_directory_without_a_model_predicts_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="no trained model"):
        read_model(tmp_path)


def test_a_model_with_replaced_parameters_is_refused(heart: Done, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for item in heart.run.model.iterdir():
        (folder / item.name).write_bytes(item.read_bytes())
    described = json.loads((folder / "model.json").read_text())
    described["layout_digest"] = "0" * 64
    (folder / "model.json").write_text(json.dumps(described))
    with pytest.raises(BadModel, match="do not match the model in"):
        read_model(folder)


def test_a_comparison_measures_every_arm_on_the_same_records(heart: Done) -> None:
    comparison = compare(HEART, heart.config, heart.run, tell=lambda _text: None, n_resamples=50)
    kinds = [arm.kind for arm in comparison.arms]
    assert sorted(kinds) == ["alone"] * 4 + ["federated", "pooled"]
    assert comparison.held_out == heart.summary.held_out
    assert all(arm.low <= arm.value <= arm.high for arm in comparison.arms)
    federated = next(arm for arm in comparison.arms if arm.kind == "federated")
    pooled_metric = heart.summary.metrics["roc_auc"]
    assert abs(federated.value - pooled_metric.value) <= pooled_metric.error_bound
    assert {one.against for one in comparison.differences} == {*HEART.sites, "pooled"}


# Bad input: one bad site never ends the run.

Damage = Callable[[pd.DataFrame], pd.DataFrame]


def with_text(frame: pd.DataFrame) -> pd.DataFrame:
    frame["age"] = frame["age"].astype(object)
    frame.loc[frame.index[0], "age"] = "sixty"
    return frame


def own_data(damage: Damage, tmp_path: Path) -> TableFile:
    staged = new_run_directory(HEART, under=tmp_path / "staged", named=None)
    stage(staged, HEART)
    frame = pd.read_parquet(staged.site("hungary") / "data.parquet")
    path = tmp_path / "own.csv"
    damage(frame).to_csv(path, index=False)
    return TableFile(path=path)


def run_with(source: TableFile, tmp_path: Path) -> tuple[RunDirectory, Summary]:
    config = HEART.config_with(TWO)
    run = new_run_directory(HEART, under=tmp_path, named=None)
    order = ScenarioRun(scenario=HEART, config=config, own_data={"hungary": source})
    return run, run_scenario(order, run)


def test_a_site_with_bad_data_is_excluded_and_the_report_says_so(tmp_path: Path) -> None:
    """Kinds of bad data and their messages: see tests/scenarios/engines/test_runner.py."""
    run, summary = run_with(own_data(with_text, tmp_path), tmp_path)
    assert summary.status == "finished"
    assert {record.code for record in summary.quarantined} == {"site-refused.bad-table"}
    page = render_report(run).read_text()
    assert "Its data break the agreed schema (columns 1, values 1)." in page
    assert "sixty" not in page


def run_with_app(
    tmp_path: Path,
    misbehave: Callable[[Message, Context], Message],
    chosen: dict[str, Scalar],
) -> RunDirectory:
    run = new_run_directory(HEART, under=tmp_path, named=None)
    config = HEART.config_with({**TWO, **chosen})
    stage(run, HEART, config=config)
    apps = dict.fromkeys(range(4), client_app)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENVIRONMENT, str(run.path))
        run_in_process(server_app, {**apps, 1: misbehave}, num_sites=4, run_config=config.flat())
    return run


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_site_that_is_silent_in_a_round_is_left_out_and_the_run_continues(
    aggregation: str, tmp_path: Path
) -> None:
    def silent_in_round_two(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "train" and message.metadata.group_id == "2":
            raise Vanished
        return client_app(message, context)

    # With masks the run waits for the site instead, and is parked if it stays away.
    chosen: dict[str, Scalar] = {"deadline-s": 3.0, "aggregation": aggregation, "masks": False}
    run = run_with_app(tmp_path, silent_in_round_two, chosen)
    summary = read_record(run.summary, Summary)
    assert summary.status == "finished"
    assert [(one.server_round, one.site, one.code) for one in summary.quarantined] == [
        (2, "hungary", "silent")
    ]
    assert set(summary.evaluated) == set(HEART.sites)


def test_the_exception_of_a_site_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quoted = "patient Jane Roe, 61, cholesterol 285"

    def quoting(*_args: object, **_options: object) -> int:
        raise KeyError(quoted)

    def failing(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "train":
            site = context.node_config["partition-id"]
            assert site == 1
            with monkeypatch.context() as patch:
                patch.setattr(
                    "sites.tasks.tabular.model.train",
                    lambda *_a, **_k: (_ for _ in ()).throw(KeyError(quoted)),
                )
                return client_app(message, context)
        return client_app(message, context)

    run = run_with_app(tmp_path, failing, {})
    summary = read_record(run.summary, Summary)
    assert summary.status == "finished"
    assert {one.code for one in summary.quarantined} == {"site-refused.site-error"}
    assert quoted in (run.site("hungary") / "site.log").read_text()
    for path in run.path.rglob("*"):
        if path.is_file() and path.name != "site.log":
            assert quoted.encode() not in path.read_bytes()


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_run_without_its_quorum_stops_names_who_is_missing_and_leaves_a_report(
    aggregation: str, tmp_path: Path
) -> None:
    def gone(_message: Message, _context: Context) -> Message:
        raise Vanished

    chosen: dict[str, Scalar] = {"quorum": 4, "deadline-s": 0.5, "aggregation": aggregation}
    with pytest.raises(ConsortiumError, match="hungary"):
        run_with_app(tmp_path, gone, chosen)
    run = RunDirectory(next(tmp_path.glob("heart-diagnosis-*")))
    summary = read_record(run.summary, Summary)
    assert summary.status == "failed"
    assert "quorum-not-reached" in summary.error
    page = render_report(run).read_text()
    assert "Failed" in page
    assert ("there is nothing to show" in page) == (aggregation == "encrypted")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"quorum": 5}, "quorum=5 can never be reached by 4 members"),
        ({"quorum": 1}, "below the charter's floor of 2"),
        ({"rule.num-byzantine": 1}, "does not survive 1 liars"),
        ({"model": "linear"}, "linear cannot predict"),
        ({"aggregation": "encrypted", "buckets": 2, "weighting": "equal"}, "need 6 sites, got 4"),
    ],
)
def test_an_impossible_run_is_refused_with_the_numbers(
    chosen: dict[str, Scalar], said: str, tmp_path: Path
) -> None:
    config = HEART.config_with({**TWO, **chosen, "deadline-s": 1.0, "join-deadline-s": 1.0})
    run = new_run_directory(HEART, under=tmp_path, named=None)
    with pytest.raises(ConsortiumError) as refused:
        run_scenario(ScenarioRun(scenario=HEART, config=config), run)
    log = run.site("cleveland") / "site.log"
    assert said in str(refused.value) + (log.read_text() if log.exists() else "")


def test_the_runner_reports_why_a_run_failed(tmp_path: Path) -> None:
    config = HEART.config_with({**TWO, "learning-rate": 1e6, "quorum": 4})
    run = new_run_directory(HEART, under=tmp_path, named=None)
    with pytest.raises(RunFailed, match="quorum-not-reached"):
        run_scenario(ScenarioRun(scenario=HEART, config=config), run)
    assert isinstance(config, RunConfig)
    SITE_PROCESS.clear()
