"""Every family of encoders is read, trained from and exported as transformers itself does."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from sites.models.encoder import Encoder, Reads, Role, encoder_for
from sites.models.encoder_export import write_merged
from sites.models.encoder_files import EncoderFiles, UnfitEncoder
from sites.models.families import FAMILIES, pooled_of, why_unfit
from sites.plans import BadPlan, TextModelPlan, Travels
from sites.text.tokenisation import cut_texts
from sites.text.word_alignment import Piece, Sentence, cut_sentences
from sites.training.per_layer_gradients import UnclippableModel
from sites.training.privacy_units import Units
from sites.training.recorded_passes import RecordedPasses
from tests.sites.private_models import Case, clipped_sum, gradients_by_person
from tests.sites.tiny_encoders import tiny

TEXTS = ["left atrium pain and swelling", "no", "right knee, no fever; pain", "middle lobe naïve"]
SENTENCES = [text.split() for text in TEXTS]
TRAVELS: tuple[Travels, ...] = ("lora", "head", "top-k", "full")
LABELS = ("left", "mid", "right")
ON_ONES_OWN = ("gpt2", "llama", "modernbert", "qwen2", "roberta", "xlm-roberta")

# Of some families most choices, and the rest of all families with `make test-all`.
QUICK = {
    "albert": ("head",),
    "bert": ("lora",),
    "distilbert": ("full",),
    "gpt2": ("lora", "head"),
    "llama": ("lora", "full"),
    "modernbert": ("lora", "head"),
    "roberta": ("top-k",),
}
TRIED = [
    pytest.param(family, travels, marks=() if quick else pytest.mark.slow)
    for family in sorted(FAMILIES)
    for travels in TRAVELS
    for quick in (travels in QUICK.get(family, ()),)
]
every_family = pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family in ON_ONES_OWN else pytest.mark.slow)
        for family in sorted(FAMILIES)
    ],
)


def encoder(
    family: str, travels: Travels, reads: Reads = "texts", *, n_outputs: int = 3, **settings: object
) -> Encoder:
    plan = TextModelPlan(
        base=tiny(family, **settings),
        travels=travels,
        top_layers=1,
        lora_rank=2,
        max_tokens=32,
        stride=4,
    )
    return encoder_for(Role(plan, reads, n_outputs, 7))


def moved(one: Encoder) -> NDArray[np.float64]:
    """Return a vector some distance from the initial model."""
    drawn = np.random.default_rng(1).normal(0, 0.1, one.layout.dim)
    return drawn.astype(np.float32).astype(np.float64)


def scores(one: Encoder, vector: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the scores that an evaluation of this vector counts."""
    windows = cut_texts(TEXTS, one.files.tokenizer, size=32, overlap=4).windows
    with one.hold_parameters(vector):
        return one.all_scores(windows, one.features(windows)).numpy()


def read_sentences(one: Encoder) -> list[Sentence]:
    by: Piece = "last" if one.files.family.left_to_right else "first"
    return cut_sentences(SENTENCES, one.files.tokenizer, size=32, overlap=4, by=by)


