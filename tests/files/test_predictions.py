"""A table is scored row by row, also where of a row nothing is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from consortium.charter.document import Floors
from consortium.run.directory import RunDirectory
from scenarios.engines.runner import ScenarioRun, run_scenario
from scenarios.engines.staging import new_run_directory
from scenarios.experiments.prediction import predictions
from scenarios.scenario import Scenario
from sites.data.source import TableFile
from sites.schema.tables import ClassLabel, Number, Schema

SCENARIO = Scenario(
    name="wards",
    title="Three wards",
    story="Made up, for tests.",
    task="diagnosis",
    table=Schema(
        name="ward",
        person="patient",
        features=(
            Number(name="a", low=-10, high=10, missing=True),
            Number(name="b", low=-10, high=10, missing=True),
        ),
        label=ClassLabel(column="ill", classes=("no", "yes")),
    ),
    sites=("ward-a", "ward-b", "ward-c"),
    run_config={"model": "logistic", "num-server-rounds": 1},
    floors=Floors(full_class_examples=100),
)

# Of the second patient nothing was measured.
AS_CSV = "a,b\n1.0,2.0\n,\n-1.0,0.5\n"
AS_JSON = '{"a": 1.0, "b": 2.0}\n{"a": null, "b": null}\n{"a": -1.0, "b": 0.5}\n'


def trained(folder: Path) -> RunDirectory:
    """Return a run of three wards, each with 60 patients of its own."""
    files = {}
    for seed, name in enumerate(SCENARIO.sites):
        a, b = np.random.default_rng(seed).uniform(-3, 3, size=(2, 60))
        ill = np.where(a > 0, "yes", "no")
        path = folder / f"{name}.csv"
        pd.DataFrame({"patient": range(60), "a": a, "b": b, "ill": ill}).to_csv(path, index=False)
        files[name] = TableFile(path=path)
    run = new_run_directory(SCENARIO, under=folder, named=None)
    run_scenario(
        ScenarioRun(scenario=SCENARIO, config=SCENARIO.config_with({}), own_data=files), run
    )
    return run


def test_a_row_without_a_value_is_scored_in_its_place_in_every_format(tmp_path: Path) -> None:
    """One row for each row of the table, in order: row 3 is the third patient."""
    run = trained(tmp_path)
    scored = []
    for name, text in (("new.csv", AS_CSV), ("new.jsonl", AS_JSON)):
        path = tmp_path / name
        path.write_text(text)
        scored.append(predictions(run, TableFile(path=path)))
    assert [list(frame["row"]) for frame in scored] == [[1, 2, 3]] * 2
    of_csv, of_json = (frame["probability_yes"].tolist() for frame in scored)
    assert of_csv == pytest.approx(of_json)
