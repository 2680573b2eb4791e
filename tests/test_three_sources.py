"""One encrypted run of hospitals that keep their records as FHIR, as OMOP and as a CSV file."""

from pathlib import Path

import pandas as pd
import pytest

from consortium.model.files import read_model
from scenarios.cli.main import app as scenario
from scenarios.data.datasets import heart_hospitals, load_dataset
from tests.fhir_exports import MMOL_CHOLESTEROL, heart_map, write_heart_export
from tests.omop_databases import heart_omop_map, write_heart_database
from tests.typed import typed

WORDS = ("heart-diagnosis", "--set", "aggregation=encrypted", "--set", "num-server-rounds=1")


def hospital(name: str) -> pd.DataFrame:
    """Return the patients of a hospital, in the order of their numbers."""
    frame = load_dataset("heart-disease")
    ours = frame[heart_hospitals(frame) == name].drop(columns=["hospital", "severity"])
    return ours.sort_values("patient", ignore_index=True)


def measured(frame: pd.DataFrame, *, digits: int) -> pd.DataFrame:
    """Return patients of whom every fifth has the cholesterol that a number of mmol/L gives.

    Args:
        frame: The patients.
        digits: Decimals of that number.
    """
    given = (frame["cholesterol"] / MMOL_CHOLESTEROL).round(digits) * MMOL_CHOLESTEROL
    again = (given / MMOL_CHOLESTEROL).round(digits) * MMOL_CHOLESTEROL
    pd.testing.assert_series_equal(given, again, check_exact=True)
    every_fifth = frame["patient"].astype(int) % 5 == 0
    return frame.assign(cholesterol=frame["cholesterol"].where(~every_fifth, given))


def write_hospitals(folder: Path) -> None:
    """Write the same patients twice: as each hospital keeps them, and as CSV files."""
    of_omop, of_fhir = measured(hospital("cleveland"), digits=3), hospital("va-long-beach")
    of_fhir = measured(of_fhir, digits=12)
    write_heart_database(of_omop, folder / "cdm.duckdb")
    (folder / "omop.toml").write_text(heart_omop_map())
    of_omop.to_csv(folder / "cleveland.csv", index=False)
    write_heart_export(of_fhir, folder / "ehr")
    (folder / "fhir.toml").write_text(heart_map())
    named = of_fhir.assign(patient=[f"p{number}" for number in of_fhir["patient"]])
    named.to_csv(folder / "va-long-beach.csv", index=False)
    hospital("hungary").to_csv(folder / "hungary.csv", index=False)


def trained_digest(folder: Path, name: str, sources: dict[str, str]) -> str:
    """Return the digest of the model that a run over sources says it made."""
    data = [word for site, source in sources.items() for word in ("--data", f"{site}={source}")]
    said = typed(scenario, "run", *WORDS, *data, "--out", folder / name)
    assert "4 sites joined" in said
    model = read_model(folder / name / "model")
    return model.task.layout.digest_of(model.vector)


@pytest.mark.slow
def test_fhir_omop_and_csv_train_the_model_of_the_same_persons_in_csv(tmp_path: Path) -> None:
    write_hospitals(tmp_path)
    mixed = {
        "cleveland": f"omop:{tmp_path}/cdm.duckdb,map:{tmp_path}/omop.toml",
        "va-long-beach": f"fhir:{tmp_path}/ehr,map:{tmp_path}/fhir.toml",
        "hungary": f"{tmp_path}/hungary.csv",
    }
    in_csv = {name: f"{tmp_path}/{name}.csv" for name in mixed}
    assert trained_digest(tmp_path, "mixed", mixed) == trained_digest(tmp_path, "csv", in_csv)
