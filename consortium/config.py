"""The run config: Flower's flat keys, parsed once into frozen values.

This is the only reader of `run_config` and `node_config`. Below it nobody sees a string key,
a default or an optional.
"""

import difflib
import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from consortium.modes.registry import ModeName, mode_named
from privacy.errors import ConsortiumError

Scalar: TypeAlias = str | int | float | bool

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]


class BadConfig(ConsortiumError, ValueError):
    """A run config has an unknown key, a value out of range, or contradicts itself."""

    code = "bad-config"


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        allow_inf_nan=False,
    )


class RuleConfig(_Part):
    """Which rule turns updates into one, and what it is told.

    Args:
        name: The rule; see `scenario rules`.
        num_byzantine: Liars to survive.
        clip_norm: Largest L2 norm of an update that counts in full: of the clipping rules and
            pre-steps, and of a bucket mean under encryption.
        pre_step: What is done to updates before the rule sees them.
        bucket_size: Of bucketing: updates in a bucket.
        clip_quantile: Of adaptive clipping: share of the updates that shall not be clipped.
        clip_rate: Of adaptive clipping: how fast the norm follows.
        momentum: Of centred clipping: how much of the last aggregate stays.
        iterations: Of centred clipping: steps from the last aggregate.
    """

    name: str = "mean"
    num_byzantine: int = Field(default=0, ge=0)
    clip_norm: float = Field(default=10.0, gt=0.0)
    pre_step: Literal[
        "none", "norm-clipping", "adaptive-clipping", "nearest-neighbour-mixing", "bucketing"
    ] = "none"
    bucket_size: int = Field(default=2, ge=1, le=1_024)
    clip_quantile: float = Field(default=0.5, gt=0.0, lt=1.0)
    clip_rate: Share = 0.2
    momentum: Decay = 0.0
    iterations: int = Field(default=1, ge=1, le=1_000)


class ServerOptimizerConfig(_Part):
    """How the aggregate moves the model (Reddi et al. 2020, arXiv:2003.00295)."""

    name: Literal["sgd", "momentum", "adagrad", "adam", "yogi"] = "sgd"
    learning_rate: Positive = 1.0
    momentum: Decay = 0.9
    beta1: Decay = 0.9
    beta2: Decay = 0.99
    tau: Positive = 1e-3


class PrivacyConfig(_Part):
    """How nobody's records can be told from the model: differentially private training.

    Args:
        unit: Who is protected: a `person` with all records, or each `record` by itself; `off`
            protects nobody.
        epsilon: What all planned rounds together may cost; each site finds the noise for it. 0
            where the noise is given.
        noise_multiplier: The noise of a step over the clip norm; 0 where epsilon is given.
        delta: Of epsilon; 0 for one tenth of one over the next power of two above a site's
            persons or records.
        clip_norm: Most that one unit moves the sum of a step, in L2.
        sampling_rate: Probability that a unit is in a step.
        steps: Steps in a round, in the place of passes and batches.
        max_records_per_person: Records of a person that are trained on.
    """

    unit: Literal["off", "person", "record"] = "off"
    epsilon: float = Field(default=0.0, ge=0.0, le=1_000.0)
    noise_multiplier: float = Field(default=0.0, ge=0.0, le=1e6)
    delta: float = Field(default=0.0, ge=0.0, lt=1.0)
    clip_norm: float = Field(default=1.0, ge=1e-6, le=1e6)
    sampling_rate: Share = 0.05
    steps: int = Field(default=20, ge=1, le=100_000)
    max_records_per_person: int = Field(default=16, ge=1, le=100_000)

    @property
    def on(self) -> bool:
        """Whether training is private."""
        return self.unit != "off"


class _EncoderKeys(_Part):
    """What is decided about the encoder that reads texts; tables have none.

    Args:
        model_name: `minilm`, which ships in a package; the directory of a BERT-family encoder at
            the sites; or its name on the hub, of which each site needs a copy.
        model_digest: What `consortium encoder` prints for it at every site; a site with other
            files refuses. Without it the sites' layouts are compared.
        travels: What is trained, and so what leaves a site.
        top_layers: Layers that are trained, counted from the last, of `top-k`.
        lora_rank: Rank of the adapters, of `lora`.
        lora_alpha: Adapters count `lora_alpha / lora_rank`, of `lora`.
        max_tokens: Tokens that are read at once.
        stride: Tokens that two neighbouring windows of a longer text share.
        training_windows: Windows of a text that a training step reads.
    """

    model_name: str = Field(default="minilm", min_length=1, max_length=500)
    model_digest: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    travels: Literal["lora", "head", "top-k", "full"] = "lora"
    top_layers: int = Field(default=2, ge=1, le=1_000)
    lora_rank: int = Field(default=8, ge=1, le=1_024)
    lora_alpha: float = Field(default=16.0, gt=0.0, le=1e6)
    max_tokens: int = Field(default=128, ge=8, le=65_536)
    stride: int = Field(default=32, ge=0)
    training_windows: int = Field(default=4, ge=1, le=1_024)

    @model_validator(mode="after")
    def _windows_move_on(self) -> Self:
        if 2 * self.stride > self.max_tokens:
            raise ValueError(
                f"windows of {self.max_tokens} tokens may share at most half of them: set stride "
                f"to {self.max_tokens // 2} or less, or raise max-tokens"
            )
        return self


