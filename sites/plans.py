"""What a run asks of each site: which model, how it is trained, and with what privacy.

Each value that a run decides is declared here, once. The run config holds these plans.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from privacy.declarations import Since, require_declared
from privacy.errors import ConsortiumError

ModelName: TypeAlias = Literal["logistic", "linear", "mlp"]


Travels: TypeAlias = Literal["lora", "head", "top-k", "full"]


MovedPart: TypeAlias = Literal["all", "head", "norms"]


Predictions: TypeAlias = NDArray[np.float64]


Labels: TypeAlias = NDArray[np.float64] | NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Counting:
    """What a run counts besides what every run counts.

    Args:
        subgroups: Categories by whose values the evaluation counts too, with commas between them.
        by_class: Whether records are counted by class before training, where labels are classes.
        columns: Whether the evaluation counts every column of its records too. Such a run trains
            on nobody, and evaluates all records.
    """

    subgroups: str = ""
    by_class: bool = False
    columns: bool = False


MINILM = "minilm"


ClipNorm: TypeAlias = Annotated[
    float,
    Field(ge=1e-6, le=1e6, description="How far one unit can move the sum of a step, in L2."),
]


SamplingRate: TypeAlias = Annotated[
    float, Field(gt=0, le=1, description="Probability that a unit is in a step.")
]


PrivateSteps: TypeAlias = Annotated[
    int,
    Field(ge=1, le=100_000, description="Steps in a round, in place of passes and batches."),
]


RecordsOfPerson: TypeAlias = Annotated[
    int, Field(ge=1, le=100_000, description="Records of a person that are trained on.")
]


class BadPrivacyPlan(ConsortiumError, ValueError, code="bad-privacy-plan"):
    """A privacy plan has a value out of range."""


class BadPlan(ConsortiumError, ValueError, code="bad-plan"):
    """A plan has a value out of range, or does not fit the task."""


class EmptySite(ConsortiumError, ValueError, code="empty-site"):
    """A site has no training records."""


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """Differentially private gradient descent, as it is done and as it is counted.

    Every field is public; who a site's persons are is not in it. Which records of a person are
    trained on, a draw by `cap_seed` and the person alone decides; the seed protects nobody.

    Raises:
        BadPrivacyPlan: A value is out of range.
    """

    unit: Literal["person", "record"] = "person"
    noise_multiplier: Annotated[
        float, Field(gt=0, le=1e6, description="The noise of a step over the clip norm.")
    ]
    clip_norm: ClipNorm
    sampling_rate: SamplingRate
    steps: PrivateSteps
    max_records_per_person: RecordsOfPerson = 16
    cap_seed: int = 0
    rows_at_once: Annotated[
        int,
        Field(
            ge=1,
            description="Records whose gradients are taken together: memory against speed, and "
            "nothing else.",
        ),
    ] = 1024

    def __post_init__(self) -> None:
        require_declared(self, BadPrivacyPlan)


@dataclass(frozen=True, kw_only=True)
class ModelPlan:
    """Which model of a table is trained.

    `logistic` is for classes, `linear` for numbers, `mlp` (one hidden layer) for both.

    Raises:
        BadPlan: A value is out of range.
    """

    name: Annotated[
        ModelName,
        Field(
            alias="model",
            description="The model of a table. Texts are read by the encoder of `model-name`.",
        ),
    ] = "mlp"
    hidden_units: Annotated[
        int, Field(ge=1, le=65_536, description="Width of the hidden layer of an `mlp`.")
    ] = 32

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)


@dataclass(frozen=True, kw_only=True)
class TextModelPlan:
    """Which encoder reads the texts, and which of its parameters are trained and travel.

    What is trained is what travels: nothing else of the encoder changes. Parameters that the
    encoder's files do not hold, such as those of the head, are always trained. What travels is
    `lora` adapters of the attention's queries and values (Hu et al. 2021, arXiv:2106.09685), the
    last `top-k` layers, or the `full` encoder, each together with the head; or the `head` alone.

    Raises:
        BadPlan: A value is out of range, or windows share more than half of their tokens.
    """

    base: Annotated[
        str,
        Field(
            alias="model-name",
            min_length=1,
            max_length=500,
            description="`minilm`, which ships in a package; the directory of an "
            "encoder at the sites; or its name on the hub, of which each site needs a copy.",
        ),
    ] = MINILM
    digest: Annotated[
        str,
        Field(
            alias="model-digest",
            pattern=r"^([0-9a-f]{64})?$",
            description="The 64 hexadecimal digits that `consortium encoder` prints for it at "
            "every site; a site with other files refuses. If empty, the sites' layouts are "
            "compared.",
        ),
    ] = ""
    travels: Annotated[
        Travels, Field(description="What is trained, and so what leaves a site.")
    ] = "lora"
    top_layers: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="For `top-k`: layers that are trained, counted from the last.",
        ),
    ] = 2
    lora_rank: Annotated[
        int, Field(ge=1, le=1_024, description="For `lora`: rank of the adapters.")
    ] = 8
    lora_alpha: Annotated[
        float,
        Field(gt=0, le=1e6, description="For `lora`: adapters count `lora-alpha / lora-rank`."),
    ] = 16.0
    max_tokens: Annotated[
        int,
        Field(
            ge=8,
            le=65_536,
            description="Tokens that are read at once, those that mark the ends included.",
        ),
    ] = 128
    stride: Annotated[
        int,
        Field(
            ge=0,
            description="Tokens that two neighbouring windows of a longer text share; at most "
            "half of `max-tokens`.",
        ),
    ] = 32
    training_windows: Annotated[
        int,
        Field(
            ge=1,
            le=1_024,
            description="Windows of a text that a training step reads; an evaluation reads all.",
        ),
    ] = 4

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)
        if 2 * self.stride > self.max_tokens:
            raise BadPlan(
                f"windows of {self.max_tokens} tokens may share at most half of them: set stride "
                f"to {self.max_tokens // 2} or less, or raise max-tokens"
            )


AnyModelPlan: TypeAlias = ModelPlan | TextModelPlan


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a site trains in one round.

    FedProx's term is 0.5 * mu * ||w - w_received||^2. With `privacy`, its steps and draws take
    the place of `local_epochs`, `batch_size` and `min_local_steps`, so that no floor spends what
    nobody reserved; None promises nothing. Of the parameters that are trained, only those of the
    part `moved` move. `kept` says which numbers of the federated vector move, as `np.packbits`
    writes it; all if it is empty. Both ways to balance classes shift predicted probabilities
    towards the rare ones.

    Raises:
        BadPlan: A value is out of range.
    """

    local_epochs: Annotated[
        int,
        Field(
            ge=1,
            le=1_000,
            description="Passes over a site's training records in a round.",
        ),
    ] = 1
    batch_size: Annotated[
        int,
        Field(ge=1, description="Records in a step; the last batch of a pass may be smaller."),
    ] = 128
    min_local_steps: Annotated[
        int,
        Field(
            ge=0,
            le=100_000,
            description="Fewest steps of a site in a round: where its passes have fewer, it begins "
            "further ones. Private training takes `dp.steps` instead. 0 for no such floor, as in "
            "version 0.1.0 and in a run config that does not name the key.",
        ),
        Since("0.2.0"),
    ] = 0
    learning_rate: Annotated[
        float, Field(gt=0, le=1e6, description="Learning rate of the sites' optimizer.")
    ] = 0.05
    optimizer: Annotated[
        Literal["sgd", "adam"],
        Field(alias="local-optimizer", description="The sites' optimizer."),
    ] = "sgd"
    momentum: Annotated[
        float,
        Field(ge=0, lt=1, description="Momentum of the sites' optimizer, if that is `sgd`."),
    ] = 0.0
    weight_decay: Annotated[float, Field(ge=0, le=1e6, description="L2 penalty at the sites.")] = (
        0.0
    )
    proximal_mu: Annotated[
        float,
        Field(
            ge=0,
            le=1e15,
            description="Weight of FedProx's term (Li et al. 2020, arXiv:1812.06127).",
        ),
    ] = 0.0
    class_balance: Annotated[
        Literal["none", "weights", "resample"],
        Field(
            description="What a site does about rare classes: `weights` weighs the loss by the "
            "pooled class counts; `resample` draws the site's classes equally often."
        ),
    ] = "none"
    privacy: PrivacyPlan | None = None
    moved: MovedPart = "all"
    kept: bytes = b""

    def __post_init__(self) -> None:
        require_declared(self, BadPlan)
        if self.privacy and self.class_balance == "resample":
            raise BadPlan(
                "with privacy every person is drawn by the same chance: set class_balance to "
                "none or weights"
            )

    def local_steps(self, num_examples: int) -> int:
        """Return how many steps a site takes in a round.

        Passes alone give steps in proportion to the records. The average already counts a site by
        its records, so each step of it would count by them once more (Wang et al. 2020,
        arXiv:2007.07481); with a floor, sites with few records take the same number.

        Args:
            num_examples: Number of its training records, at least 1 without privacy.
        """
        if self.privacy is not None:
            return self.privacy.steps
        of_passes = self.local_epochs * math.ceil(num_examples / self.batch_size)
        return max(self.min_local_steps, of_passes)
