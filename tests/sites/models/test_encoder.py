from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaModel,
)

from sites.models.encoder import Encoder, Reads, Role, encoder_for, padded_windows, window_batches
from sites.models.encoder_files import EncoderFiles, UnfitEncoder
from sites.plans import MINILM, BadPlan, TextModelPlan
from tests.sites.small_encoders import plan, small

WINDOWS = [np.array([101, *range(2000, 2000 + n), 102], np.int32) for n in (3, 9, 1, 5)]
TRAVELS = ("lora", "head", "top-k", "full")


def encoder(travels: str, reads: Reads = "texts", seed: int = 7, **changes: object) -> Encoder:
    return encoder_for(Role(plan(travels, **changes), reads, 3, seed))


def scores(one: Encoder, vector: np.ndarray) -> torch.Tensor:
    with one.hold_parameters(vector):
        return one.all_scores(WINDOWS, one.features(WINDOWS))


@pytest.mark.parametrize("travels", TRAVELS)
def test_only_the_parameters_that_travel_are_trained(travels: str) -> None:
    """The layout names the trained parameters; the rest keeps the numbers of the files."""
    one = encoder(travels)
    names = {item.name for item in one.layout.fields}
    trained = {name for name, item in one.model.named_parameters() if item.requires_grad}
    assert names == trained
    assert {name for name in names if name.startswith("classifier.")} == {
        "classifier.weight",
        "classifier.bias",
    }
    inside = {name for name in names if "encoder.layer" in name or "embeddings" in name}
    match travels:
        case "lora":
            assert len(inside) == 8
            assert all("lora_" in name for name in inside)
        case "head":
            assert not inside
        case "top-k":
            assert inside
            assert all(".layer.1." in name for name in inside)
        case "full":
            held = load_file(Path(small()) / "model.safetensors")
            assert len(names) == len(held) + 2


@pytest.mark.parametrize("travels", TRAVELS)
def test_the_initial_encoder_equals_that_of_the_files_for_every_head(travels: str) -> None:
    """Initial adapters change nothing, and known parameters have the numbers of the files."""
    one = encoder(travels)
    arrays = one.layout.unflatten(one.start)
    held = load_file(Path(small()) / "model.safetensors")
    for name, array in arrays.items():
        inner = name.removeprefix("bert.")
        if inner in held:
            assert (array == held[inner]).all()
        if "lora_B" in name:
            assert not array.any()


def test_every_choice_of_trained_parameters_starts_from_the_same_model() -> None:
    found = [scores(encoder(travels), np.zeros(encoder(travels).layout.dim)) for travels in TRAVELS]
    for other in found[1:]:
        torch.testing.assert_close(found[0], other, atol=1e-5, rtol=1e-5)


def test_new_parameters_depend_on_the_seed_of_the_run_only() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one = Encoder(Role(plan(), "texts", 3, 7), EncoderFiles.find(small()))
    assert (torch.random.get_rng_state() == before).all()
    torch.manual_seed(2)
    again = Encoder(Role(plan(), "texts", 3, 7), EncoderFiles.find(small()))
    other = encoder("lora", seed=8)
    assert (one.start == again.start).all()
    assert one.layout.digest == again.layout.digest
    assert not (one.start == other.start).all()
    assert one.layout.digest != other.layout.digest


def test_another_base_has_another_layout() -> None:
    one = encoder("lora")
    other = encoder("lora", base=small(3))
    assert one.layout.digest != other.layout.digest
    assert one.files.digest in one.layout.start
    assert other.files.digest in other.layout.start


def test_the_settings_of_an_adapter_are_part_of_the_layout() -> None:
    assert encoder("lora").layout.digest != encoder("lora", lora_alpha=3.0).layout.digest


def test_encoders_are_shared_in_a_process() -> None:
    assert encoder("lora") is encoder("lora")


@pytest.mark.parametrize("travels", ["lora", "head"])
@pytest.mark.parametrize("order", [[3, 1, 2, 0], [2], [0, 3]])
def test_scores_of_a_window_do_not_depend_on_the_other_windows(
    order: list[int], travels: str
) -> None:
    one = encoder(travels)
    vector = np.random.default_rng(1).normal(0, 0.02, one.layout.dim)
    whole = scores(one, vector)
    windows = [WINDOWS[i] for i in order]
    with one.hold_parameters(vector):
        moved = one.all_scores(windows, one.features(windows))
    torch.testing.assert_close(whole[order], moved, atol=2e-6, rtol=1e-5)