@torch.no_grad()
def scores_of_transformers(folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return the scores of exported files for a batch of texts, by transformers alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = AutoTokenizer.from_pretrained(folder)(list(texts), padding=True, return_tensors="pt")
    found: NDArray[np.float32] = model(**batch).logits.numpy()
    return found


@pytest.mark.parametrize(("family", "travels"), TRIED)
def test_what_is_exported_is_what_was_evaluated(
    family: str, travels: Travels, tmp_path: Path
) -> None:
    """To 2e-6, in a padded batch and text by text, whatever pads and wherever positions begin."""
    one = encoder(family, travels)
    expected = scores(one, moved(one))
    write_merged(one, moved(one), LABELS, tmp_path)
    np.testing.assert_allclose(scores_of_transformers(tmp_path, TEXTS), expected, atol=2e-6)
    alone = [scores_of_transformers(tmp_path, [text]) for text in TEXTS]
    np.testing.assert_allclose(np.concatenate(alone), expected, atol=2e-6)


@every_family
@torch.no_grad()
def test_exported_taggers_read_words_as_they_were_evaluated(family: str, tmp_path: Path) -> None:
    """To 2e-6, in running text: words in a row are not run together."""
    one = encoder(family, "lora", "tokens")
    read = read_sentences(one)
    with one.hold_parameters(moved(one)):
        expected = one.scores([item.windows[0].ids for item in read], None, exact=True).numpy()
    write_merged(one, moved(one), LABELS, tmp_path)
    model = AutoModelForTokenClassification.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    for row, (text, item) in enumerate(zip(TEXTS, read, strict=True)):
        (window,) = item.windows
        batch = tokenizer(text, return_tensors="pt")
        assert batch["input_ids"][0].tolist() == window.ids.tolist()
        found = model(**batch).logits[0].numpy()
        n = len(window.ids)
        np.testing.assert_allclose(found, expected[row, :n], atol=2e-6)
        assert window.words.tolist() == list(range(len(text.split())))


@pytest.mark.parametrize(("family", "last"), [("roberta", False), ("gpt2", True)])
def test_a_word_is_classified_by_a_piece_of_its_own(family: str, last: bool) -> None:
    """By the first; by the last where a model reads from left to right."""
    assert FAMILIES[family].left_to_right == last
    tokenizer = EncoderFiles.find(tiny(family)).tokenizer
    by: Piece = "last" if last else "first"
    (item,) = cut_sentences([["left", "unknown", "knee"]], tokenizer, size=32, overlap=4, by=by)
    (window,) = item.windows
    start, end = window.positions[1], window.positions[2]
    if last:
        start, end = window.positions[0] + 1, window.positions[1] + 1
    assert end - start > 1  # it has several
    assert tokenizer.decode(window.ids[start:end]).strip() == "unknown"


@every_family
def test_only_the_head_of_a_family_is_new(family: str) -> None:
    """The rest has the numbers of the files; adapters are at every attention."""
    layouts = [encoder(family, travels).layout for travels in ("head", "lora")]
    heads, adapted = ({field.name for field in one.fields} for one in layouts)
    of_heads = ("classifier", "pooler", "score", "head.")
    assert all(any(part in name for part in of_heads) for name in heads)
    assert heads < adapted
    n_layers = 1 if family == "albert" else 2  # ALBERT runs one layer again and again
    downs = [name for name in adapted - heads if "lora_A" in name]
    assert len(downs) == n_layers * len(FAMILIES[family].attended)
    assert len(adapted - heads) == 2 * len(downs)


@pytest.mark.parametrize(
    ("family", "travels"),
    [
        ("gpt2", "lora"),
        ("modernbert", "head"),
        *(
            pytest.param(family, travels, marks=pytest.mark.slow)
            for family in ("albert", *ON_ONES_OWN)
            for travels in ("lora", "head")
            if (family, travels) != ("albert", "lora")
        ),
    ],
)
def test_private_gradients_of_a_family_are_those_of_persons_one_by_one(
    family: str, travels: Travels
) -> None:
    one = encoder(family, travels, n_outputs=1)
    windows = cut_texts(TEXTS, one.files.tokenizer, size=32, overlap=4).windows
    features = one.features(windows)

    def losses(rows: torch.Tensor) -> torch.Tensor:
        chosen = None if features is None else features[rows]
        return one.scores([windows[row] for row in rows], chosen, exact=True)[:, 0].square()

    with one.hold_parameters(moved(one)) as model:
        case = Case(model, losses, len(windows))
        drawn = Units(np.arange(4), np.arange(1, 5)).records_of(np.arange(4))
        each = gradients_by_person(case, drawn)
        found = clipped_sum(case, drawn, clip_norm=1e3, passes=RecordedPasses(model, losses))
    torch.testing.assert_close(found, each.sum(0), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "travels", "said"),
    [
        ("gpt2", "full", "no rule clips the parameters of .*Conv1D"),
        ("llama", "top-k", "no rule clips the parameters of .*LlamaRMSNorm"),
        ("albert", "lora", "is used twice in a pass"),
    ],
)
def test_what_privacy_cannot_bound_is_refused_by_name(
    family: str, travels: Travels, said: str
) -> None:
    one = encoder(family, travels)
    windows = cut_texts(TEXTS, one.files.tokenizer, size=32, overlap=4).windows

    def losses(rows: torch.Tensor) -> torch.Tensor:
        return one.scores([windows[row] for row in rows], None, exact=True).square().sum(1)

    drawn = Units(np.arange(4), np.arange(1, 5)).records_of(np.arange(4))
    with one.hold_parameters(moved(one)) as model, pytest.raises(UnclippableModel, match=said):
        RecordedPasses(model, losses)(drawn)


