"""What a run asks of each site: which model, how it is trained, and with what privacy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError


class BadPrivacyPlan(ConsortiumError, ValueError):
    """A privacy plan has a value out of range."""

    code = "bad-privacy-plan"


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """Differentially private gradient descent, as it is done and as it is counted.

    Every field is public; who a site's persons are is not in it.

    Args:
        unit: Who is protected: a `person` with all records, or each `record` by itself.
        noise_multiplier: Standard deviation of the noise of a step over `clip_norm`, above 0.
        clip_norm: Most that one unit moves the sum of a step, in L2, above 0.
        sampling_rate: Probability that a unit is in a step, in (0, 1].
        steps: Steps in a round, at least 1.
        max_records_per_person: Records of a person that are trained on, at least 1; which ones,
            a draw by `cap_seed` and the person alone decides.
        cap_seed: Of that draw; it protects nobody.
        rows_at_once: Records whose gradients are taken together: memory against speed, and
            nothing else.

    Raises:
        BadPrivacyPlan: A value is out of range.
    """

    unit: Literal["person", "record"] = "person"
    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    steps: int
    max_records_per_person: int = 16
    cap_seed: int = 0
    rows_at_once: int = 1024

    def __post_init__(self) -> None:
        ranges = {
            "noise_multiplier": (0 < self.noise_multiplier <= 1e6, "above 0, at most 1e6"),
            "clip_norm": (1e-6 <= self.clip_norm <= 1e6, "in [1e-6, 1e6]"),
            "sampling_rate": (0 < self.sampling_rate <= 1, "in (0, 1]"),
            "steps": (self.steps >= 1, "at least 1"),
            "max_records_per_person": (self.max_records_per_person >= 1, "at least 1"),
            "rows_at_once": (self.rows_at_once >= 1, "at least 1"),
        }
        for name, (fits, needed) in ranges.items():
            if not fits:
                raise BadPrivacyPlan(f"{name} must be {needed}, got {getattr(self, name)}")


ModelName: TypeAlias = Literal["logistic", "linear", "mlp"]


Travels: TypeAlias = Literal["lora", "head", "top-k", "full"]


Predictions: TypeAlias = NDArray[np.float64]


Labels: TypeAlias = NDArray[np.float64] | NDArray[np.int64]


MINILM = "minilm"


FEWEST_TOKENS = 8


class BadPlan(ConsortiumError, ValueError):
    """A plan has a value out of range, or does not fit the task."""

    code = "bad-plan"


class EmptySite(ConsortiumError, ValueError):
    """A site has no training records."""

    code = "empty-site"


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """Which model is trained.

    Args:
        name: `logistic` for classes, `linear` for numbers, `mlp` (one hidden layer) for both.
        hidden_units: Width of the hidden layer of an `mlp`, at least 1.

    Raises:
        BadPlan: `hidden_units` is below 1.
    """

    name: ModelName = "mlp"
    hidden_units: int = 32

    def __post_init__(self) -> None:
        if self.hidden_units < 1:
            raise BadPlan(f"hidden_units must be at least 1, got {self.hidden_units}")


@dataclass(frozen=True, kw_only=True)
class TextModelPlan:
    """Which encoder reads the texts, and which of its parameters are trained and travel.

    What is trained is what travels: nothing else of the encoder changes. Parameters that the
    encoder's files do not hold, such as those of the head, are always trained.

    Args:
        base: `minilm`, which ships in a package; the directory of a BERT-family encoder; or its
            name on the hub, of which only a copy on this machine is read.
        digest: The base's digest that all sites must have; none is required where it is empty.
        travels: `lora` adapters of the attention's queries and values (Hu et al. 2021,
            arXiv:2106.09685), the last `top-k` layers, or the `full` encoder, each together with
            the head; or the `head` alone.
        top_layers: Of `top-k`, at least 1.
        lora_rank: Of `lora`, at least 1.
        lora_alpha: Of `lora`: adapters count `lora_alpha / lora_rank`, above 0.
        max_tokens: Tokens that are read at once, at least 8, those that mark the ends included.
        stride: Tokens that two neighbouring windows of a longer text share, at least 0, and at
            most half of `max_tokens`.
        training_windows: Windows of a text that a training step reads, at least 1; an evaluation
            reads all.

    Raises:
        BadPlan: A value is out of range.
    """

    base: str = MINILM
    digest: str = ""
    travels: Travels = "lora"
    top_layers: int = 2
    lora_rank: int = 8
    lora_alpha: float = 16.0
    max_tokens: int = 128
    stride: int = 32
    training_windows: int = 4

    def __post_init__(self) -> None:
        ranges = {
            "base": (bool(self.base), "named"),
            "top_layers": (self.top_layers >= 1, "at least 1"),
            "lora_rank": (self.lora_rank >= 1, "at least 1"),
            "lora_alpha": (0 < self.lora_alpha <= 1e6, "above 0, at most 1e6"),
            "max_tokens": (self.max_tokens >= FEWEST_TOKENS, f"at least {FEWEST_TOKENS}"),
            "stride": (0 <= 2 * self.stride <= self.max_tokens, "0 to half of max_tokens"),
            "training_windows": (self.training_windows >= 1, "at least 1"),
        }
        _require(self, ranges)


AnyModelPlan: TypeAlias = ModelPlan | TextModelPlan


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a site trains in one round.

    Args:
        local_epochs: Passes over the site's training records, at least 1.
        batch_size: Records in a step, at least 1; the last batch of a pass may be smaller.
        learning_rate: Above 0, at most 1e6.
        optimizer: `sgd` or `adam`.
        momentum: Of `sgd`, in [0, 1).
        weight_decay: L2 penalty, in [0, 1e6].
        proximal_mu: Weight of FedProx's term 0.5 * mu * ||w - w_received||^2 (Li et al. 2020,
            arXiv:1812.06127), in [0, 1e15].
        class_balance: `weights` weighs the loss by the pooled class counts; `resample` draws
            the site's classes equally often; both shift predicted probabilities towards the
            rare classes.
        privacy: How nobody's records can be told from the model; None for no such promise. Its
            steps and draws then take the place of `local_epochs` and `batch_size`.

    Raises:
        BadPlan: A value is out of range.
    """

    local_epochs: int = 1
    batch_size: int = 128
    learning_rate: float = 0.05
    optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    proximal_mu: float = 0.0
    class_balance: Literal["none", "weights", "resample"] = "none"
    privacy: PrivacyPlan | None = None

    def __post_init__(self) -> None:
        ranges = {
            "local_epochs": (self.local_epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate <= 1e6, "above 0, at most 1e6"),
            "momentum": (0 <= self.momentum < 1, "in [0, 1)"),
            "weight_decay": (0 <= self.weight_decay <= 1e6, "in [0, 1e6]"),
            "proximal_mu": (0 <= self.proximal_mu <= 1e15, "in [0, 1e15]"),
        }
        _require(self, ranges)
        if self.privacy and self.class_balance == "resample":
            raise BadPlan(
                "with privacy every person is drawn by the same chance: set class_balance to "
                "none or weights"
            )


def _require(plan: object, ranges: Mapping[str, tuple[bool, str]]) -> None:
    for name, (fits, needed) in ranges.items():
        if not fits:
            raise BadPlan(f"{name} must be {needed}, got {getattr(plan, name)}")
