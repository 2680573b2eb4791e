"""An encoder with a head: its trained parameters, their initial values, and its scores.

Only the trained parameters travel; their initial values follow from the encoder's files and the
run's seed. The forward pass has no randomness: dropout is off, in training too, so that equal
input bytes give equal output bytes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from threading import Lock
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, inject_adapter_in_model
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification
from transformers.utils import logging

from privacy.layout import Field, Layout, Vector
from sites.models.encoder_files import EncoderFiles, UnfitEncoder
from sites.models.frozen_features import CachedFeatures, FrozenEncoder
from sites.models.initialisation import SCHEME, initial_array
from sites.models.parameters import parameter_vector, set_parameters
from sites.plans import BadPlan, TextModelPlan

# Tokenizers would start a thread per core in each simulated site, and warn after every fork.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
logging.set_verbosity_error()
logging.disable_progress_bar()

Reads: TypeAlias = Literal["texts", "tokens"]
Ids: TypeAlias = NDArray[np.int32] | NDArray[np.int64]

_CACHED = 2  # encoders that a process keeps
_AT_ONCE = 64  # windows per forward pass
_ADAPTER = "default"
_CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Role:
    """What an encoder is used for.

    Args:
        plan: Which encoder, and which of its parameters are trained.
        reads: Whether there is a row of scores per text, or per token.
        n_outputs: Number of scores in a row.
        seed: Of the run: new parameters are drawn from it.
    """

    plan: TextModelPlan
    reads: Reads
    n_outputs: int
    seed: int


class Encoder:
    """An encoder with a head, shared by all sites in a process that train the same.

    Guarantee: `layout` and `start` depend on the role and the encoder's files only. Parameters
    that are not in the layout keep the numbers of those files.

    Args:
        role: What the encoder is used for.
        files: The encoder's files.

    Raises:
        BadPlan: The encoder has fewer layers than the plan trains, or a shorter context than the
            plan's `max_tokens`.
    """

    def __init__(self, role: Role, files: EncoderFiles) -> None:
        self.role = role
        self.files = files
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model, fresh = _load_model(role, files)
        _check_plan_fits(role.plan, model, files)
        self.model: Any = _inject_adapters(model.to(self.device), role.plan, files)
        self._set_trainable(fresh)
        self.layout = self._layout()
        self.start = self._start_vector(fresh)
        self.frozen = (
            FrozenEncoder(self.model, files.pooled, files.pad_id) if self._caches_features else None
        )
        if self.frozen is not None:
            # The model keeps its head, and gets its features from the cache instead of its body.
            cached = CachedFeatures(self.frozen.pooler, self.frozen.activation)
            setattr(self.model, self._prefix, cached)
        self._lock = Lock()

    @contextmanager
    def hold_parameters(self, vector: Vector) -> Iterator[nn.Module]:
        """Set the model to a federated vector, and lock it for the length of the context.

        Raises:
            LayoutMismatch: The vector does not have shape (dim,).
        """
        with self._lock:
            set_parameters(self.start + vector, self.model, self.layout)
            yield self.model

    def trained_vector(self) -> Vector:
        """Return the trained parameters as they are now, shape (dim,), float32 numbers."""
        return parameter_vector(self.model, self.layout)

    def scores(self, windows: Sequence[Ids], features: Tensor | None, *, exact: bool) -> Tensor:
        """Return the scores of windows, shape (B, n_outputs), or (B, T, n_outputs) of tokens.

        Args:
            windows: Token identifiers of each, the special ones at its ends included.
            features: The cached features of these windows, or None if `features` returns none.
            exact: Whether to compute in float32 on a GPU too, as DP clipping needs.
        """
        if features is not None:
            return self._as_float32(self._head_scores(features))
        ids, mask = padded_windows(windows, self.files.pad_id)
        with self._precision(exact=exact):
            inputs = self._inputs(ids.to(self.device), mask.to(self.device))
            return self._as_float32(self.model(**inputs).logits)

    @torch.no_grad()
    def features(self, windows: Sequence[Ids]) -> Tensor | None:
        """Return the features that the frozen encoder computes from windows, shape (n, width).

        None if part of the encoder is trained, as its features then change with every step.
        """
        if self.frozen is None:
            return None
        found = torch.zeros(len(windows), self.frozen.width)
        for part in window_batches(windows):
            ids, mask = padded_windows([windows[index] for index in part], self.files.pad_id)
            inputs = self._inputs(ids.to(self.device), mask.to(self.device))
            found[part] = self.frozen(inputs).cpu()
        return found.to(self.device)

    @torch.no_grad()
    def all_scores(self, windows: Sequence[Ids], features: Tensor | None) -> Tensor:
        """Return the scores of any number of windows of texts, shape (n, n_outputs)."""
        found = torch.zeros(len(windows), self.role.n_outputs)
        for part in window_batches(windows):
            chosen = None if features is None else features[torch.from_numpy(part)]
            read = [windows[index] for index in part]
            found[part] = self.scores(read, chosen, exact=False).cpu()
        return found

    @property
    def reading_key(self) -> str:
        """Key of a cache of encoder inputs: it names everything that they depend on."""
        plan = self.role.plan
        remembered = "features" if self.frozen is not None else "pieces"
        return f"{self.files.digest} {plan.max_tokens} {plan.stride} {remembered}"

    @cached_property
    def _prefix(self) -> str:
        return str(self.model.base_model_prefix)

    @property
    def _caches_features(self) -> bool:
        """Whether the whole encoder is frozen, so that a window is one vector of features."""
        return self.role.plan.travels == "head" and self.role.reads == "texts"

    def _set_trainable(self, fresh: frozenset[str]) -> None:
        """Make the planned parameters trainable, and no others."""
        plan, layers = self.role.plan, self.files.family.layers
        n_layers = len(list(_layers(self.model, self.files).children()))
        last = {f"{self._prefix}.{layers}.{n_layers - 1 - i}." for i in range(plan.top_layers)}
        for name, parameter in self.model.named_parameters():
            # What lies outside the base model is the head, and a pooler belongs to it.
            head = not name.startswith(f"{self._prefix}.") or f"{self._prefix}.pooler." in name
            travels = {
                "full": True,
                "head": False,
                "lora": "lora_" in name,
                "top-k": any(name.startswith(layer) for layer in last),
            }[plan.travels]
            parameter.requires_grad = head or travels or name in fresh

    def _layout(self) -> Layout:
        # `start` names everything that the initial values follow from. Sites compare layouts, so
        # that two sites with the same layout start from the same bytes.
        plan = self.role.plan
        how = f" rank={plan.lora_rank} alpha={plan.lora_alpha:g}" if plan.travels == "lora" else ""
        fields = (
            Field(name, tuple(item.shape))
            for name, item in self.model.named_parameters()
            if item.requires_grad
        )
        return Layout(
            fields=tuple(fields),
            start=f"{SCHEME} seed={self.role.seed} base={self.files.digest} "
            f"travels={plan.travels}{how}",
        )

    def _start_vector(self, fresh: frozenset[str]) -> Vector:
        """Return the initial parameters: those of the files, and new ones drawn by the seed."""
        arrays = {
            name: item.detach().cpu().numpy()
            for name, item in self.model.named_parameters()
            if item.requires_grad
        }
        for field in self.layout.fields:
            # With B = 0 an adapter adds B A = 0: training starts from the model of the files
            # (Hu et al. 2021, arXiv:2106.09685). Biases of a new head are 0 too.
            if "lora_B" in field.name:
                arrays[field.name] = np.zeros(field.shape, np.float32)
            elif "lora_A" in field.name or field.name in fresh:
                arrays[field.name] = initial_array(field, self.role.seed).astype(np.float32)
        return self.layout.flatten(arrays)

    def _inputs(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return the arguments of the model, each of shape (B, T)."""
        # Left to itself, transformers broadcasts one row of positions and token types to all
        # records. Clipping by person needs a row per record, hence the explicit ones.
        inputs = {"input_ids": ids, "attention_mask": mask}
        first = self.files.first_position
        if first is not None:
            positions = torch.arange(first, first + ids.shape[1], device=self.device)
            inputs["position_ids"] = positions.expand_as(ids).contiguous()
        if self.files.family.token_types:
            inputs["token_type_ids"] = torch.zeros_like(ids)
        return inputs

    def _head_scores(self, features: Tensor) -> Tensor:
        if self.files.pooled == "last":
            found: Tensor = self.model.score(features)  # the head of models that write is one layer
        else:
            found = self.model(inputs_embeds=features[:, None]).logits
        return found

    def _precision(self, *, exact: bool) -> torch.autocast:
        # On a CPU autocast is off, so that the dtype named there does not matter.
        half = torch.bfloat16 if self.device.type == "cpu" or _has_bf16() else torch.float16
        return torch.autocast(
            self.device.type, dtype=half, enabled=self.device.type == "cuda" and not exact
        )

    def _as_float32(self, scores: Tensor) -> Tensor:
        return scores.float()


