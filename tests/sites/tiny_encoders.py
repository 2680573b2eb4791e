"""Encoders of every family: tiny, with random weights and a tokenizer of the family's own kind."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    GPT2Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    Qwen2Tokenizer,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from sites.models.encoder_files import EncoderFiles
from sites.models.families import FAMILIES
from tests.sites.small_encoders import WORDS, small

PADDING = 3  # of word pieces; not what the families come with
ROOM = 40  # positions
_TEXTS = [*WORDS, "left knee, no pain", "don't cough; 40 mg of aspirin"] * 20
_SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_WIDE = {**_SIZES, "intermediate_size": 16}
_GROUPED = {**_WIDE, "num_key_value_heads": 1, "head_dim": 8}
_SHAPES: Mapping[str, Mapping[str, int]] = {
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 16},
    "electra": {**_WIDE, "embedding_size": 8},
    "albert": {**_WIDE, "embedding_size": 8},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": ROOM},
    "gpt_neox": _WIDE,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "smollm3"), _GROUPED),
}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
}


def _vocabulary(kind: Any, trainer: Any, before: Any) -> dict[str, Any]:
    made = Tokenizer(kind)
    made.pre_tokenizer = before
    made.train_from_iterator(_TEXTS, trainer)
    model: dict[str, Any] = json.loads(made.to_str())["model"]
    return model


def _bytes(special: list[str]) -> dict[str, Any]:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    before = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model = _vocabulary(models.BPE(), trainer, before)
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def _gpt2() -> Any:
    return GPT2Tokenizer(**_bytes(["<|endoftext|>"]))


def _qwen2() -> Any:
    return Qwen2Tokenizer(**_bytes(["<|endoftext|>"]))


def _roberta() -> Any:
    return RobertaTokenizer(**_bytes(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))


def _modernbert() -> Any:
    special = ["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"]
    parts = _bytes(special)
    made = Tokenizer(models.BPE(**parts))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
    )
    names = ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=made, **dict(zip(names, special, strict=True)))


def _llama() -> Any:
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    model = _vocabulary(models.BPE(unk_token="<unk>"), trainer, pre_tokenizers.Metaspace())  # noqa: S106 -- a piece
    merges = [tuple(pair) for pair in model["merges"]]
    return LlamaTokenizer(vocab=model["vocab"], merges=merges, add_bos_token=True)


def _xlm_roberta() -> Any:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=90,
        special_tokens=special,
        unk_token="<unk>",  # noqa: S106 -- a piece
        show_progress=False,
    )
    model = _vocabulary(models.Unigram(), trainer, pre_tokenizers.Metaspace())
    return XLMRobertaTokenizer(vocab=[tuple(piece) for piece in model["vocab"]])


_OWN: Mapping[str, Callable[[], Any]] = {
    "roberta": _roberta,
    "xlm-roberta": _xlm_roberta,
    "modernbert": _modernbert,
    "gpt2": _gpt2,
    "gpt_neox": _gpt2,
    **dict.fromkeys(("llama", "mistral", "gemma"), _llama),
    **dict.fromkeys(("qwen2", "qwen3", "smollm3"), _qwen2),
}


def tokenizer_of(family: str) -> Any:
    """Return a tokenizer of the family's own kind, or that of MiniLM with its word pieces."""
    made = _OWN.get(family)
    return EncoderFiles.find(small()).tokenizer if made is None else made()


@cache
def tiny(family: str, *, own_tokenizer: bool = True, **settings: Any) -> str:
    """Return the directory of a tiny encoder of a family, with weights of its own.

    It is saved as such models are: those that write as they write, the others without a head.
    """
    tokenizer = tokenizer_of(family if own_tokenizer else "bert")
    pad = PADDING if tokenizer.pad_token_id == 0 and family not in _OWN else tokenizer.pad_token_id
    config = AutoConfig.for_model(
        family,
        **{
            "vocab_size": len(tokenizer),
            "max_position_embeddings": ROOM,
            "pad_token_id": pad,
            **_SHAPES.get(family, _WIDE),
            **_SETTINGS.get(family, {}),
            **settings,
        },
    )
    folder = Path(mkdtemp(prefix=f"{family}-"))
    torch.manual_seed(1)
    build = AutoModel
    if FAMILIES[family].left_to_right:
        build = AutoModelForCausalLM
    elif family == "modernbert":
        build = AutoModelForMaskedLM
    build.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