class RunConfig(_EncoderKeys):
    """Everything the coordinator decides about a run, under the charter's limits.

    Args:
        model: The model of a table; texts are read by the encoder of `model_name`.
        hidden_units: Width of the hidden layer of an MLP.
        aggregation: Whether the coordinator reads updates.
        parameter_set: Parameters of the ciphertexts, under encryption.
        buckets: Groups of sites that are added apart, under encryption.
        attempts: Tries at a round before the run stops; it can be resumed.
        first_scale: Largest change of a parameter in the first round, under encryption.
        weighting: A site's share: weight classes, exact example counts, or equal.
        num_server_rounds: Rounds of training.
        fraction: Share of the sites asked in a round.
        quorum: Fewest answers that make a round.
        deadline_s: Seconds the sites of a round have to answer.
        join_deadline_s: Seconds the members have to be present at the start.
        local_epochs: Passes over a site's training records in a round.
        batch_size: Records in a step.
        learning_rate: Of the sites' optimizer.
        local_optimizer: The sites' optimizer.
        momentum: Of the sites' optimizer, when that is sgd.
        weight_decay: L2 penalty at the sites.
        proximal_mu: Weight of FedProx's term (Li et al. 2020, arXiv:1812.06127).
        class_balance: What a site does about rare classes.
        rule: The aggregation rule.
        server_optimizer: The server optimizer.
        dp: How nobody's records can be told from the model.
        seed: Of the experiment; never of anything that protects people.
    """

    model: Literal["logistic", "linear", "mlp"] = "mlp"
    hidden_units: int = Field(default=32, ge=1, le=65_536)
    aggregation: ModeName = "clear"
    parameter_set: Literal["default", "strict-256", "compact-12", "compact-8"] = "default"
    buckets: int = Field(default=1, ge=1, le=1_024)
    attempts: int = Field(default=3, ge=1, le=4)
    first_scale: Positive = 1.0
    weighting: Literal["classes", "examples", "equal"] = "classes"
    num_server_rounds: int = Field(default=20, ge=1, le=100_000)
    fraction: Share = 1.0
    quorum: int = Field(default=2, ge=1)
    deadline_s: Positive = 600.0
    join_deadline_s: Positive = 120.0
    local_epochs: int = Field(default=1, ge=1, le=1_000)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: Positive = 0.05
    local_optimizer: Literal["sgd", "adam"] = "sgd"
    momentum: Decay = 0.0
    weight_decay: float = Field(default=0.0, ge=0.0)
    proximal_mu: float = Field(default=0.0, ge=0.0)
    class_balance: Literal["none", "weights", "resample"] = "none"
    rule: RuleConfig = RuleConfig()
    server_optimizer: ServerOptimizerConfig = ServerOptimizerConfig()
    dp: PrivacyConfig = PrivacyConfig()
    seed: int = Field(default=7, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _rule_takes_these_weights(self) -> "RunConfig":
        if self.rule.num_byzantine and self.weighting == "examples":
            raise ValueError(
                "with rule.num-byzantine above 0 a liar must not choose its own weight: "
                "set weighting to classes or equal"
            )
        return self

    @model_validator(mode="after")
    def _mode_takes_the_rest(self) -> "RunConfig":
        contradiction = mode_named(self.aggregation).contradiction(self)
        if contradiction:
            raise ValueError(contradiction)
        return self

    @model_validator(mode="after")
    def _privacy_is_whole(self) -> "RunConfig":
        if not self.dp.on:
            return self
        if (self.dp.epsilon > 0) == (self.dp.noise_multiplier > 0):
            raise ValueError(
                "private training needs either dp.epsilon or dp.noise-multiplier above 0, and the "
                "other at 0"
            )
        if self.class_balance != "none":
            raise ValueError(
                "class balance needs counts of the training records, which private training "
                "does not release: set class-balance to none"
            )
        if self.weighting == "examples":
            raise ValueError(
                "exact example counts would show with private training: set weighting to "
                "classes or equal"
            )
        return self

    @classmethod
    def parse(cls, run_config: Mapping[str, Scalar]) -> "RunConfig":
        """Parse Flower's flat, dotted run config; keys that are absent take their default.

        Raises:
            BadConfig: A key is unknown (the nearest one is named), a value is out of range
                (the range is named), or two values contradict each other.
        """
        unknown = sorted(set(run_config) - set(KEYS))
        if unknown:
            raise BadConfig(f"{_nearest(unknown[0])}; the keys are {', '.join(sorted(KEYS))}")
        nested: dict[str, object] = {}
        for key, value in run_config.items():
            head, _, tail = key.partition(".")
            if tail:
                part = nested.setdefault(head, {})
                if isinstance(part, dict):
                    part[tail] = value
            else:
                nested[head] = value
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            raise BadConfig("; ".join(_explain(item) for item in error.errors())) from error

    def flat(self) -> dict[str, Scalar]:
        """Return the config as Flower's flat, dotted keys, the inverse of `parse`."""
        return _flat(self.model_dump(by_alias=True))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def _flat(nested: Mapping[str, object], prefix: str = "") -> dict[str, Scalar]:
    flat: dict[str, Scalar] = {}
    for key, value in nested.items():
        match value:
            case dict():
                flat.update(_flat(value, f"{prefix}{key}."))
            case str() | int() | float():
                flat[prefix + key] = value
    return flat


# Not validated: that would load the default mode, which imports this module.
KEYS: Mapping[str, Scalar] = RunConfig.model_construct().flat()


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
    return f"unknown key '{key}'" + (f": did you mean '{close[0]}'?" if close else "")


def _explain(error: Mapping[str, object]) -> str:
    location = error.get("loc")
    key = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}, got {error['input']!r}" if key else message


ENCODER = "encoder"  # what a policy calls the model of texts
