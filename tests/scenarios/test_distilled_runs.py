"""Runs whose sites have encoders of their own, and send sums of answers to agreed texts only."""

import json
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from consortium.config import RunConfig, Scalar
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from consortium.site.site import site_of
from scenarios.engines.runner import RunFailed, ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from sites.plans import TextModelPlan
from tests.scenarios.test_text_runs import SCENARIO, SITES
from tests.sites.learners.distillation.public_texts import agreed
from tests.sites.tiny_encoders import tiny

ENCODERS = dict(zip(SITES, (tiny("bert"), tiny("gpt2"), tiny("modernbert")), strict=True))


def with_own_encoders(run: RunDirectory) -> None:
    """Give each site an encoder of its own, of another family."""
    for name, encoder in ENCODERS.items():
        path = run.site(name) / "site.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "encoder": encoder}))


def config(folder: Path, **chosen: Scalar) -> RunConfig:
    plan = agreed(folder)
    keys: dict[str, Scalar] = {
        "model-name": tiny("bert"),
        "max-tokens": 32,
        "stride": 4,
        "learner": "distil",
        "distil.file": plan.file,
        "distil.digest": plan.digest,
        "distil.texts": plan.texts,
        "distil.epochs": 2,
        **{key.replace("_", "-"): value for key, value in chosen.items()},
    }
    return SCENARIO.config_with(keys)


def run(folder: Path, **chosen: Scalar) -> tuple[RunDirectory, Summary]:
    directory = new_run_directory(SCENARIO, under=folder, named=None)
    order = ScenarioRun(
        scenario=SCENARIO, config=config(folder, **chosen), on_staged=with_own_encoders
    )
    return directory, run_scenario(order, directory)


def encoder_at(site: Path, asked: RunConfig) -> str:
    """Return the encoder that a site takes in a run."""
    found = site_of(Context(1, 1, {"site-dir": str(site)}, RecordDict(), asked.flat()))
    assert isinstance(found.task.model, TextModelPlan)
    return found.task.model.base


def test_sites_with_three_families_share_answers_sealed_as_in_the_clear(tmp_path: Path) -> None:
    """To the bit, in two exchanges; the shared state is an average of probabilities."""
    made, clear = run(tmp_path)
    _, sealed = run(tmp_path, aggregation="encrypted")
    assert clear.status == sealed.status == "finished"
    assert clear.model_digest == sealed.model_digest
    assert clear.metrics == sealed.metrics
    for name, encoder in ENCODERS.items():
        assert encoder_at(made.site(name), config(tmp_path)) == encoder
        assert encoder_at(made.site(name), config(tmp_path, learner="gradient")) == tiny("bert")
    state = read_model(RunDirectory(made.site("north")).path / "model").vector.reshape(-1, 3)
    np.testing.assert_allclose(state.sum(axis=1), 1, atol=1e-5)
    assert state.std(axis=0).min() > 0


@pytest.mark.parametrize(
    "chosen",
    [{"dp.unit": "person", "dp.epsilon": 3.0}, {"personalise": "fine-tune"}],
    ids=["noise", "personalise"],
)
def test_what_answers_cannot_have_is_refused_before_anything_is_read(
    chosen: dict[str, Scalar], tmp_path: Path
) -> None:
    with pytest.raises(RunFailed, match="distil sends exact tallies"):
        run(tmp_path, **chosen)
