"""An encoder is what its files are: all of them, and nothing that they do not hold."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from safetensors.numpy import load_file, save_file

from sites.models.encoder import Encoder, Role, encoder_for
from sites.models.encoder_files import EncoderFiles, UnfitEncoder
from sites.plans import TextModelPlan, Travels
from tests.files.refusals import refusal
from tests.sites.small_encoders import small

Change = Callable[[Path], None]


def edit(file: Path, **changes: object) -> None:
    """Change values of a JSON file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def keep_case_and_accents(folder: Path) -> None:
    """Give an encoder another tokenizer with the same vocabulary."""
    described = json.loads((folder / "tokenizer.json").read_text())
    normalizer = {**described["normalizer"], "lowercase": False, "strip_accents": False}
    edit(folder / "tokenizer.json", normalizer=normalizer)
    edit(folder / "tokenizer_config.json", do_lower_case=False)


def compute_otherwise(folder: Path) -> None:
    """Give an encoder other heads and another activation with the same weights."""
    edit(folder / "config.json", num_attention_heads=6, hidden_act="relu")


def leave(folder: Path) -> None:
    """Leave an encoder as it is."""


def wrap(folder: Path) -> None:
    """Save the weights as those of a wrapped model, whose names all begin with `module.`."""
    file = folder / "model.safetensors"
    wrapped = {f"module.{name}": array for name, array in load_file(file).items()}
    save_file(wrapped, file, metadata={"format": "pt"})


def claim_more_layers(folder: Path) -> None:
    """Let the config say two layers more than the weights have."""
    edit(folder / "config.json", num_hidden_layers=4)


def claim_more_words(folder: Path) -> None:
    """Let the config say three words more than the weights have."""
    words = json.loads((folder / "config.json").read_text())["vocab_size"]
    edit(folder / "config.json", vocab_size=words + 3)


def changed(change: Change, folder: Path) -> Path:
    """Return a copy of the small encoder with a change in its files."""
    copy = Path(copytree(small(), folder / change.__name__))
    change(copy)
    return copy


def encoder(folder: Path, travels: Travels) -> Encoder:
    """Return the encoder in a directory, ready for three classes of texts."""
    plan = TextModelPlan(base=str(folder), travels=travels, lora_rank=2)
    return encoder_for(Role(plan, "texts", 3, 7))


SITES = (leave, keep_case_and_accents, compute_otherwise)


def test_encoders_that_read_or_compute_otherwise_have_digests_of_their_own(tmp_path: Path) -> None:
    digests = [EncoderFiles.find(str(changed(one, tmp_path))).digest for one in SITES]
    assert len(set(digests)) == len(SITES)


@pytest.mark.parametrize("change", SITES[1:])
def test_encoders_that_read_or_compute_otherwise_do_not_fit_together(
    change: Change, tmp_path: Path
) -> None:
    """Sites with other layouts are refused."""
    ours, theirs = (encoder(changed(one, tmp_path), "head") for one in (leave, change))
    assert ours.layout != theirs.layout


def test_of_an_encoder_whose_files_are_whole_the_adapters_and_the_head_travel(
    tmp_path: Path,
) -> None:
    assert encoder(changed(leave, tmp_path), "lora").layout.dim == 155_139


@pytest.mark.parametrize("change", [wrap, claim_more_layers, claim_more_words])
def test_an_encoder_whose_weights_lack_a_part_of_it_is_refused(
    change: Change, tmp_path: Path
) -> None:
    folder = changed(change, tmp_path)
    assert isinstance(refusal(lambda: encoder(folder, "lora")), UnfitEncoder)
