"""The architectures that can be trained, and what training needs to know of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Positions: TypeAlias = Literal["from-zero", "from-two", "after-padding", "by-model"]
Pooled: TypeAlias = Literal["first", "last", "mean"]


@dataclass(frozen=True)
class Family:
    """The facts about one architecture that training needs.

    Args:
        layers: Path of the module that lists the layers, within the encoder.
        attended: Names of the modules of attention queries and values, which LoRA adapts; where
            one module computes both, its name.
        positions: How the tokens of a window are numbered: from 0, from 2, from after the
            identifier that pads, or by the model itself.
        pooled: Of which token's vector a text is classified: the first, the last, or as its config
            says. Models that read from left to right have read all of a text at the last only.
        token_types: Whether the model takes token types. GPT-2 takes them for tokens.
        transposed: Whether the adapted modules keep their weights as (in, out), as GPT-2's do.
    """

    layers: str
    attended: tuple[str, ...]
    positions: Positions
    pooled: Literal["first", "last", "by-config"] = "first"
    token_types: bool = False
    transposed: bool = False

    @property
    def left_to_right(self) -> bool:
        """Whether a token is read without those that follow it."""
        return self.pooled == "last"


_QUERY_VALUE = ("query", "value")
_PROJECTIONS = ("q_proj", "v_proj")
_IN_LAYERS = "encoder.layer"

FAMILIES: Mapping[str, Family] = {
    "distilbert": Family("transformer.layer", ("q_lin", "v_lin"), "by-model"),
    **dict.fromkeys(
        ("bert", "electra", "ernie", "megatron-bert"),
        Family(_IN_LAYERS, _QUERY_VALUE, "from-zero", token_types=True),
    ),
    **dict.fromkeys(
        ("roberta", "roberta-prelayernorm", "camembert", "xlm-roberta", "data2vec-text"),
        Family(_IN_LAYERS, _QUERY_VALUE, "after-padding", token_types=True),
    ),
    "albert": Family("encoder.albert_layer_groups", _QUERY_VALUE, "from-zero", token_types=True),
    "deberta": Family(_IN_LAYERS, ("in_proj",), "from-zero", token_types=True),
    "deberta-v2": Family(_IN_LAYERS, ("query_proj", "value_proj"), "from-zero", token_types=True),
    "mpnet": Family(_IN_LAYERS, ("q", "v"), "from-two"),
    "modernbert": Family("layers", ("Wqkv",), "by-model", "by-config"),
    "gpt2": Family("h", ("c_attn",), "from-zero", "last", transposed=True),
    "gpt_neox": Family("layers", ("query_key_value",), "by-model", "last"),
    **dict.fromkeys(
        ("llama", "mistral", "qwen2", "qwen3", "gemma", "smollm3"),
        Family("layers", _PROJECTIONS, "by-model", "last"),
    ),
}

_WITH_A_DECODER = frozenset(
    {
        *("bart", "bigbird_pegasus", "blenderbot", "encoder-decoder", "led", "longt5", "marian"),
        *("mbart", "mt5", "mvp", "pegasus", "plbart", "prophetnet", "switch_transformers"),
        *("t5", "t5gemma", "t5gemma2", "umt5"),
    }
)


def pooled_of(config: Mapping[str, Any]) -> Pooled:
    """Return of which token's vector a text is classified by the model of a config.

    Args:
        config: The content of `config.json`, of a family that can be trained.
    """
    pooled = FAMILIES[config["model_type"]].pooled
    if pooled != "by-config":
        return pooled
    return "mean" if config.get("classifier_pooling", "cls") == "mean" else "first"


def why_unfit(config: Mapping[str, Any]) -> str | None:
    """Return why the model of a config cannot be trained, and what helps; None if it can."""
    kind = config.get("model_type")
    if "quantization_config" in config:
        return (
            "quantised weights, which cannot be trained: use the same model in float16 or float32"
        )
    if kind in FAMILIES:
        return None
    trained = f"these can be trained: {', '.join(FAMILIES)}"
    if kind in _WITH_A_DECODER:
        return (
            f"a '{kind}', an encoder with a decoder that a class or a tag does not need: use a "
            f"model of one of the two alone; {trained}"
        )
    if "auto_map" in config:
        return (
            f"a '{kind}' that needs code from its own directory, which is not run: {trained}, by "
            "the code of transformers"
        )
    return f"a '{kind}', but only {trained}"
