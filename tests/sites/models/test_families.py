"""Every family of encoders is read, trained from and exported as transformers itself does."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

from sites.models.encoder import Encoder, Role, encoder_for
from sites.models.encoder_export import write_merged
from sites.models.encoder_files import FAMILIES, EncoderFiles, UnfitEncoder
from sites.plans import TextModelPlan, Travels
from tests.sites.small_encoders import small

PADDING = 3  # not what the families come with
WINDOWS = [np.array([101, *range(2000, 2000 + n), 102], np.int32) for n in (3, 9, 1, 5)]
TRAVELS: tuple[Travels, ...] = ("lora", "head", "top-k", "full")
LABELS = ("left", "mid", "right")

every_family = pytest.mark.parametrize("family", sorted(FAMILIES))
# Of three families every choice, of the others adapters and the whole model; `make test-all`
# tries every choice of all families.
TRIED = [
    pytest.param(family, travels, marks=() if quick else pytest.mark.slow)
    for family in sorted(FAMILIES)
    for travels in TRAVELS
    for quick in (travels in ("lora", "full") or family in ("bert", "distilbert", "roberta"),)
]


@cache
def tiny(family: str) -> str:
    """Return the directory of an encoder of a family, small and with weights of its own."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    if family == "distilbert":
        sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16}
    wide = {} if family == "distilbert" else {"intermediate_size": 16}
    electra = {"embedding_size": 8} if family == "electra" else {}
    config = AutoConfig.for_model(
        family,
        vocab_size=30_522,
        max_position_embeddings=40,
        pad_token_id=PADDING,
        **sizes,
        **wide,
        **electra,
    )
    folder = Path(mkdtemp(prefix=f"{family}-"))
    torch.manual_seed(1)
    AutoModel.from_config(config).save_pretrained(folder)
    EncoderFiles.find(small()).tokenizer.save_pretrained(folder)
    return str(folder)


def encoder(family: str, travels: Travels) -> Encoder:
    plan = TextModelPlan(
        base=tiny(family), travels=travels, top_layers=1, lora_rank=2, max_tokens=16, stride=4
    )
    return encoder_for(Role(plan, "texts", len(LABELS), 7))


def scores(one: Encoder, vector: np.ndarray) -> np.ndarray:
    """Return the scores that an evaluation of this vector counts."""
    with one.hold_parameters(vector):
        return one.all_scores(WINDOWS, one.features(WINDOWS)).numpy()


@torch.no_grad()
def scores_of_transformers(folder: Path) -> np.ndarray:
    """Return the scores of exported files, window by window, as transformers numbers tokens."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [model(input_ids=torch.from_numpy(ids.astype(np.int64))[None]).logits for ids in WINDOWS]
    return torch.cat(rows).numpy()


@pytest.mark.parametrize(("family", "travels"), TRIED)
def test_what_is_exported_is_what_was_evaluated(
    family: str, travels: Travels, tmp_path: Path
) -> None:
    """To 1e-6, whatever identifier pads: some families number tokens from after it."""
    one = encoder(family, travels)
    drawn = np.random.default_rng(1).normal(0, 0.03, one.layout.dim)
    vector = drawn.astype(np.float32).astype(np.float64)
    write_merged(one, vector, LABELS, tmp_path)
    np.testing.assert_allclose(scores_of_transformers(tmp_path), scores(one, vector), atol=1e-6)


@every_family
def test_only_the_head_of_a_family_is_new(family: str) -> None:
    """The rest has the numbers of the files: nothing of it is drawn by the run's seed."""
    layouts = [encoder(family, travels).layout for travels in ("head", "full")]
    heads, every = ({field.name for field in one.fields} for one in layouts)
    assert heads < every
    assert all("classifier" in name or "pooler" in name for name in heads)


def test_a_tokenizer_with_more_pieces_than_the_encoder_has_embeddings_is_refused(
    tmp_path: Path,
) -> None:
    files = EncoderFiles.find(tiny("bert"))
    AutoModel.from_pretrained(files.folder).save_pretrained(tmp_path)
    files.tokenizer.add_tokens(["dyspnoea", "orthopnoea"])
    files.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(UnfitEncoder, match="30524 pieces, but embeddings for 30522"):
        EncoderFiles.find(str(tmp_path))
