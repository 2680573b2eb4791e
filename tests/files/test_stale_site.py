"""A site reads its records anew for each run: what is kept is keyed by what a file is."""

from pathlib import Path
from shutil import rmtree

import pandas as pd
import pytest

from consortium.audit.cross_check import find_logs, read_log, require_agreement
from consortium.charter.document import Charter
from scenarios.data.datasets import load_dataset
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.library.heart_diagnosis import SCENARIO
from sites.data.source import TableFile


def model_of(frame: pd.DataFrame, folder: Path, place: str) -> str:
    """Return the digest of the model that hospitals with these records train in a directory."""
    files = {}
    for name in SCENARIO.sites:
        path = folder / f"{name}.csv"
        frame[frame["hospital"] == name].to_csv(path, index=False)
        files[name] = TableFile(path=path)
    rmtree(folder / place, ignore_errors=True)
    run = new_run_directory(SCENARIO, under=folder, named=folder / place)
    config = SCENARIO.config_with({"num-server-rounds": 1})
    return run_scenario(
        ScenarioRun(scenario=SCENARIO, config=config, own_data=files), run
    ).model_digest


def test_a_run_in_the_place_of_another_trains_on_its_own_records(tmp_path: Path) -> None:
    """Its model is the one that the same records give elsewhere."""
    frame = load_dataset("heart-disease")
    flipped = frame.assign(disease=frame["disease"].map({"no": "yes", "yes": "no"}))
    before = model_of(frame, tmp_path, "same")
    after = model_of(flipped, tmp_path, "same")
    assert after != before
    assert after == model_of(flipped, tmp_path, "other")


@pytest.mark.parametrize("aggregation", ["clear", "encrypted"])
def test_a_run_in_the_place_of_another_keeps_its_own_evidence(
    tmp_path: Path, aggregation: str
) -> None:
    """What the first one left open in this process is not what the second one writes to."""
    for _ in range(2):
        rmtree(tmp_path / "run", ignore_errors=True)
        run = new_run_directory(SCENARIO, under=tmp_path, named=tmp_path / "run")
        config = SCENARIO.config_with({"num-server-rounds": 1, "aggregation": aggregation})
        assert run_scenario(ScenarioRun(scenario=SCENARIO, config=config), run).status == "finished"
    charter = Charter.read(run.charter)
    require_agreement([read_log(path, charter) for path in find_logs(run.path)])
    assert len(find_logs(run.path)) == 1 + len(SCENARIO.sites)
