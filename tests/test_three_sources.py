"""One encrypted run of hospitals that keep their records as FHIR, as OMOP and as a CSV file."""

from itertools import takewhile
from pathlib import Path

import pandas as pd
import pytest

from consortium.deployment.processes import free_port
from consortium.model.files import read_model
from consortium.run.directory import RunDirectory
from consortium.run.records import Summary, read_record
from scenarios.cli.main import app as scenario
from scenarios.data.datasets import heart_hospitals, load_dataset
from tests.docs.pages import OPERATE, shell_lines
from tests.fhir_exports import MMOL_CHOLESTEROL, heart_map, write_heart_export
from tests.followed_operation import PORT, end_all_under, type_command, with_programs
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


def sources_of(folder: Path) -> dict[str, str]:
    """Return how each hospital names its records, by the name of the hospital."""
    return {
        "cleveland": f"omop:{folder}/cdm.duckdb,map:{folder}/omop.toml",
        "va-long-beach": f"fhir:{folder}/ehr,map:{folder}/fhir.toml",
        "hungary": f"{folder}/hungary.csv",
    }


def trained_digest(
    folder: Path, name: str, sources: dict[str, str], *, engine: str = "inprocess"
) -> str:
    """Return the digest of the model that a run over sources says it made."""
    data = [word for site, source in sources.items() for word in ("--data", f"{site}={source}")]
    out = folder / name
    said = typed(scenario, "run", *WORDS, "--engine", engine, *data, "--out", out)
    assert "4 sites joined" in said
    model = read_model(out / "model")
    return model.task.layout.digest_of(model.vector)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fhir_omop_and_csv_train_the_model_of_the_same_persons_in_csv(tmp_path: Path) -> None:
    """In one process, and with Flower's SuperLink and a SuperNode for each hospital."""
    write_hospitals(tmp_path)
    mixed = sources_of(tmp_path)
    in_csv = trained_digest(tmp_path, "csv", {name: f"{tmp_path}/{name}.csv" for name in mixed})
    assert trained_digest(tmp_path, "mixed", mixed) == in_csv
    assert trained_digest(tmp_path, "deployed", mixed, engine="deployment") == in_csv


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fhir_omop_and_csv_are_operated_together_as_the_page_says(tmp_path: Path) -> None:
    """The page's commands with other records: private, encrypted, and its logs verified."""
    write_hospitals(tmp_path)
    environment = with_programs(tmp_path / "bin")
    port, sites = str(free_port()), ("cleveland", "hungary", "va")
    try:
        for command in operated(sources_of(tmp_path)):
            said = type_command(command.replace(PORT, port), tmp_path, environment)
            if command.startswith("consortium audit verify"):
                assert "4 of 4 logs intact" in said
    finally:
        left = end_all_under(tmp_path)
    assert left == []
    summary = read_record(RunDirectory(tmp_path / "coordinator/runs/first").summary, Summary)
    assert (summary.status, summary.rounds) == ("finished", 2)
    models = [read_model(tmp_path / site / "model") for site in sites]
    digests = {model.task.layout.digest_of(model.vector) for model in models}
    assert digests == {summary.model_digest}


def operated(sources: dict[str, str]) -> list[str]:
    """Return the page's commands to a run of two rounds, its audit and the end of all parties.

    Args:
        sources: What takes the place of the page's CSV file of each hospital.
    """
    page = shell_lines(OPERATE)
    given = list(takewhile(lambda line: not line.startswith("consortium run "), page))
    for name, source in sources.items():
        practice = f"--data practice/{name}.csv"
        assert sum(practice in line for line in given) == 1
        given = [line.replace(practice, f"--data {source}") for line in given]
    run = page[len(given)].replace(" --no-wait", "")
    assert "aggregation=encrypted" in run
    verify = next(line for line in page if line.startswith("consortium audit verify"))
    down = [line for line in page if " down " in line and "--kill" not in line]
    return [*given, run.replace("num-server-rounds=30", "num-server-rounds=2"), verify, *down]
