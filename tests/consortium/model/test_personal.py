"""The model that a site makes for itself out of the shared one."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from consortium.config import BadConfig, RunConfig
from consortium.model.files import read_model
from consortium.model.personal import (
    NoPersonalModel,
    keep_personal_model,
    personal_folder,
    read_personal_figures,
    require_personal_folder,
)
from consortium.protocol.aggregation import rule_spec
from consortium.report.site_text import site_text
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from consortium.site.directory import read_site_config
from consortium.site.site import records_of
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.bootstrap import resampled_metric
from scenarios.experiments.comparison import compare
from scenarios.experiments.prediction import predictions
from scenarios.library.registry import scenario_named
from scenarios.scenario import Scenario
from tests.consortium.staged import ward

HEART, ROUNDS = scenario_named("heart-diagnosis"), 2


def run_of(folder: Path, scenario: Scenario = HEART, **chosen: Any) -> RunDirectory:
    settings = {key.replace("_", "-"): value for key, value in chosen.items()}
    config = scenario.config_with({"num-server-rounds": ROUNDS, "on-finding": "off", **settings})
    run = new_run_directory(scenario, under=folder, named=None)
    run_scenario(ScenarioRun(scenario=scenario, config=config), run)
    return run


def digest(run: RunDirectory) -> str:
    return read_record(run.summary, Summary).model_digest


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """All that each site answered, of one run after the other."""
    heard: list[list[Any]] = []
    pull = InProcessGrid.pull_messages

    def listen(grid: InProcessGrid, message_ids: Iterable[str]) -> Iterable[Message]:
        replies = [*pull(grid, message_ids)]
        heard[-1] += [
            (
                reply.metadata.src_node_id,
                reply.metadata.message_type,
                {name: dict(record) for name, record in reply.content.config_records.items()},
                {
                    (name, key): (array.dtype, array.shape, array.data)
                    for name, record in reply.content.array_records.items()
                    for key, array in record.items()
                },
            )
            for reply in replies
            # A greeting has the end of the site's ledger, which no two sites have in common.
            if reply.metadata.message_type != "query.hello"
        ]
        return replies

    monkeypatch.setattr(InProcessGrid, "pull_messages", listen)
    return heard


@pytest.mark.parametrize("method", ["fine-tune", "ditto", "own-head"])
def test_every_site_has_a_model_of_its_own_and_nothing_more_leaves(
    tmp_path: Path, method: str, answers: list[list[Any]]
) -> None:
    """The coordinator compares all that it gets with what it gets without the key."""
    answers.append([])
    shared = run_of(tmp_path / "shared")
    answers.append([])
    own = run_of(tmp_path / "own", personalise=method)
    assert digest(shared) == digest(own)
    assert answers[0]
    assert answers[0] == answers[1]
    vectors = [read_model(personal_folder(own.site(name))).vector for name in HEART.sites]
    released = read_model(own.model).vector
    for name, vector in zip(HEART.sites, vectors, strict=True):
        assert not np.array_equal(vector, released)
        figures = read_personal_figures(own.site(name))
        assert figures is not None
        assert (figures.method, figures.shared_digest) == (method, digest(own))
        assert figures.own != figures.shared
        assert read_personal_figures(shared.site(name)) is None
        assert "## Its own model" in site_text(own.site(name))
        assert "## Its own model" not in site_text(shared.site(name))
    assert len({vector.tobytes() for vector in vectors}) == len(vectors)
    # The coordinator's part of the directory has none of their figures.
    theirs = list(own.path.rglob("figures.json"))
    assert {path.relative_to(own.path).parts[0] for path in theirs} == {"sites"}


def test_an_encrypted_run_gives_each_site_the_same_own_model(tmp_path: Path) -> None:
    clear, sealed = (
        run_of(tmp_path / mode, personalise="ditto", aggregation=mode)
        for mode in ("clear", "encrypted")
    )
    for name in HEART.sites:
        first, second = (read_model(personal_folder(run.site(name))) for run in (clear, sealed))
        assert second.vector == pytest.approx(first.vector, abs=1e-4)
        figures = read_personal_figures(sealed.site(name))
        assert figures is not None
        assert figures.shared_digest == digest(sealed)


def test_a_site_that_cannot_train_keeps_the_shared_model_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An infinite loss, and nobody to train on: neither ends the answer."""
    here, folder = ward(tmp_path, personalise="fine-tune"), tmp_path / "model"
    folder.mkdir()
    far = np.full_like(here.vector(), 3e38)
    keep_personal_model(here.site, here.statistics, far, folder, server_round=3)
    assert not (folder / "personal").exists()
    assert "training-diverged" in caplog.text
    assert "e+38" not in caplog.text


