"""What both ends of a run derive about its rule: whether it can keep its promise, and how."""

import zlib
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from consortium.charter.document import Charter
from consortium.config import BadConfig, RunConfig
from consortium.modes.registry import mode_of
from consortium.protocol.learning import require_exact_sums, require_personal_part
from privacy.layout import Vector
from strategies.model_state import State
from strategies.rules.clipping import AdaptiveClip
from strategies.rules.inputs import Rows, Rule, admit, honest_majority
from strategies.rules.norms import Scaled, clip_scales, row_norms
from strategies.rules.pre_aggregation import (
    PreStep,
    bucketing,
    compose,
    nearest_neighbour_mixing,
    norm_clipping,
)
from strategies.rules.registry import Infeasible, RuleSpec, rule_named, smallest_sites

RuleAt: TypeAlias = Callable[[State], Rule]


def rule_spec(config: RunConfig, charter: Charter) -> RuleSpec:
    """Return the rule of a run, once it can keep its promise among these members.

    Raises:
        BadConfig: The rule has no weighted form and sites have unequal weights, or it does not
            give the same bits on every CPU and updates are encrypted; or sites send tallies,
            to which no rule applies;
            or compression leaves it zeros.
        ConsortiumError: It is unknown, infeasible among so few, or the buckets are too many.
    """
    spec, mode = rule_named(config.rule.name), mode_of(config)
    require_exact_sums(config, charter)
    require_personal_part(config, charter)
    mode.require_rule(config, charter, spec)
    _require_dense_votes(config, spec)
    came, needed = voters(config, charter), smallest_voters(config)
    # Refused before the first round: with too few votes the promise would fail silently.
    if came < needed:
        raise Infeasible(
            _too_few(config, charter, came, needed),
            voters=came,
            num_byzantine=config.rule.num_byzantine,
            smallest=smallest_consortium(config, charter),
        )
    equal = mode.voters_are_equal(config)
    if config.weighting != "equal" and (equal or not _is_weighted(config, spec)):
        raise BadConfig(
            f"weighting is '{config.weighting}', and {_rule_name(config)} gives every "
            f"{mode.voter if equal else 'site'} the same say: set weighting to equal"
        )
    return spec


def _require_dense_votes(config: RunConfig, spec: RuleSpec) -> None:
    """Check that a rule that takes the middle of each coordinate sees numbers at all of them.

    Raises:
        BadConfig: Each site sends its own largest numbers, and the middle of the rest is zero.
    """
    if config.compression.name == "top-k" and spec.by_coordinate:
        raise BadConfig(
            f"compression=top-k leaves most numbers of a site zero, and {spec.name} takes the "
            "middle of each over the sites, so that the model would hardly move: set compression "
            "to int8 or float16, or choose another rule, such as centered-clipping"
        )


def voters(config: RunConfig, charter: Charter) -> int:
    """Return how many the rule sees in a full round: sites, or under encryption bucket means."""
    return mode_of(config).voters(config, charter)


def smallest_voters(config: RunConfig) -> int:
    """Return the fewest voters with which rule and pre-step survive the run's liars.

    Raises:
        UnknownRule: There is no such rule.
        Infeasible: No number would do.
    """
    chosen = config.rule
    needed = smallest_sites(chosen.name, chosen.num_byzantine)
    match chosen.pre_step:
        case "nearest-neighbour-mixing":
            return max(needed, honest_majority(chosen.num_byzantine))
        case "bucketing":
            # The last bucket may be short, so one site in it is enough.
            return (needed - 1) * chosen.bucket_size + 1
    return needed


def smallest_consortium(config: RunConfig, charter: Charter) -> int:
    """Return the fewest members with which the run's rule could keep its promise."""
    voters = smallest_voters(config)
    return mode_of(config).smallest_consortium(config, charter, voters=voters)


def rule_at(config: RunConfig, spec: RuleSpec) -> RuleAt:
    """Return the rule of each round, with its pre-step, from the state before the round.

    Guarantee: a function of config and state alone, but for `adaptive-clipping`, whose norm
    follows the rounds this process has seen: after a resumption it starts from `clip-norm`.
    """
    options = config.rule
    step_at = _steps(config)
    if step_at is None:
        return lambda state: spec.build(options, state.memory)
    step = step_at
    # Built anew for each round: some rules start from the last aggregate.
    return lambda state: compose(spec.build(options, state.memory), step(state))


def streams(config: RunConfig, spec: RuleSpec) -> bool:
    """Return whether updates can be added one by one, none of them kept."""
    return spec.streaming and config.rule.pre_step == "none"


class FollowingClip:
    """The pre-step that clips to a norm which follows the updates' own, from use to use.

    Guarantee: one site moves the next norm by a factor of at most exp(rate / n), whatever it
    sends. Andrew et al. 2021, arXiv:1905.03871, without noise.

    Args:
        first: The norm of the first use, and how it follows.
    """

    def __init__(self, first: AdaptiveClip) -> None:
        self.clip = first

    def __call__(self, updates: Rows, weights: Vector) -> tuple[Rows, Vector]:
        """Return the clipped updates; the norm moves for the next use."""
        admit(updates, weights, weighted=True)
        norms = row_norms(updates)
        clipped = Scaled(updates, clip_scales(norms, self.clip.clip_norm))
        # The norm of this round was fixed before its updates came; they move only the next one.
        self.clip = self.clip.next_clip(norms)
        return clipped, weights


def _steps(config: RunConfig) -> Callable[[State], PreStep] | None:
    chosen = config.rule
    match chosen.pre_step:
        case "norm-clipping":
            return lambda _state: norm_clipping(chosen.clip_norm)
        case "adaptive-clipping":
            following = FollowingClip(
                AdaptiveClip(
                    clip_norm=chosen.clip_norm,
                    quantile=chosen.clip_quantile,
                    rate=chosen.clip_rate,
                )
            )
            return lambda _state: following
        case "nearest-neighbour-mixing":
            return lambda _state: nearest_neighbour_mixing(chosen.num_byzantine)
        case "bucketing":
            return lambda state: bucketing(chosen.bucket_size, _bucketing_rng(config, state))
    return None


def _bucketing_rng(config: RunConfig, state: State) -> np.random.Generator:
    # By seed and round: a round that is repeated after an interruption falls into the same buckets.
    key = (zlib.crc32(b"bucketing"), state.server_round)
    return np.random.default_rng(np.random.SeedSequence(config.seed, spawn_key=key))


def _is_weighted(config: RunConfig, spec: RuleSpec) -> bool:
    # Both steps mix the updates of several sites, and a mixture has no weight of its own.
    mixes = config.rule.pre_step in ("nearest-neighbour-mixing", "bucketing")
    return spec.weighted and not mixes


def _rule_name(config: RunConfig) -> str:
    step = config.rule.pre_step
    return config.rule.name if step == "none" else f"{step} with {config.rule.name}"


def _too_few(config: RunConfig, charter: Charter, came: int, needed: int) -> str:
    liars = config.rule.num_byzantine
    return (
        f"{_rule_name(config)} survives {liars} {'liar' if liars == 1 else 'liars'} among {needed} "
        f"{mode_of(config).voter}s or more, got {came}: a consortium of "
        f"{smallest_consortium(config, charter)} would do, this one has {len(charter.names)}; or "
        "lower rule.num-byzantine"
    )
