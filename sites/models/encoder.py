"""An encoder with a head: which of its parameters are trained, and how it reads windows.

Only the trained parameters travel; what they start from follows from the encoder's files and
the run's seed. Nothing is random while a model reads: dropout is off, in training too, so that
equal bytes in give equal bytes out.
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
from sites.models.frozen_features import Recalled, Trunk
from sites.models.initialisation import drawn
from sites.models.parameters import put, taken
from sites.plans import BadPlan, TextModelPlan

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one thread a simulated site
logging.set_verbosity_error()
logging.disable_progress_bar()

Reads: TypeAlias = Literal["texts", "tokens"]
Ids: TypeAlias = NDArray[np.int32] | NDArray[np.int64]

SCHEME = "fan-in-uniform/1"
_CACHED = 2
_AT_ONCE = 64
_ADAPTER = "default"


@dataclass(frozen=True)
class Role:
    """What an encoder is to do.

    Args:
        plan: Which encoder, and what of it is trained.
        reads: Whether each text has one score a class, or each of its tokens.
        n_outputs: Scores.
        seed: Of the run: new parameters are drawn from it.
    """

    plan: TextModelPlan
    reads: Reads
    n_outputs: int
    seed: int


class Encoder:
    """An encoder with a head, shared by all sites of a process that train the same.

    Guarantee: `layout` and `start` depend on the role and the encoder's files only. Whatever is
    trained, everything that is not in the layout keeps the numbers of those files.

    Args:
        role: What it is to do.
        files: The encoder's files.

    Raises:
        BadPlan: The encoder has fewer layers than are to be trained, or reads fewer tokens at
            once than planned.
    """

    def __init__(self, role: Role, files: EncoderFiles) -> None:
        self.role = role
        self.files = files
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model, fresh = _loaded(role, files)
        _require_room(role.plan, model)
        self.model: Any = _adapted(model.to(self.device), role.plan, files)
        self._free(fresh)
        self.layout = self._layout()
        self.start = self._start(fresh)
        self.trunk = Trunk(self.model, files.family, self.device) if self._remembers else None
        if self.trunk is not None:
            setattr(self.model, self._prefix, Recalled(self.trunk.pooler))
        self._lock = Lock()

    @contextmanager
    def at(self, vector: Vector) -> Iterator[nn.Module]:
        """Hold the model at a federated vector; nobody else moves it meanwhile.

        Raises:
            LayoutMismatch: The vector does not have shape (dim,).
        """
        with self._lock:
            put(self.start + vector, self.model, self.layout)
            yield self.model

    def taken(self) -> Vector:
        """Return the trained parameters as they stand, shape (dim,), float32 numbers."""
        return taken(self.model, self.layout)

    def scores(self, windows: Sequence[Ids], features: Tensor | None, *, exact: bool) -> Tensor:
        """Return the scores of windows, shape (B, n_outputs), or (B, T, n_outputs) of tokens.

        Args:
            windows: Pieces of each, the marks of its ends included.
            features: What `features` returned of these windows, where it returns anything.
            exact: Whether everything is computed in float32, on a GPU too.
        """
        if features is not None:
            return self._fine(self.model(input_ids=features).logits)
        ids, mask = padded(windows, self.files.tokenizer.pad_token_id or 0)
        with self._precision(exact=exact):
            inputs = self._inputs(ids.to(self.device), mask.to(self.device))
            return self._fine(self.model(**inputs).logits)

    @torch.no_grad()
    def features(self, windows: Sequence[Ids]) -> Tensor | None:
        """Return what the frozen part makes of windows, shape (n, width).

        None where it has to be computed anew, because something of it is trained.
        """
        if self.trunk is None:
            return None
        found = torch.zeros(len(windows), self.trunk.width)
        for part in by_size(windows):
            ids, mask = padded(
                [windows[index] for index in part], self.files.tokenizer.pad_token_id or 0
            )
            inputs = self._inputs(ids.to(self.device), mask.to(self.device))
            found[part] = self.trunk(inputs).cpu()
        return found.to(self.device)

    @torch.no_grad()
    def all_scores(self, windows: Sequence[Ids], features: Tensor | None) -> Tensor:
        """Return the scores of any number of windows of texts, shape (n, n_outputs)."""
        found = torch.zeros(len(windows), self.role.n_outputs)
        for part in by_size(windows):
            chosen = None if features is None else features[torch.from_numpy(part)]
            read = [windows[index] for index in part]
            found[part] = self.scores(read, chosen, exact=False).cpu()
        return found

    @property
    def reading(self) -> str:
        """What texts as this encoder reads them depend on, as a key to keep them by."""
        plan = self.role.plan
        remembered = "features" if self.trunk is not None else "pieces"
        return f"{self.files.digest} {plan.max_tokens} {plan.stride} {remembered}"

    @cached_property
    def _prefix(self) -> str:
        return str(self.model.base_model_prefix)

    @property
    def _base(self) -> nn.Module:
        found: nn.Module = getattr(self.model, self._prefix)
        return found

    @property
    def _remembers(self) -> bool:
        """Whether what precedes the head is frozen, and one number vector a window."""
        return self.role.plan.travels == "head" and self.role.reads == "texts"

    def _free(self, fresh: frozenset[str]) -> None:
        """Let the declared parameters be trained, and no others."""
        plan, layers = self.role.plan, self.files.family.layers
        n_layers = len(list(self._base.get_submodule(layers).children()))
        last = {f"{self._prefix}.{layers}.{n_layers - 1 - i}." for i in range(plan.top_layers)}
        for name, parameter in self.model.named_parameters():
            head = not name.startswith(f"{self._prefix}.") or f"{self._prefix}.pooler." in name
            travels = {
                "full": True,
                "head": False,
                "lora": "lora_" in name,
                "top-k": any(name.startswith(layer) for layer in last),
            }[plan.travels]
            parameter.requires_grad = head or travels or name in fresh

    def _layout(self) -> Layout:
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

    def _start(self, fresh: frozenset[str]) -> Vector:
        """The files' numbers; new parameters are drawn, adapters such that they change nothing."""
        arrays = {
            name: item.detach().cpu().numpy()
            for name, item in self.model.named_parameters()
            if item.requires_grad
        }
        for field in self.layout.fields:
            if "lora_B" in field.name:
                arrays[field.name] = np.zeros(field.shape, np.float32)
            elif "lora_A" in field.name or field.name in fresh:
                arrays[field.name] = drawn(field, self.role.seed).astype(np.float32)
        return self.layout.flatten(arrays)

    def _inputs(self, ids: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return what the model is called with; each record has positions of its own: (B, T)."""
        inputs = {"input_ids": ids, "attention_mask": mask}
        first = self.files.family.first_position
        if first is None:
            return inputs
        positions = torch.arange(first, first + ids.shape[1], device=self.device)
        inputs["position_ids"] = positions.expand_as(ids).contiguous()
        inputs["token_type_ids"] = torch.zeros_like(ids)
        return inputs

    def _precision(self, *, exact: bool) -> torch.autocast:
        half = torch.bfloat16 if self.device.type == "cpu" or _has_bf16() else torch.float16
        return torch.autocast(
            self.device.type, dtype=half, enabled=self.device.type == "cuda" and not exact
        )

    def _fine(self, scores: Tensor) -> Tensor:
        return scores.float()


@lru_cache(maxsize=_CACHED)
def _encoder(role: Role, files: EncoderFiles, digest: str) -> Encoder:
    del digest  # other files in the same place are another encoder
    return Encoder(role, files)


def encoder_for(role: Role) -> Encoder:
    """Return the encoder of a role, kept in the process while few others are asked for.

    Raises:
        UnknownEncoder, UnfitEncoder: The base is not on this machine, or cannot be trained here.
        OtherEncoder: The base on this machine is another one than the plan asks for.
        BadPlan: The plan does not fit the base.
    """
    files = EncoderFiles.named(role.plan.base)
    if role.plan.digest:
        files.require(role.plan.digest)
    return _encoder(role, files, files.digest)


def untrained(role: Role, files: EncoderFiles) -> Any:  # noqa: ANN401
    """Return the model of a role as its files have it; what they lack is arbitrary."""
    return _loaded(role, files)[0]


def padded(windows: Sequence[Ids], fill: int) -> tuple[Tensor, Tensor]:
    """Return windows as numbers of pieces and where there is one, both of shape (B, T)."""
    longest = max(len(window) for window in windows)
    ids = np.full((len(windows), longest), fill, np.int64)
    mask = np.zeros((len(windows), longest), np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def by_size(windows: Sequence[Ids]) -> Iterator[NDArray[np.int64]]:
    """Yield which windows to read together: similar ones in size, each once."""
    order = np.argsort([len(window) for window in windows], kind="stable")
    for start in range(0, len(order), _AT_ONCE):
        yield order[start : start + _AT_ONCE]


def _loaded(role: Role, files: EncoderFiles) -> tuple[Any, frozenset[str]]:
    """Return the model in float32, and which of its parameters the files do not hold."""
    build = {
        "texts": AutoModelForSequenceClassification,
        "tokens": AutoModelForTokenClassification,
    }[role.reads]
    with torch.random.fork_rng(devices=[]):  # what is not in the files is overwritten
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
    return model.eval(), frozenset(found["missing_keys"] | other)


def _adapted(model: Any, plan: TextModelPlan, files: EncoderFiles) -> Any:  # noqa: ANN401
    if plan.travels != "lora":
        return model
    config = LoraConfig(
        r=plan.lora_rank,
        lora_alpha=plan.lora_alpha,  # any number, though declared int
        lora_dropout=0.0,
        target_modules=list(files.family.attended),
    )
    with torch.random.fork_rng(devices=[]):
        return inject_adapter_in_model(config, model, adapter_name=_ADAPTER).eval()


def _require_room(plan: TextModelPlan, model: Any) -> None:  # noqa: ANN401
    config = model.config
    offset = config.pad_token_id + 1 if "roberta" in config.model_type else 0
    readable = config.max_position_embeddings - offset
    if plan.max_tokens > readable:
        raise BadPlan(
            f"max_tokens is {plan.max_tokens}; {plan.base} reads at most {readable} at once"
        )
    if plan.travels == "top-k" and plan.top_layers > config.num_hidden_layers:
        raise BadPlan(
            f"top_layers is {plan.top_layers}; {plan.base} has {config.num_hidden_layers} layers"
        )


def _has_bf16() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
