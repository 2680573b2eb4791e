import json
from pathlib import Path
from shutil import copytree

import pytest
from safetensors.numpy import load_file, save_file

from sites.models.encoder import Role, encoder_for
from sites.models.encoder_files import EncoderFiles, OtherEncoder, UnfitEncoder, UnknownEncoder
from sites.plans import MINILM
from tests.sites.small_encoders import plan, small


def test_minilm_comes_with_a_package() -> None:
    assert EncoderFiles.find(MINILM).config["model_type"] == "bert"


def test_the_digest_changes_with_the_weights_and_with_the_vocabulary(tmp_path: Path) -> None:
    original = EncoderFiles.find(small()).digest
    same = copytree(small(), tmp_path / "same")
    assert EncoderFiles.find(str(same)).digest == original
    arrays = load_file(same / "model.safetensors")
    arrays["pooler.dense.bias"] = arrays["pooler.dense.bias"] + 1
    save_file(arrays, same / "model.safetensors", metadata={"format": "pt"})
    assert EncoderFiles.find(str(same)).digest != original


def test_another_encoder_than_the_run_asks_for_is_refused_naming_both() -> None:
    asked, here = EncoderFiles.find(small(3)).digest, EncoderFiles.find(small()).digest
    with pytest.raises(OtherEncoder, match=f"needs the encoder with digest {asked}.* has {here}"):
        encoder_for(Role(plan(digest=asked), "texts", 3, 7))
    encoder_for(Role(plan(digest=here), "texts", 3, 7))


def test_a_name_that_is_not_on_this_machine_is_refused_without_a_download() -> None:
    with pytest.raises(UnknownEncoder, match="nothing is downloaded"):
        EncoderFiles.find("nobody/has-this-encoder")


def test_a_directory_without_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(UnfitEncoder, match="pickled weights could run code"):
        EncoderFiles.find(str(tmp_path))


def test_another_family_is_refused_by_name(tmp_path: Path) -> None:
    copytree(small(), tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "mamba"}))
    with pytest.raises(UnfitEncoder, match="holds a 'mamba', but only these can be trained: "):
        EncoderFiles.find(str(tmp_path / "other"))
