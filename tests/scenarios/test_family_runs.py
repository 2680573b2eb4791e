"""Whole runs with encoders of several families, and what a site refuses by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.config import Scalar
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.prediction import predictions
from scenarios.library import clinical_entities
from scenarios.scenario import Scenario
from sites.data.source import TableFile
from tests.scenarios.test_text_runs import SCENARIO as NOTES
from tests.sites.small_encoders import table
from tests.sites.tiny_encoders import tiny

TINY: dict[str, Scalar] = {"max-tokens": 32, "stride": 4, "num-server-rounds": 2}
QUICK = "gpt2"
FAMILIES = [
    QUICK,
    *(
        pytest.param(family, marks=pytest.mark.slow)
        for family in ("modernbert", "llama", "qwen2", "albert", "deberta-v2", "mpnet", "roberta")
    ),
]


def first_sentences() -> pd.DataFrame:
    """Return some sentences of every site."""
    assert clinical_entities.SCENARIO.records is not None
    frame = clinical_entities.SCENARIO.records()
    return frame.iloc[::20].reset_index(drop=True)


ENTITIES = replace(clinical_entities.SCENARIO, records=first_sentences)


def run(
    scenario: Scenario, folder: Path, family: str, **chosen: Scalar
) -> tuple[RunDirectory, Summary]:
    directory = new_run_directory(scenario, under=folder, named=None)
    settings = {key.replace("_", "-"): value for key, value in chosen.items()}
    config = scenario.config_with({**TINY, "model-name": tiny(family), **settings})
    return directory, run_scenario(ScenarioRun(scenario=scenario, config=config), directory)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_from_notes_sealed_as_in_the_clear(family: str, tmp_path: Path) -> None:
    """In two rounds; every metric within 0.001, nothing is cut off, and new notes get a class."""
    kept, clear = run(NOTES, tmp_path / "clear", family)
    _, sealed = run(NOTES, tmp_path / "sealed", family, aggregation="encrypted")
    assert clear.status == sealed.status == "finished"
    assert sealed.saturation is not None
    assert sealed.saturation.values == {}
    for name, metric in sealed.metrics.items():
        assert metric.value == pytest.approx(clear.metrics[name].value, abs=1e-3)
    table(n=5, seed=9)[["text"]].to_csv(tmp_path / "new.csv", index=False)
    found = predictions(RunDirectory(kept.site("north")), TableFile(path=tmp_path / "new.csv"))
    shares = found.filter(like="probability").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "llama", "modernbert", "roberta"])
def test_a_family_learns_entities_sealed_as_in_the_clear(family: str, tmp_path: Path) -> None:
    _, clear = run(ENTITIES, tmp_path / "clear", family)
    _, sealed = run(ENTITIES, tmp_path / "sealed", family, aggregation="encrypted")
    assert clear.status == sealed.status == "finished"
    for name, metric in sealed.metrics.items():
        assert metric.value == pytest.approx(clear.metrics[name].value, abs=1e-3)
