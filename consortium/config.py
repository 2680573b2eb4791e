"""The run config: Flower's flat keys, parsed once into frozen values.

This is the only reader of `run_config` and `node_config`. Below it nobody sees a string key,
a default or an optional. A key is declared once, with its default, its range and one sentence:
here, or in the plan that the run config holds.
"""

import difflib
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, to_json

from consortium.differential_privacy import Privacy, PrivacyKeys
from consortium.modes.registry import ModeName, mode_of
from consortium.private_counts import counts_privacy
from privacy.compression.plan import CompressionPlan, PruningPlan
from privacy.declarations import Declaration, Since, declarations_of
from privacy.errors import ConsortiumError
from sites.learners.cards.plan import CardPlan
from sites.learners.distillation.plan import DistilPlan
from sites.learners.plans import CoxPlan, DescribePlan, GlmPlan, LearnerPlan, LearnerPlans
from sites.learners.trees.plan import TreesPlan
from sites.personal import PersonalPlan
from sites.plans import Counting, ModelPlan, TextModelPlan, TrainingPlan
from strategies.rules.inputs import RuleOptions
from strategies.schedule import SchedulePlan
from strategies.server_optimizer import OptimizerOptions

Scalar: TypeAlias = str | int | float | bool

# What neither makes nor weighs an update; buckets have a rule of their own.
_OF_NO_UPDATE = (
    "attempts",
    "buckets",
    "continues",
    "deadline_s",
    "evaluate_every",
    "evaluate_model",
    "fraction",
    "join_deadline_s",
    "keep_uploads",
    "masks",
    "num_server_rounds",
    "on_finding",
    "period",
    "personal",
    "quorum",
    "score_bins",
    "subgroups",
    "without",
)
# as in version 0.1.0, and where the keys name what they are of
_WITHOUT_PREFIX = frozenset(
    {
        "text_model",
        "table_model",
        "training",
        "learner",
        "glm",
        "personal",
        "schedule",
        "compression",
        "pruning",
    }
)


class BadConfig(ConsortiumError, ValueError, code="bad-config"):
    """A run config has an unknown key, a value out of range, or contradicts itself."""