def test_cached_features_give_the_scores_of_the_whole_model() -> None:
    """The same head on a frozen encoder, with cached features or with the whole model."""
    one, full = encoder("head"), encoder("full")
    rng = np.random.default_rng(3)
    change = rng.normal(0, 0.1, one.layout.dim)
    zero = full.layout.unflatten(np.zeros(full.layout.dim))
    head = scores(one, change)
    whole = scores(full, full.layout.flatten({**zero, **one.layout.unflatten(change)}))
    torch.testing.assert_close(head, whole, atol=1e-5, rtol=1e-5)


def test_each_token_has_its_own_scores() -> None:
    one = encoder("lora", reads="tokens")
    with one.hold_parameters(np.zeros(one.layout.dim)):
        found = one.scores(WINDOWS, None, exact=True)
    assert found.shape == (4, 11, 3)
    assert encoder("head", reads="tokens").features(WINDOWS) is None


def test_windows_are_padded_to_the_longest_of_their_batch() -> None:
    ids, mask = padded_windows(WINDOWS, 0)
    assert ids.shape == mask.shape == (4, 11)
    assert mask.sum(dim=1).tolist() == [len(window) for window in WINDOWS]
    assert (ids[mask == 0] == 0).all()


@given(st.lists(st.integers(1, 9), max_size=200))
def test_windows_of_similar_size_share_a_batch_each_once(sizes: list[int]) -> None:
    windows = [np.zeros(size, np.int32) for size in sizes]
    parts = list(window_batches(windows))
    assert sorted(int(i) for part in parts for i in part) == list(range(len(sizes)))
    ordered = [sizes[i] for part in parts for i in part]
    assert ordered == sorted(sizes)


def test_a_plan_that_does_not_fit_the_encoder_is_refused() -> None:
    with pytest.raises(BadPlan, match=r"max_tokens is 513, .* reads at most 512"):
        encoder("lora", max_tokens=513)
    with pytest.raises(BadPlan, match=r"top_layers is 3, .* has 2 layers"):
        encoder("top-k", top_layers=3)


def test_minilm_with_lora_rank_8_sends_at_most_1300_kB() -> None:
    """An update is sent as float32."""
    role = Role(TextModelPlan(base=MINILM), "texts", 22, 7)
    assert encoder_for(role).layout.dim * 4 <= 1_300_000


FAMILIES = {
    "distilbert": (
        DistilBertModel,
        DistilBertConfig(
            vocab_size=30522,
            dim=16,
            n_layers=2,
            n_heads=2,
            hidden_dim=16,
            max_position_embeddings=32,
        ),
    ),
    "roberta": (
        RobertaModel,
        RobertaConfig(
            vocab_size=30522,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=34,
            type_vocab_size=1,
            pad_token_id=1,
        ),
    ),
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("travels", TRAVELS)
def test_other_families_are_trained_like_bert(tmp_path: Path, family: str, travels: str) -> None:
    """Parameters that the files lack, such as a new head, travel too."""
    build, config = FAMILIES[family]
    torch.manual_seed(1)
    build(config).save_pretrained(tmp_path)
    EncoderFiles.find(small()).tokenizer.save_pretrained(tmp_path)
    one = Encoder(
        Role(plan(travels, base=str(tmp_path)), "texts", 3, 7), EncoderFiles.find(str(tmp_path))
    )
    assert any(item.name.startswith("classifier") for item in one.layout.fields)
    found = scores(one, np.zeros(one.layout.dim))
    assert found.shape == (4, 3)
    assert found.isfinite().all()


def test_files_without_an_encoder_are_refused(tmp_path: Path) -> None:
    BertModel(
        BertConfig(
            vocab_size=30522,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    ).save_pretrained(tmp_path)
    EncoderFiles.find(small()).tokenizer.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UnfitEncoder, match="cannot be read"):
        Encoder(Role(plan(base=str(tmp_path)), "texts", 3, 7), EncoderFiles.find(str(tmp_path)))
