"""Three wards whose records are DataFrames, and a run of theirs that several tests look at."""

import numpy as np
import pandas as pd
import pytest

import consortium as c
from consortium.config import Scalar

WARDS = ("ward-a", "ward-b", "ward-c")
PLAN: dict[str, Scalar] = {"model": "logistic", "local-epochs": 1}


def ward(seed: int, n_rows: int = 60) -> pd.DataFrame:
    """Return made-up discharges."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 90, n_rows)
    haemoglobin = rng.normal(13, 2, n_rows).round(1)
    return pd.DataFrame(
        {
            "patient": np.arange(n_rows),
            "age": age,
            "haemoglobin": np.where(rng.random(n_rows) < 0.1, np.nan, haemoglobin),
            "admitted": rng.choice(["planned", "emergency"], n_rows),
            "readmitted": np.where(rng.random(n_rows) < age / 120, "yes", "no"),
        }
    )


@pytest.fixture(scope="session")
def schema() -> c.Schema:
    return c.Schema(
        name="discharges",
        person="patient",
        features=(
            c.Number(name="age", low=0, high=120, unit="years"),
            c.Number(name="haemoglobin", low=2, high=25, unit="g/dl", missing=True),
            c.Category(name="admitted", values=("planned", "emergency")),
        ),
        label=c.ClassLabel(column="readmitted", classes=("no", "yes")),
    )


@pytest.fixture(scope="session")
def frames() -> dict[str, pd.DataFrame]:
    return {name: ward(seed) for seed, name in enumerate(WARDS)}


@pytest.fixture(scope="session")
def run(
    schema: c.Schema, frames: dict[str, pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> c.Run:
    """Two rounds in the clear, compared."""
    out = tmp_path_factory.mktemp("api") / "run"
    return c.compare(schema, frames, rounds=2, config=PLAN, out=out)
