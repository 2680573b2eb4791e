from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from consortium.charter.document import Charter, Member
from consortium.cli.export import find_model_folder, find_run
from consortium.cli.main import app
from consortium.config import RunConfig
from consortium.model.files import BadModel, read_model, write_model
from consortium.model.provisional import make_provisional_folder
from consortium.run.records import write_record
from consortium.site.directory import SiteConfig
from consortium.site.policy_templates import for_a_scenario
from consortium.site.site import Site
from sites.data.source import TableFile
from sites.schema.tables import Schema
from tests.consortium.staged import Ward, ward
from tests.graph_runs import session_of
from tests.sites.small_encoders import SIDES, small, table

CHARTER = Charter(name="wards", task="clinical-notes", table=SIDES, members=(Member(name="one"),))
CONFIG = RunConfig.parse({"model-name": small(), "lora-rank": 2, "max-tokens": 32, "stride": 8})


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A hospital with a trained model of its notes."""
    directory = tmp_path_factory.mktemp("run") / "sites" / "one"
    directory.mkdir(parents=True)
    table(n=20).to_parquet(directory / "notes.parquet")
    for_a_scenario(CHARTER).write(directory)
    config = SiteConfig(name="one", source=TableFile(path=directory / "notes.parquet"))
    write_record(directory / "site.json", config)
    site = Site(directory, config, CHARTER, CONFIG)
    vector = np.random.default_rng(1).normal(0, 0.05, site.task.layout.dim)
    write_model(site, site.task.statistics_of(site.data), vector.astype(np.float32))
    return site


def exported(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["export", *arguments])
    if found.exception:
        raise found.exception
    return found.output


def test_a_hospital_keeps_what_was_trained_with_its_card_and_no_text(notes: Site) -> None:
    folder = notes.directory / "model"
    names = {path.name for path in folder.iterdir()}
    assert {"adapter_model.safetensors", "labels.json", "README.md", "tokenizer.json"} <= names
    assert "config.json" not in names
    card = (folder / "README.md").read_text()
    assert "training records of" in card
    assert not any(text in card for text in notes.data.training.texts)  # type: ignore[attr-defined]


def test_a_whole_model_is_exported_from_a_sites_or_a_runs_directory(
    notes: Site, tmp_path: Path
) -> None:
    exported(str(notes.directory), str(tmp_path / "whole"))
    run = notes.directory.parent.parent
    exported(str(run), str(tmp_path / "again"))
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        assert (tmp_path / "whole" / name).is_file()
    arrays = [load_file(tmp_path / one / "model.safetensors") for one in ("whole", "again")]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert not any("lora" in name for name in arrays[0])


def test_only_what_was_trained_is_exported_on_request(notes: Site, tmp_path: Path) -> None:
    exported(str(notes.directory / "model"), str(tmp_path / "part"), "--adapter")
    assert (tmp_path / "part" / "adapter_config.json").is_file()


def test_nothing_is_overwritten(notes: Site, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(FileExistsError, match="is not empty"):
        exported(str(notes.directory), str(tmp_path))


def test_the_model_of_a_table_is_exported_as_arrays(tmp_path: Path) -> None:
    hungary: Ward = ward(tmp_path)
    folder = write_model(hungary.site, hungary.statistics, hungary.vector())
    exported(str(folder), str(tmp_path / "out"))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.safetensors",
        "README.md",
    }


def test_onnx_is_written_on_request_and_reads_the_columns_of_the_table(tmp_path: Path) -> None:
    hungary: Ward = ward(tmp_path)
    folder = write_model(hungary.site, hungary.statistics, hungary.vector())
    exported(str(folder), str(tmp_path / "out"), "--onnx")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"model.onnx", "model.safetensors", "README.md"}
    session = session_of((tmp_path / "out" / "model.onnx").read_bytes())
    schema = hungary.site.charter.table
    assert isinstance(schema, Schema)
    assert [one.name for one in session.get_inputs()] == [item.name for item in schema.features]


def test_a_model_of_notes_is_not_written_as_onnx(notes: Site, tmp_path: Path) -> None:
    """Nothing is written at all: half an export looks like a whole one."""
    with pytest.raises(ValueError, match="has texts: transformers loads their model"):
        exported(str(notes.directory), str(tmp_path / "out"), "--onnx")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_model_is_said_to_hold_none(tmp_path: Path) -> None:
    assert find_model_folder(tmp_path) == tmp_path
    assert find_run(tmp_path) is None
    with pytest.raises(ValueError, match="holds no trained model"):
        exported(str(tmp_path), str(tmp_path / "out"))


def test_a_model_of_notes_predicts_elsewhere(notes: Site, tmp_path: Path) -> None:
    table(n=5)[["text"]].to_csv(tmp_path / "new.csv", index=False)
    shares = read_model(notes.directory / "model").predict(TableFile(path=tmp_path / "new.csv"))
    assert shares.shape == (5, 3)


def test_a_model_that_is_not_confirmed_is_not_exported(tmp_path: Path) -> None:
    make_provisional_folder(tmp_path / "site", "run")
    with pytest.raises(BadModel, match="provisional"):
        find_model_folder(tmp_path / "site")
