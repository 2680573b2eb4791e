"""The contract every use case fills in, and the plans it is trained by.

A task knows how one institution's records become tallies, updates and predictions. Everything
that leaves a site is a `Tally` or a `Vector`; the records stay inside the `Data` of the task,
which callers hold and pass back but never look into.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Layout, Tally, Vector
from sites.counting import Counting
from sites.evaluation import Evaluation
from sites.privacy_plan import PrivacyPlan
from sites.source import DataSource
from sites.text_schema import AnySchema

ModelName: TypeAlias = Literal["logistic", "linear", "mlp"]
Travels: TypeAlias = Literal["lora", "head", "top-k", "full"]
Predictions: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.float64] | NDArray[np.int64]

MINILM = "minilm"
FEWEST_TOKENS = 8


class BadPlan(ConsortiumError, ValueError):
    """A plan has a value out of range, or does not fit the task."""


class UnfitSchema(ConsortiumError, ValueError):
    """A task cannot learn what the schema asks."""


class EmptySite(ConsortiumError, ValueError):
    """A site has no training records."""


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


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What one round of training at a site gave.

    Args:
        update: Trained minus received parameters, shape (dim,); every entry is a float32 number.
        num_examples: Training records seen in a pass; never batches.
        steps: Optimizer steps taken.
    """

    update: Vector
    num_examples: int
    steps: int


class SiteData(Protocol):
    """A site's records as a task holds them; outside the task only these counts are read."""

    @property
    def train_examples(self) -> int:
        """Records to train on."""

    @property
    def train_persons(self) -> int:
        """Persons behind the training records."""

    @property
    def held_out_examples(self) -> int:
        """Records to evaluate on; their persons have no training record."""

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Training records of each class of the schema, in its order; empty for regression."""


Data = TypeVar("Data", bound=SiteData)


class Task(Protocol[Data]):
    """One use case: what a site does with its records.

    Guarantee: with the same schema, model plan and seed, two sites have the same `layout`, read
    the same vector as the same model, and scale by the same constants, which come from the
    pooled statistics alone.
    """

    @property
    def name(self) -> str:
        """The use case, in kebab case."""

    @property
    def schema(self) -> AnySchema:
        """What every column means."""

    @property
    def model(self) -> AnyModelPlan:
        """Which model is trained."""

    @property
    def layout(self) -> Layout:
        """Of the federated vector; a function of schema, model plan and seed, never of data."""

    @property
    def statistics(self) -> Counting:
        """What a site counts before training; torch-free."""

    @property
    def evaluation(self) -> Evaluation:
        """What a site counts of its predictions; torch-free."""

    def load(self, source: DataSource, *, seed: int) -> Data:
        """Read and validate a site's records, and hold out a share of its persons.

        Guarantee: no person has records on both sides; the split depends on `seed` and the
        person identifiers and labels only, not on the order of rows.

        Raises:
            sites.data.UnreadableSource: Nothing could be read; subclasses say why.
            sites.validation.MissingColumns: A column of the schema is absent.
            sites.validation.BadTable: What was read breaks the schema.
            sites.split.PersonOnBothSides: The source's own split parts a person's records.
        """

    def pool(self, parts: Sequence[Data]) -> Data:
        """Return the records of several sites as those of one: the ideal to compare with.

        Guarantee: training and held-out records keep their side; the same identifier at two
        sites is two persons.
        """

    def statistics_of(self, data: Data) -> Tally:
        """Count the training records, shape (statistics.layout.size,); held-out ones stay out."""

    def train(
        self,
        data: Data,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for.

        Guarantee: the same arguments give the same bytes (one torch thread, one machine), but
        for a plan with privacy, whose noise no argument knows.

        Args:
            data: The site's records.
            pooled: Statistics added up over sites.
            vector: The received state, shape (layout.dim,).
            plan: How to train.
            rng: Of the order of records.

        Raises:
            EmptySite: There is no training record.
            BadPlan: The plan does not fit the task.
            sites.training.TrainingDiverged: The loss or a parameter is no longer finite.
        """

    def evaluate(self, data: Data, pooled: Tally, vector: Vector) -> Tally:
        """Count the held-out predictions, shape (evaluation.layout.size,); none is fine."""

    def score(self, data: Data, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site.

        Both are as `evaluation.tally` takes them: predictions as `predict` returns them, labels
        as class codes or values.
        """

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for a table without labels, in the order of its rows.

        With two classes the probability of the second, shape (n,); with more, of each, shape
        (n, n_classes); for numbers the value in the label's unit, shape (n,).

        Raises:
            sites.data.UnreadableSource: Nothing could be read.
            sites.validation.BadTable: A feature breaks the schema.
        """

    def parameters(self, vector: Vector) -> Mapping[str, NDArray[np.float32]]:
        """Return the arrays of the model that `vector` stands for, by name: what is exported."""


@runtime_checkable
class Exportable(Protocol):
    """A task whose model other programs load as files."""

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the model that `vector` stands for into an existing directory.

        Args:
            vector: The federated vector.
            folder: Where to.
            merged: Whether it is whole, or only what was trained.
        """


def _require(plan: object, ranges: Mapping[str, tuple[bool, str]]) -> None:
    for name, (fits, needed) in ranges.items():
        if not fits:
            raise BadPlan(f"{name} must be {needed}, got {getattr(plan, name)}")