class RunConfig(BaseModel):
    """Everything the coordinator decides about a run, under the charter's limits."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=True,
        allow_inf_nan=False,
    )

    # The order is that of version 0.1.0: the digest, to which runs are bound, depends on it.
    text_model: TextModelPlan = TextModelPlan()
    table_model: ModelPlan = ModelPlan()
    aggregation: Annotated[
        ModeName, Field(description="Whether the coordinator reads updates.")
    ] = "clear"
    parameter_set: Annotated[
        Literal["default", "strict-256", "compact-12", "compact-8"],
        Field(description="Parameters of the ciphertexts, under encryption."),
    ] = "default"
    masks: Annotated[
        bool,
        Field(
            description="Whether pairwise masks close each upload a second time, under encryption: "
            "then the coordinator together with a few sites opens no upload. A run config that "
            "does not name the key has none."
        ),
        Since("0.2.0"),
    ] = False
    buckets: Annotated[
        int,
        Field(
            ge=1,
            le=1_024,
            description="Groups of sites that are added separately, under encryption.",
        ),
    ] = 1
    attempts: Annotated[
        int,
        Field(
            ge=1,
            le=4,
            description="How often a round is tried before the run stops; it can be resumed.",
        ),
    ] = 3
    keep_uploads: Annotated[
        Literal["last", "all"],
        Field(
            description="Of which rounds the coordinator keeps the uploads, under encryption: the "
            "sums of those rounds can be recomputed."
        ),
        Since("0.2.0"),
    ] = "last"
    first_scale: Annotated[
        float,
        Field(
            gt=0,
            description="Size of a change of a parameter for which the first round is laid out, "
            "under encryption.",
        ),
    ] = 1.0
    scale_rule: Annotated[
        Literal["doubling", "following"],
        Field(
            description="How the scales of encrypted updates move: as in version 0.1.0, or by the "
            "largest values, with a first round of two numbers a parameter. A run config that does "
            "not name the key is one of version 0.1.0, which doubles."
        ),
        Since("0.2.0"),
    ] = "doubling"
    score_bins: Annotated[
        Literal["equal", "following"],
        Field(
            description="How scores of two classes are counted: in bins of equal width, as in "
            "version 0.1.0, or in bins whose edges follow the pooled scores. A run config that "
            "does not name the key is one of version 0.1.0, with equal bins."
        ),
        Since("0.2.0"),
    ] = "equal"
    on_finding: Annotated[
        Literal["off", "warn", "hold"],
        Field(
            description="What a site does whose records look wrong beside those of all others "
            "(another unit, shifted codes, labels turned round): `hold` keeps it out until its "
            "operator mends them or accepts them, `warn` only tells its operator, `off` compares "
            "nothing. A run config that does not name the key is `off`; with any other value "
            "records are also counted by class."
        ),
        Since("0.2.0"),
    ] = "off"
    weighting: Annotated[
        Literal["classes", "examples", "equal"],
        Field(
            description="A site's share: by weight classes, by exact example counts, or equal. "
            "Exact counts are refused under encryption, with private training, and with liars."
        ),
    ] = "classes"
    num_server_rounds: Annotated[
        int,
        Field(
            ge=0,
            le=100_000,
            description="Rounds of training; 0 where evaluate-model names a model, and only there.",
        ),
    ] = 20
    evaluate_model: Annotated[
        str,
        Field(
            pattern="^([0-9a-f]{64})?$",
            description="Digest of the model that is evaluated, without training, under "
            "encryption. `consortium evaluate` sets it.",
        ),
        Since("0.2.0"),
    ] = ""
    evaluate_every: Annotated[
        int,
        Field(
            ge=1,
            le=100_000,
            description="After how many rounds the model is evaluated; after the last one it "
            "always is. In the other rounds no evaluation counts are made or sent, "
            "nor is the number of values that encryption cut off. Where a learner "
            "needs several exchanges for a step, as trees do, it counts steps.",
        ),
        Since("0.2.0"),
    ] = 1
    period: Annotated[
        str,
        Field(
            pattern=r"^([a-z0-9][a-z0-9_.-]{0,55})?$",
            description="The later period whose records the model of evaluate-model is judged on: "
            "each site counts those that its operator declared under this name. "
            "`consortium monitor` sets it.",
        ),
        Since("0.2.0"),
    ] = ""
    continues: Annotated[
        str,
        Field(
            pattern=r"^([a-z][a-z0-9_.-]{0,62}-[0-9a-f]{64})?$",
            description="The run, with masks, that goes on as this one without members that left, "
            "as the charter says. `consortium resume --without` sets it.",
        ),
        Since("0.2.0"),
    ] = ""
    fraction: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Share of the sites asked in a round; above 0.5 under encryption.",
        ),
    ] = 1.0
    quorum: Annotated[int, Field(ge=1, description="Fewest answers that make a round.")] = 2
    deadline_s: Annotated[
        float, Field(gt=0, description="Seconds that the sites of a round have to answer.")
    ] = 600.0
    join_deadline_s: Annotated[
        float,
        Field(gt=0, description="Seconds that the members have to be present at the start."),
    ] = 120.0
    without: Annotated[
        str,
        Field(
            pattern=r"^([a-z][a-z0-9_.-]*(,[a-z][a-z0-9_.-]*)*)?$",
            description="Members that this run leaves out, with commas between them. The first "
            "encrypted run under a charter waits for all others, and who is left out of it is "
            "in no exact count of this charter.",
        ),
        Since("0.2.0"),
    ] = ""
    subgroups: Annotated[
        str,
        Field(
            pattern=r"^([a-z][a-z0-9_.-]*(,[a-z][a-z0-9_.-]*)*)?$",
            description="Categories by whose values every metric is told too, with commas between "
            "them, such as `sex`. The groups are counted in the same tally, and figures of fewer "
            "than ten records of a class are hidden.",
        ),
        Since("0.2.0"),
    ] = ""
    training: TrainingPlan = TrainingPlan()
    rule: RuleOptions = RuleOptions()
    server_optimizer: OptimizerOptions = OptimizerOptions()
    dp: PrivacyKeys = PrivacyKeys()
    learner: LearnerPlan = LearnerPlan()
    describe: DescribePlan = DescribePlan()
    glm: GlmPlan = GlmPlan()
    trees: TreesPlan = TreesPlan()
    card: CardPlan = CardPlan()
    cox: CoxPlan = CoxPlan()
    distil: DistilPlan = DistilPlan()
    personal: PersonalPlan = PersonalPlan()
    schedule: SchedulePlan = SchedulePlan()
    compression: CompressionPlan = CompressionPlan()
    pruning: PruningPlan = PruningPlan()
    seed: Annotated[
        int,
        Field(
            ge=0,
            lt=2**63,
            description="Seed of the experiment. It is never used for anything that protects "
            "people. `consortium run` draws one for each run unless one is given.",
        ),
    ] = 7

    @property
    def counts_by_class(self) -> bool:
        """Whether records are counted by class before training, where labels are classes."""
        return self.looks_at_records

    @property
    def packs_updates(self) -> bool:
        """Whether an update in the clear has a form of its own: compressed, or pruned."""
        chosen = self.compression.name != "none" or self.pruning.prunes
        return chosen and mode_of(self).coordinator_reads

    @property
    def looks_at_records(self) -> bool:
        """Whether each site looks at its records before training.

        Those of a later period have moved if the model ages, and that is what is counted.
        """
        return self.on_finding in ("hold", "warn") and not self.period

    @property
    def counting(self) -> Counting:
        """What the run counts besides what every run counts."""
        return Counting(
            subgroups=self.subgroups, by_class=self.counts_by_class, columns=bool(self.period)
        )

    @property
    def left_out(self) -> frozenset[str]:
        """The members that this run leaves out."""
        return frozenset(self.without.split(",")) - {""}

    def require_members_left_out(self, members: Collection[str]) -> None:
        """Check that only members are left out.

        Raises:
            BadConfig: A name is none of these.
        """
        unknown = sorted(self.left_out - {*members})
        if unknown:
            raise BadConfig(
                f"without: {unknown[0]} is no member of the charter, which has "
                f"{', '.join(sorted(members))}"
            )

    @property
    def audit_facts(self) -> dict[str, str]:
        """What an audit log says of masks, of what goes on and who is left out, where it is so."""
        masks = {"masks": "yes"} if mode_of(self).masks_uploads else {}
        said = {"continues": self.continues, "without": self.without}
        return {**masks, **{key: value for key, value in said.items() if value}}

    def learning_with(self, members: Collection[str]) -> LearnerPlans:
        """Return the same, for a consortium of these members, in the order of its charter."""
        return replace(self.learning, members=tuple(members))

    @property
    def learning(self) -> LearnerPlans:
        """Which learner the run names, and what it asks of it."""
        return LearnerPlans(
            chosen=self.learner,
            describe=self.describe,
            glm=self.glm,
            trees=self.trees,
            card=self.card,
            cox=self.cox,
            distil=self.distil,
            noise=self.privacy.noise(self.num_server_rounds),
        )

    @property
    def privacy(self) -> Privacy:
        """Whether persons are protected by differential privacy, and all that this changes."""
        return self.dp.parsed if self.learner.trains else counts_privacy(self.dp)

    @model_validator(mode="after")
    def _rule_takes_these_weights(self) -> "RunConfig":
        if self.rule.num_byzantine and self.weighting == "examples":
            raise ValueError(
                "with rule.num-byzantine above 0 a liar must not choose its own weight: "
                "set weighting to classes or equal"
            )
        return self

    @model_validator(mode="after")
    def _trains_or_evaluates(self) -> "RunConfig":
        if (self.num_server_rounds == 0) != bool(self.evaluate_model):
            raise ValueError(
                "a run either trains for at least 1 round or evaluates a model in 0 rounds: set "
                "num-server-rounds, or leave the evaluation to `consortium evaluate`"
            )
        if self.period and not self.evaluate_model:
            raise ValueError(
                "a later period is counted for a model: leave period to `consortium monitor`"
            )
        return self

    @model_validator(mode="after")
    def _schedule_takes_the_rest(self) -> "RunConfig":
        contradiction = self.schedule.contradiction(
            quorum=self.quorum, fraction=self.fraction, noise=self.privacy.offered is not None
        )
        if contradiction:
            raise ValueError(contradiction)
        if self.pruning.prunes and self.schedule.name != "synchronous":
            raise ValueError(
                "numbers are pruned after a round in which all sites trained from one model: set "
                "schedule to synchronous, or prune-to to 1"
            )
        return self

    @model_validator(mode="after")
    def _prunes_in_time(self) -> "RunConfig":
        rounds = self.num_server_rounds
        if self.pruning.prunes and 0 < rounds <= self.pruning.after:
            raise ValueError(
                f"prune-after={self.pruning.after} leaves none of {rounds} rounds to train what is "
                "kept: lower prune-after, or set prune-to to 1"
            )
        return self

    @model_validator(mode="after")
    def _mode_takes_the_rest(self) -> "RunConfig":
        contradiction = mode_of(self).contradiction(self)
        if contradiction:
            raise ValueError(contradiction)
        return self

    @model_validator(mode="after")
    def _privacy_is_consistent(self) -> "RunConfig":
        self.privacy.require_consistent(
            class_balance=self.training.class_balance, weighting=self.weighting
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
        nested: dict[str, Any] = {}
        for key, value in run_config.items():
            setting = SETTINGS[key]
            holder = nested.setdefault(setting.part, {}) if setting.part else nested
            holder[setting.declaration.key] = value
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            raise BadConfig("; ".join(_explain(item) for item in error.errors())) from error

    def flat(self) -> dict[str, Scalar]:
        """Return the config as Flower's flat, dotted keys, the inverse of `parse`."""
        return {key: setting.value_in(self) for key, setting in SETTINGS.items()}

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal: that of version 0.1.0.

        A key that came later is in it only if it does not have its default. So a later version can
        resume a run of an earlier one.
        """
        canonical: dict[str, Any] = {}
        for key, value in self.flat().items():
            if value == KEYS[key] and not SETTINGS[key].declaration.is_first:
                continue
            part, _, name = key.replace("-", "_").rpartition(".")
            (canonical.setdefault(part, {}) if part else canonical)[name] = value
        return hashlib.sha256(to_json(canonical)).hexdigest()

    @property
    def update_settings(self) -> str:
        """SHA-256 of all that makes or weighs an update, in hexadecimal.

        That is all but how long a run is, who is asked when, what is kept and what is evaluated.
        """
        defaults = {name: type(self).model_fields[name].default for name in _OF_NO_UPDATE}
        return self.model_copy(update=defaults).digest


@dataclass(frozen=True)
class Setting:
    """One key of the run config.

    Args:
        key: As people and Flower write it.
        part: The plan that holds it, an attribute of `RunConfig`; empty if it holds it itself.
        declaration: Its default, its range and its sentence.
    """

    key: str
    part: str
    declaration: Declaration

    def value_in(self, config: RunConfig) -> Scalar:
        """Return what a run config says."""
        holder = getattr(config, self.part) if self.part else config
        value: Scalar = getattr(holder, self.declaration.name)
        return value


def _settings() -> Iterator[Setting]:
    own = {one.name: one for one in declarations_of(RunConfig)}
    for name, field in RunConfig.model_fields.items():
        if name in own:
            yield Setting(own[name].key, "", own[name])
            continue
        prefix = "" if name in _WITHOUT_PREFIX else f"{field.alias}."
        for one in declarations_of(type(field.default)):
            yield Setting(prefix + one.key, name, one)


SETTINGS: Mapping[str, Setting] = {one.key: one for one in _settings()}
# What a config that does not name a key has, so that a run of version 0.1.0 goes on as it began.
# Not validated: that would load the default mode, which imports this module.
KEYS: Mapping[str, Scalar] = RunConfig.model_construct().flat()
# What a run that begins now has where nothing else is chosen: the defaults that people are told.
DEFAULTS: Mapping[str, Scalar] = {
    **KEYS,
    "masks": True,
    "min-local-steps": 20,
    "on-finding": "hold",
    "scale-rule": "following",
    "score-bins": "following",
}


def new_run_config(*chosen: Mapping[str, Scalar], task: str = "") -> RunConfig:
    """Return the run config of a run that begins now: each choice goes before those to its left.

    A run whose learner needs a certain number of exchanges has that many rounds, unless the last
    of the choices, which is the user's, names a number.

    Args:
        chosen: The choices.
        task: The use case of the charter, which may choose the learner; empty if it is not known.

    Raises:
        BadConfig: As `RunConfig.parse` says.
    """
    merged: dict[str, Scalar] = dict(DEFAULTS)
    for one in chosen:
        merged |= one
    config = RunConfig.parse(merged)
    exchanges = config.learning.exchanges(task)
    if exchanges is None or (chosen and "num-server-rounds" in chosen[-1]):
        return config
    return RunConfig.parse({**merged, "num-server-rounds": exchanges})


_KEY_AT = {(one.part, one.declaration.key): key for key, one in SETTINGS.items()}


def _nearest(key: str) -> str:
    close = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
    return f"unknown key '{key}'" + (f": did you mean '{close[0]}'?" if close else "")


def _explain(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    part, name = ("", "", *map(str, error["loc"]))[-2:]
    key = _KEY_AT.get((part.replace("-", "_"), name))  # none where two values contradict each other
    return f"{key}: {message}, got {error['input']!r}" if key else message


ENCODER = "encoder"  # what a policy calls the model of texts