def test_a_later_run_leaves_no_own_model_of_an_earlier_one(tmp_path: Path) -> None:
    here = ward(tmp_path, personalise="fine-tune")
    site, folder = here.site, tmp_path / "model"
    folder.mkdir()
    keep_personal_model(site, here.statistics, here.vector(), folder, server_round=3)
    assert (folder / "personal" / "figures.json").exists()
    (tmp_path / "other").mkdir()
    plain = ward(tmp_path / "other")
    keep_personal_model(plain.site, here.statistics, here.vector(), folder, server_round=3)
    assert not (folder / "personal").exists()


def test_the_card_says_for_whom_it_is(tmp_path: Path) -> None:
    here = ward(tmp_path, personalise="own-head")
    keep_personal_model(here.site, here.statistics, here.vector(), tmp_path, server_round=3)
    card = (tmp_path / "personal" / "README.md").read_text()
    assert "for this site" in card
    assert "do not hand it out" in card


def test_a_site_without_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoPersonalModel, match="personalise="):
        require_personal_folder(tmp_path)


def test_figures_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    folder = personal_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "figures.json").write_text(json.dumps({"version": 2}))
    with pytest.raises(NoPersonalModel, match="run the last run again"):
        read_personal_figures(tmp_path)


@pytest.mark.parametrize(
    ("name", "chosen", "says"),
    [
        ("heart-diagnosis", {"personalise": "own-norms"}, "no normalisation layers"),
        ("clinical-notes", {"personalise": "own-norms"}, "set travels to full or top-k"),
        ("heart-odds", {"personalise": "fine-tune"}, "Set personalise to none"),
    ],
)
def test_what_a_model_has_not_is_refused_before_the_run(
    name: str, chosen: dict[str, Any], says: str
) -> None:
    scenario = scenario_named(name)
    with pytest.raises(BadConfig, match=says):
        rule_spec(scenario.config_with(chosen), scenario.charter)
    norms = {"personalise": "own-norms", "travels": "full"}
    notes = scenario_named("clinical-notes")
    assert rule_spec(notes.config_with(norms), notes.charter)


def test_runs_before_the_key_have_the_digest_that_they_had() -> None:
    config = RunConfig.parse({})
    assert config.digest == RunConfig.parse({"personalise": "none"}).digest
    assert config.digest != RunConfig.parse({"personalise": "ditto"}).digest
    assert config.update_settings == RunConfig.parse({"personalise": "ditto"}).update_settings


def test_the_comparison_scores_each_sites_records_by_its_own_model(tmp_path: Path) -> None:
    """And `predict --site` uses that model, to the bit; of no site that is not there."""
    run = run_of(tmp_path, personalise="fine-tune")
    config = RunConfig.parse(read_record(run.summary, Summary).config)
    found = compare(HEART, config, run, tell=lambda _text: None, n_resamples=5)
    arms = {one.site or one.kind: one for one in found.arms}
    assert [one.against for one in found.differences].count("personal") == 1
    assert arms["personal"].value != arms["federated"].value
    for name in HEART.sites:
        model = read_model(personal_folder(run.site(name)))
        held = records_of(model.task, run.site(name), config)
        scores, labels = model.task.score(held, model.statistics, model.vector)
        metric = resampled_metric(HEART.headline.name, scores, labels.astype(np.float64))
        own = metric(np.ones(held.held_out_examples))
        assert arms[name].personal_on_own == own
        source = read_site_config(run.site(name)).source
        shown = predictions(run, source, site=name)["probability_yes"].to_numpy()
        assert np.array_equal(shown, model.predict(source))
    with pytest.raises(NoPersonalModel):
        predictions(run, source, site="nobody")