def test_the_mean_over_tokens_is_read_where_the_config_says_so(tmp_path: Path) -> None:
    travels: Travels
    for travels in ("head", "full"):
        one = encoder("modernbert", travels, classifier_pooling="mean")
        assert one.files.pooled == pooled_of(one.files.config) == "mean"
        write_merged(one, moved(one), LABELS, tmp_path / travels)
        expected = scores(one, moved(one))
        found = scores_of_transformers(tmp_path / travels, TEXTS)
        np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize("pad", [pytest.param(None, marks=pytest.mark.slow), 7, -1])
def test_a_text_is_read_to_its_last_token_whatever_pads(pad: int | None, tmp_path: Path) -> None:
    """No identifier, that of a word, or an impossible one: transformers finds the end by it."""
    one = encoder("llama", "full", pad_token_id=pad)
    write_merged(one, moved(one), LABELS, tmp_path)
    expected = scores(one, moved(one))
    np.testing.assert_allclose(scores_of_transformers(tmp_path, TEXTS), expected, atol=2e-6)


def test_a_model_of_two_classes_has_a_head_without_bias_that_is_widened(tmp_path: Path) -> None:
    one = encoder("gpt2", "head", n_outputs=1)
    write_merged(one, moved(one), ("no", "yes"), tmp_path)
    found = scores_of_transformers(tmp_path, TEXTS)
    assert not found[:, 0].any()
    np.testing.assert_allclose(found[:, 1:], scores(one, moved(one)), atol=2e-6)


def test_more_layers_than_there_are_to_train_are_refused() -> None:
    plan = TextModelPlan(
        base=tiny("albert"), travels="top-k", top_layers=2, max_tokens=32, stride=4
    )
    with pytest.raises(BadPlan, match="has 1 layers"):
        encoder_for(Role(plan, "texts", 3, 7))


@pytest.mark.parametrize("family", ["mpnet", "roberta"])
def test_families_that_number_from_after_the_padding_read_two_tokens_less(family: str) -> None:
    plan = TextModelPlan(base=tiny(family), max_tokens=39, stride=4)
    with pytest.raises(BadPlan, match="reads at most 38 tokens"):
        encoder_for(Role(plan, "texts", 3, 7))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "t5"}, "a 't5', an encoder with a decoder"),
        ({"model_type": "bart"}, "use a model of one of the two alone"),
        ({"model_type": "house", "auto_map": {}}, "code from its own directory, which is not run"),
        ({"model_type": "mixtral"}, "a 'mixtral', but only these can be trained: .* llama"),
        ({"model_type": "llama", "quantization_config": {}}, "quantised weights"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(
    config: dict[str, object], said: str, tmp_path: Path
) -> None:
    """By the files alone, before anything of them is loaded or sent."""
    folder = copytree(tiny("bert"), tmp_path / "other")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnfitEncoder, match=said):
        EncoderFiles.find(str(folder))
    assert why_unfit(config)


def test_every_family_is_fit() -> None:
    assert not [kind for kind in FAMILIES if why_unfit({"model_type": kind})]


def test_adapters_without_their_model_are_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UnfitEncoder, match="merge them"):
        EncoderFiles.find(str(tmp_path))


def test_a_model_that_nothing_pads_is_refused(tmp_path: Path) -> None:
    folder = copytree(tiny("llama"), tmp_path / "other")
    for name in ("config.json", "tokenizer_config.json"):
        held = json.loads((folder / name).read_text())
        for key in ("pad_token_id", "eos_token_id", "eos_token", "pad_token"):
            held[key] = None
        (folder / name).write_text(json.dumps(held))
    with pytest.raises(UnfitEncoder, match=r"set pad_token_id in config\.json"):
        EncoderFiles.find(str(folder))


def test_a_tokenizer_with_more_pieces_than_the_encoder_has_embeddings_is_refused(
    tmp_path: Path,
) -> None:
    files = EncoderFiles.find(tiny("bert"))
    AutoModel.from_pretrained(files.folder).save_pretrained(tmp_path)
    files.tokenizer.add_tokens(["dyspnoea", "orthopnoea"])
    files.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UnfitEncoder, match="30524 pieces, but embeddings for 30522"):
        EncoderFiles.find(str(tmp_path))