@lru_cache(maxsize=_CACHED)
def _encoder(role: Role, files: EncoderFiles, digest: str) -> Encoder:
    del digest  # part of the cache key: a directory whose files have changed is another encoder
    return Encoder(role, files)


def encoder_for(role: Role) -> Encoder:
    """Return the encoder of a role; the process caches the last few.

    Raises:
        UnknownEncoder, UnfitEncoder: The base is not on this machine, or cannot be trained here.
        OtherEncoder: The base on this machine is not the one that the plan asks for.
        BadPlan: The plan does not fit the base.
    """
    files = EncoderFiles.find(role.plan.base)
    if role.plan.digest:
        files.require(role.plan.digest)
    return _encoder(role, files, files.digest)


def untrained_model(role: Role, files: EncoderFiles) -> Any:  # noqa: ANN401
    """Return the model of a role with the numbers of its files; what they lack is arbitrary."""
    return _load_model(role, files)[0]


def padded_windows(windows: Sequence[Ids], fill: int) -> tuple[Tensor, Tensor]:
    """Return windows as token identifiers and their attention mask, both of shape (B, T).

    Args:
        windows: At least one.
        fill: The identifier that pads the shorter ones.
    """
    longest = max(len(window) for window in windows)
    ids = np.full((len(windows), longest), fill, np.int64)
    mask = np.zeros((len(windows), longest), np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def window_batches(windows: Sequence[Ids]) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of windows of similar size, for one forward pass; each index once."""
    # Similar sizes need little padding.
    order = np.argsort([len(window) for window in windows], kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        yield order[start : start + _AT_ONCE]


def _load_model(role: Role, files: EncoderFiles) -> tuple[Any, frozenset[str]]:
    """Return the model in float32, and the names of the parameters of its new head.

    Raises:
        UnfitEncoder: The files cannot be read, or lack a part of the encoder below the head.
    """
    build = {
        "texts": AutoModelForSequenceClassification,
        "tokens": AutoModelForTokenClassification,
    }[role.reads]
    # transformers draws what the files lack from torch's global generator. These draws are
    # overwritten later, and the generator is put back as it was.
    with torch.random.fork_rng(devices=[]):
        try:
            model, found = build.from_pretrained(
                files.folder,
                num_labels=role.n_outputs,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise UnfitEncoder(f"{files.folder} cannot be read: {error}") from error
    other = {name for name, *_ in found["mismatched_keys"]}
    fresh = frozenset(found["missing_keys"] | other)
    _require_whole(model, fresh, files)
    if files.pooled == "last":
        model.config.pad_token_id = files.pad_id  # without it, no batch of several texts is read
        model.config.use_cache = False  # which would keep what was read, to write on from it
    return model.eval(), fresh


def _require_whole(model: Any, fresh: frozenset[str], files: EncoderFiles) -> None:  # noqa: ANN401
    """Refuse files that lack a part of the encoder, which would be trained from random numbers."""
    body, pooler = f"{model.base_model_prefix}.", f"{model.base_model_prefix}.pooler."
    # A pooler is a part of the head: encoders that were trained without one have none.
    lacking = sorted(one for one in fresh if one.startswith(body) and not one.startswith(pooler))
    if lacking:
        raise UnfitEncoder(
            f"the weights in {files.folder} lack {len(lacking)} of the encoder's arrays, or have "
            f"them in other shapes than {_CONFIG_FILE} says: {', '.join(lacking[:3])}; if their "
            "names in the file begin otherwise, save the encoder again without what wraps it",
            lacking=len(lacking),
        )


def _inject_adapters(model: Any, plan: TextModelPlan, files: EncoderFiles) -> Any:  # noqa: ANN401
    if plan.travels != "lora":
        return model
    config = LoraConfig(
        r=plan.lora_rank,
        lora_alpha=plan.lora_alpha,  # peft declares int, but takes any number
        lora_dropout=0.0,
        target_modules=list(files.family.attended),
        fan_in_fan_out=files.family.transposed,
    )
    with torch.random.fork_rng(devices=[]):
        return inject_adapter_in_model(config, model, adapter_name=_ADAPTER).eval()


def _layers(model: Any, files: EncoderFiles) -> nn.Module:  # noqa: ANN401
    """Return the module that lists the encoder's layers."""
    base: nn.Module = getattr(model, model.base_model_prefix)
    return base.get_submodule(files.family.layers)


def _check_plan_fits(plan: TextModelPlan, model: Any, files: EncoderFiles) -> None:  # noqa: ANN401
    config = model.config
    # A family that numbers tokens from after the padding has fewer positions than it declares.
    readable = config.max_position_embeddings - (files.first_position or 0)
    if plan.max_tokens > readable:
        raise BadPlan(
            f"max_tokens is {plan.max_tokens}, but {plan.base} reads at most {readable} tokens at "
            "once: lower max_tokens"
        )
    # ALBERT runs the layers of one group again and again: they are one layer to train.
    n_layers = len(list(_layers(model, files).children()))
    if plan.travels == "top-k" and plan.top_layers > n_layers:
        raise BadPlan(
            f"top_layers is {plan.top_layers}, but {plan.base} has {n_layers} "
            "layers: lower top_layers"
        )


def _has_bf16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
