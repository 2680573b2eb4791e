"""An exported model predicts without this program what `scenario predict` says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from consortium.cli.main import app
from consortium.config import Scalar
from scenarios.experiments.prediction import predictions
from sites.data.source import TableFile
from sites.schema.tables import Schema
from tests.graph_runs import session_of
from tests.scenarios.conftest import Done, done

RUNS: dict[str, dict[str, Scalar]] = {
    "network": {"num-server-rounds": 2},
    "linear": {"num-server-rounds": 2, "model": "logistic"},
    "regression": {"learner": "glm", "missing-values": "indicator"},
    "trees": {"learner": "trees", "trees.count": 5, "trees.depth": 3},
}


def exported(run: Done, folder: Path) -> onnx.ModelProto:
    made = CliRunner().invoke(app, ["export", str(run.run.path), str(folder), "--onnx"])
    assert made.exit_code == 0, made.output
    return onnx.load(folder / "model.onnx")


def table_of(run: Done, site: str) -> pd.DataFrame:
    return pd.read_parquet(run.run.site(site) / "data.parquet")


def raw(model: onnx.ModelProto, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Return what the file asks for, as anybody would who has read its inputs."""
    texts = {
        one.name
        for one in model.graph.input
        if one.type.tensor_type.elem_type == onnx.TensorProto.STRING
    }
    return {
        one.name: frame[one.name].astype(object).where(frame[one.name].notna(), "").to_numpy()
        if one.name in texts
        else frame[one.name].to_numpy(np.float64)
        for one in model.graph.input
    }


@pytest.mark.parametrize("kind", RUNS)
def test_it_predicts_what_the_run_predicts(kind: str, tmp_path: Path) -> None:
    run = done("heart-diagnosis", tmp_path, RUNS[kind])
    model = exported(run, tmp_path / "out")
    for site in ("cleveland", "va-long-beach"):
        frame = table_of(run, site)
        frame.to_csv(tmp_path / "own.csv", index=False)
        ours = predictions(run.run, TableFile(path=tmp_path / "own.csv"))["probability_yes"]
        session = session_of((tmp_path / "out" / "model.onnx").read_bytes())
        (found,) = session.run(["probability"], raw(model, frame))
        assert len(found) == len(frame)
        np.testing.assert_allclose(found, ours, rtol=0, atol=1e-6)
    schema = run.scenario.table
    assert isinstance(schema, Schema)
    facts = {one.key: one.value for one in model.metadata_props}
    assert facts["schema-digest"] == schema.fingerprint
    assert facts["run"] == run.run.path.name
    assert facts["model-digest"] == run.summary.model_digest
    assert json.loads(facts["classes"]) == ["no", "yes"]
    units = {one["name"]: one.get("unit") for one in json.loads(facts["columns"])}
    assert units["age"] == "years"
    assert "must not decide by itself" in facts["limits"]
    assert [one.name for one in model.graph.input] == [one.name for one in schema.features]
