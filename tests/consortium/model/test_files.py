import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st
from safetensors.numpy import load_file

from consortium.config import BadConfig
from consortium.model.files import BadModel, read_model, write_model
from tests.consortium.staged import Ward, ward


@pytest.fixture(scope="module")
def hungary(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    return ward(tmp_path_factory.mktemp("run"))


@pytest.fixture
def model(hungary: Ward, tmp_path: Path) -> Path:
    """A trained model."""
    written = write_model(hungary.site, hungary.statistics, hungary.vector())
    return Path(shutil.copytree(written, tmp_path / "model"))


@how(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 1e-30, 1.0, 1e30]))
def test_a_model_is_read_as_it_was_written(hungary: Ward, seed: int, scale: float) -> None:
    """They are equal to the bit, because a federated vector holds float32 numbers."""
    vector = (scale * hungary.vector(seed)).astype(np.float32).astype(np.float64)
    read = read_model(write_model(hungary.site, hungary.statistics, vector))
    assert np.array_equal(read.vector, vector)
    assert np.array_equal(read.statistics, hungary.statistics)
    assert read.charter == hungary.site.charter
    assert read.config == hungary.config
    assert read.task.layout == hungary.site.task.layout


def test_a_model_predicts_elsewhere_what_it_predicts_at_the_site(
    hungary: Ward, model: Path
) -> None:
    source, task = hungary.site.config.source, hungary.site.task
    expected = task.predict(source, hungary.statistics, hungary.vector())
    assert np.array_equal(read_model(model).predict(source), expected)


def test_other_programs_find_the_parameters_by_name(hungary: Ward, model: Path) -> None:
    parameters = load_file(model / "model.safetensors")
    expected = hungary.site.task.parameters(hungary.vector())
    assert set(parameters) == set(expected)
    for name, array in expected.items():
        assert np.array_equal(parameters[name], array)


def test_a_model_holds_no_record_and_no_path_of_the_site(hungary: Ward, model: Path) -> None:
    assert {path.name for path in model.iterdir()} == {
        "model.json",
        "model.safetensors",
        "federated.safetensors",
    }
    for path in model.iterdir():
        assert str(hungary.run.path).encode() not in path.read_bytes()


@pytest.mark.parametrize("gone", ["model.json", "federated.safetensors"])
def test_a_folder_that_lacks_a_part_holds_no_model(gone: str, model: Path) -> None:
    (model / gone).unlink()
    with pytest.raises(BadModel, match="holds no trained model"):
        read_model(model)


@pytest.mark.parametrize("name", ["model.json", "federated.safetensors"])
def test_half_a_file_is_no_model(name: str, model: Path) -> None:
    whole = (model / name).read_bytes()
    for length in range(0, len(whole), len(whole) // 16):
        (model / name).write_bytes(whole[:length])
        with pytest.raises(BadModel, match="holds no trained model"):
            read_model(model)


def described(model: Path, **changes: object) -> None:
    path = model / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_numbers_of_another_model_are_refused(model: Path) -> None:
    described(model, layout_digest="0" * 64)
    with pytest.raises(BadModel, match="do not match the model in its"):
        read_model(model)


def test_a_description_of_another_model_is_refused(hungary: Ward, model: Path) -> None:
    described(model, config={**hungary.config.flat(), "model": "mlp"})
    with pytest.raises(BadModel, match="do not match the model in its"):
        read_model(model)


def test_a_description_with_more_in_it_is_refused(model: Path) -> None:
    described(model, surprise=1)
    with pytest.raises(BadModel, match="surprise"):
        read_model(model)


def test_a_description_under_unknown_keys_is_refused(hungary: Ward, model: Path) -> None:
    described(model, config={**hungary.config.flat(), "colour": "red"})
    with pytest.raises(BadConfig, match="colour"):
        read_model(model)
