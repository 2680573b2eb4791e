"""Export of a trained encoder to files: the whole model, or the trained parameters only."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig
from safetensors.numpy import save_file
from torch import nn
from transformers import AutoTokenizer

from privacy.layout import Vector
from sites.models.encoder import Encoder, untrained_model
from sites.models.encoder_files import EncoderFiles

LABELS = "labels.json"
TRAINED = "trained.safetensors"
ADAPTER = "adapter_model.safetensors"

_KINDS = {"texts": "SEQ_CLS", "tokens": "TOKEN_CLS"}

Arrays = Mapping[str, NDArray[np.float32]]


def write_merged(
    encoder: Encoder, vector: Vector, labels: Sequence[str], folder: Path, *, several: bool = False
) -> None:
    """Write the whole model; `transformers` alone loads it, with `from_pretrained(folder)`.

    Guarantee: its scores are those of the trained model, up to rounding, as adapters are added
    to the weights that they adapt. A model of two classes has one score, for the second class.
    It is written with two, of which the first is 0; this gives the same probabilities.

    Args:
        encoder: The trained encoder.
        vector: The federated vector.
        labels: The meaning of the scores, in order.
        folder: An existing directory.
        several: Whether a text may have several labels.
    """
    model = untrained_model(encoder.role, encoder.files)
    _set_merged_parameters(
        model,
        _trained_arrays(encoder, vector),
        _scaling(encoder),
        transposed=encoder.files.family.transposed,
    )
    if encoder.role.n_outputs == 1 and len(labels) == 2:
        _widen_head(model)
    model.config.num_labels = len(labels)
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: code for code, label in enumerate(labels)}
    if encoder.role.reads == "texts":
        one_of = "multi_label" if several else "single_label"
        model.config.problem_type = f"{one_of}_classification"
    model.save_pretrained(folder)
    _write_tokenizer(encoder.files, folder)


def write_trained(encoder: Encoder, vector: Vector, labels: Sequence[str], folder: Path) -> None:
    """Write the trained parameters, the tokenizer, and the meaning of the scores.

    Adapters and the head are written in the format of `peft`, other parameters by their names.
    Neither is a model by itself: it needs the encoder that `model.json` names by its digest.

    Args:
        encoder: The trained encoder.
        vector: The federated vector.
        labels: The meaning of the scores, in order.
        folder: An existing directory.
    """
    arrays = {name: np.ascontiguousarray(a) for name, a in _trained_arrays(encoder, vector).items()}
    if encoder.role.plan.travels == "lora":
        _lora_config(encoder, arrays).save_pretrained(str(folder))
        renamed = {
            f"base_model.model.{_name_without_adapter(name)}": a for name, a in arrays.items()
        }
        save_file(renamed, folder / ADAPTER, metadata={"format": "pt"})
    else:
        save_file(arrays, folder / TRAINED, metadata={"format": "pt"})
    (folder / LABELS).write_text(json.dumps(list(labels), ensure_ascii=False, indent=1) + "\n")
    _write_tokenizer(encoder.files, folder)


def _write_tokenizer(files: EncoderFiles, folder: Path) -> None:
    """Write the tokenizer so that it pads as training did: at the right."""
    # Loaded anew, as the encoder's own is shared.
    tokenizer = AutoTokenizer.from_pretrained(files.folder, local_files_only=True)
    tokenizer.padding_side = "right"
    if files.pooled == "last":
        # The model finds the last token by the identifier of its config, so both must be one.
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(files.pad_id)
    tokenizer.save_pretrained(folder)


def _trained_arrays(encoder: Encoder, vector: Vector) -> Arrays:
    return encoder.layout.unflatten(encoder.start + vector)


def _scaling(encoder: Encoder) -> float:
    return encoder.role.plan.lora_alpha / encoder.role.plan.lora_rank


def _name_without_adapter(name: str) -> str:
    """Return a parameter's name without the name of its adapter, as in files of peft."""
    return name.replace(".default.weight", ".weight") if "lora_" in name else name


def _lora_config(encoder: Encoder, arrays: Arrays) -> LoraConfig:
    # peft expects the trained modules of the head by name: here the first part of their path.
    heads = {name.rsplit(".", 1)[0] for name in arrays if "lora_" not in name}
    tops = {name.split(".")[0] if "pooler" not in name else "pooler" for name in heads}
    plan = encoder.role.plan
    return LoraConfig(
        task_type=_KINDS[encoder.role.reads],
        r=plan.lora_rank,
        lora_alpha=plan.lora_alpha,  # peft declares int, but takes any number
        target_modules=list(encoder.files.family.attended),
        fan_in_fan_out=encoder.files.family.transposed,
        modules_to_save=sorted(tops),
        base_model_name_or_path=plan.base,
        inference_mode=True,
    )


@torch.no_grad()
def _set_merged_parameters(
    model: nn.Module, arrays: Arrays, scaling: float, *, transposed: bool
) -> None:
    # W + alpha / rank * B A for the weights that an adapter adapts; the others as they are.
    for name, array in arrays.items():
        if ".lora_A." in name:
            down = torch.from_numpy(array)  # (rank, in)
            up = torch.from_numpy(arrays[name.replace(".lora_A.", ".lora_B.")])  # (out, rank)
            module = name.split(".lora_A.", maxsplit=1)[0]
            change = scaling * up @ down  # (out, in)
            weight = model.get_parameter(f"{module}.weight")
            weight.add_(change.T if transposed else change)
        elif ".lora_B." not in name:
            model.get_parameter(name).copy_(torch.from_numpy(array))


@torch.no_grad()
def _widen_head(model: Any) -> None:  # noqa: ANN401 -- transformers types its models loosely
    """Give a head with one score a first score that is always 0.

    The softmax of (0, s) is (1 - sigmoid(s), sigmoid(s)).
    """
    linear = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == 1
    ]
    name, narrow = linear[-1]
    # Without the initialisation of `nn.Linear`, which would draw from torch's global generator.
    biased = narrow.bias is not None
    wide = nn.Linear(narrow.in_features, 2, bias=biased, device="meta").to_empty(device="cpu")
    wide.weight.copy_(torch.cat([torch.zeros_like(narrow.weight), narrow.weight]))
    if biased:
        wide.bias.copy_(torch.cat([torch.zeros_like(narrow.bias), narrow.bias]))
    model.set_submodule(name, wide)
