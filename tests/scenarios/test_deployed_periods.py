"""A later period is counted between institutions as it is in one process, to the bit."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, Tallies, read_record
from consortium.site.periods import declare_period
from privacy.storage.site_process import SITE_PROCESS
from scenarios.data.datasets import heart_hospitals, load_dataset
from scenarios.engines.deployment import running_consortium
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.monitoring import count_period
from scenarios.library.registry import scenario_named
from sites.data.source import DataSource, TableFile

THREE = ("cleveland", "hungary", "va-long-beach")
HEART = replace(scenario_named("heart-diagnosis"), sites=THREE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def older_patients(folder: Path) -> Mapping[str, DataSource]:
    frame = load_dataset("heart-disease")
    owner, sources = heart_hospitals(frame), {}
    for name in THREE:
        part = frame[owner == name].copy()
        part["age"] = pd.to_numeric(part["age"]) + 12.0
        path = folder / f"{name}.csv"
        part.to_csv(path, index=False)
        sources[name] = TableFile(path=path)
    return sources


def test_a_deployed_count_of_a_period_is_that_of_one_process(tmp_path: Path) -> None:
    config = HEART.config_with({"num-server-rounds": 1, "aggregation": "encrypted"})
    run = new_run_directory(HEART, under=tmp_path, named=tmp_path / "run")
    run_scenario(ScenarioRun(scenario=HEART, config=config, engine="deployment"), run)
    copy = RunDirectory(shutil.copytree(run.path, tmp_path / "copy"))
    sources = older_patients(tmp_path)
    for name in THREE:
        declare_period(run.site(name), "2026-03", sources[name])
    coordinator = run.path / "deployment" / "coordinator"
    with running_consortium(coordinator, [run.site(name) for name in THREE]):
        said = CliRunner().invoke(app, ["monitor", str(coordinator), "--period", "2026-03"])
    assert said.exit_code == 0, said.output
    assert "shifted" in said.output
    summary = read_record(run.period("2026-03").summary, Summary)
    assert (summary.status, summary.rounds, summary.evaluated) == ("finished", 0, [*THREE])
    SITE_PROCESS.clear()
    count_period(copy, "2026-03", sources)
    deployed, here = (read_record(one.period("2026-03").evaluation, Tallies) for one in (run, copy))
    assert deployed.pooled == here.pooled
    assert not deployed.by_site
