"""A run request: what a run asks of a site, checked against the site's policy beforehand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from privacy.errors import number_of
from privacy.policy.document import EVERY_DATA_SET, FILE, Policy
from privacy.policy.violations import (
    ColumnsNotAllowed,
    CrowdTooSmall,
    EncryptionRequired,
    EpsilonTooLarge,
    LayoutNotAllowed,
    LearnerNotAllowed,
    ModelNotAllowed,
    PolicyViolation,
    PrivacyRequired,
    TaskNotAllowed,
    TooManyBytes,
    TooManyEvaluations,
    TooManyRounds,
    WeakerUnit,
)


@dataclass(frozen=True, kw_only=True)
class AskedPrivacy:
    """The differential privacy that a run offers.

    Args:
        unit: Unit of privacy that it protects.
        epsilon: Privacy loss over all planned rounds; None if the site has yet to compute it.
        delta: Delta of that epsilon.
    """

    unit: Literal["person", "record"]
    epsilon: float | None = None
    delta: float | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a run asks of a site, according to charter and run config. All of it is public.

    Args:
        task: The use case.
        learner: What sites do in a round; the name of the learner itself, never `auto`.
        model: The model that is trained; empty if the run trains none.
        columns: Columns that would be read.
        dim: Numbers in the federated vector.
        layout: Digest of its layout.
        encrypted: Whether the run is encrypted.
        crowd: Fewest sites in any sum that the run allows.
        rounds: Rounds of training.
        evaluations: How often a model is evaluated, the final one included.
        message_bytes: Bytes of the largest answer.
        privacy: The differential privacy that the run offers, or None.
        noisy_instead: What to choose instead, if the learner needs exact sums of single persons'
            values, to which no noise can be added; empty if noise can be.
        data_set: The site's name for its records; the only field set by the site.
    """

    task: str
    learner: str
    model: str
    columns: tuple[str, ...]
    dim: int
    layout: str
    encrypted: bool
    crowd: int
    rounds: int
    evaluations: int
    message_bytes: int
    privacy: AskedPrivacy | None = None
    noisy_instead: str = ""
    data_set: str = EVERY_DATA_SET


def violations(policy: Policy, asked: Asked) -> tuple[PolicyViolation, ...]:
    """Return all reasons, known before a run starts, for which the site would refuse it."""
    return tuple(found for rule in _RULES for found in rule(policy, asked))


def check_run_request(policy: Policy, asked: Asked) -> None:
    """Check that a site's policy allows what a run asks.

    Raises:
        PolicyViolation: It does not; this is the first of `violations`.
    """
    for violation in violations(policy, asked):
        raise violation


def _use_violations(policy: Policy, asked: Asked) -> Iterator[PolicyViolation]:
    if asked.task not in policy.tasks:
        yield TaskNotAllowed(f"the policy allows the tasks {policy.tasks}, not {asked.task}")
    if asked.learner not in policy.learners:
        yield LearnerNotAllowed(_learner_needed(policy, asked))
    if asked.model and asked.model not in policy.models:
        yield ModelNotAllowed(f"the policy allows the models {policy.models}, not {asked.model}")
    odd = sorted(set(asked.columns) - set(policy.columns))
    if odd:
        yield ColumnsNotAllowed(f"the policy does not allow the columns {odd}", odd=len(odd))


def _size_violations(policy: Policy, asked: Asked) -> Iterator[PolicyViolation]:
    if asked.dim > policy.max_dim:
        yield LayoutNotAllowed(
            f"the policy allows vectors of {policy.max_dim} numbers, the run asks for {asked.dim}",
            allowed=policy.max_dim,
            asked=asked.dim,
        )
    elif policy.layouts and asked.layout not in policy.layouts:
        yield LayoutNotAllowed(
            "the policy names the allowed layouts, and this one is not among them"
        )
    largest = min(policy.volume.per_message, policy.volume.per_round)
    if asked.message_bytes > largest:
        yield TooManyBytes(
            f"the policy allows {largest} bytes in a message or a round, the run asks for "
            f"{asked.message_bytes}",
            allowed=largest,
            asked=asked.message_bytes,
        )
    rounds = min(policy.pace.rounds_per_run, policy.pace.rounds_per_day)
    if asked.rounds > rounds:
        yield TooManyRounds(
            f"the policy allows {number_of(rounds, 'round')}, the run has {asked.rounds}",
            allowed=rounds,
            asked=asked.rounds,
        )
    most = policy.most_evaluations(asked.rounds)
    if asked.evaluations > most:
        yield TooManyEvaluations(
            f"the policy allows {most} evaluations a run, the run asks for {asked.evaluations}",
            allowed=most,
            asked=asked.evaluations,
        )


def _secrecy_violations(policy: Policy, asked: Asked) -> Iterator[PolicyViolation]:
    if policy.require_encryption and not asked.encrypted:
        yield EncryptionRequired("the policy allows encrypted runs only")
    if asked.crowd < policy.min_sites:
        yield CrowdTooSmall(
            f"the policy asks for {number_of(policy.min_sites, 'site')} in every sum, the run "
            f"allows {asked.crowd}",
            needed=policy.min_sites,
            asked=asked.crowd,
        )


def _privacy_violations(policy: Policy, asked: Asked) -> Iterator[PolicyViolation]:
    offered, terms = asked.privacy, policy.privacy
    if offered is None:
        if terms.required:
            yield PrivacyRequired(_privacy_needed(policy, asked))
        return
    if terms.unit == "person" and offered.unit == "record":
        yield WeakerUnit("the policy protects persons, the run would protect single records only")
    # This is the loss of the run alone. The ledger checks later what is left of the budget.
    ceiling = terms.ceiling(asked.data_set)
    if ceiling is None or offered.epsilon is None:
        return
    if offered.epsilon > ceiling.epsilon:
        yield EpsilonTooLarge(
            f"the policy allows epsilon {ceiling.epsilon:g}, the run asks for {offered.epsilon:g}",
            asked_milli=in_milli(offered.epsilon),
            allowed_milli=in_milli(ceiling.epsilon),
        )
    elif offered.delta is not None and offered.delta > ceiling.delta:
        yield EpsilonTooLarge(f"the policy allows delta {ceiling.delta:g}, not {offered.delta:g}")


def _learner_needed(policy: Policy, asked: Asked) -> str:
    """Return which learners are allowed, and what to do about another one."""
    agreed = json.dumps([*policy.learners, asked.learner])
    return (
        f"the policy allows the learners {policy.learners}, not {asked.learner}: choose one of "
        f"them, if it can learn the task {asked.task}; or, if this site agrees to what "
        f'learner={asked.learner} sends, let its operator set "learners": {agreed} in {FILE}'
    )


def _privacy_needed(policy: Policy, asked: Asked) -> str:
    """Return why a run without noise is refused, and what to do about it."""
    needed = "the policy allows differentially private training only"
    if not asked.noisy_instead:
        return f"{needed}: set dp.unit to {policy.privacy.unit}, and dp.epsilon"
    return (
        f"{needed}, and learner={asked.learner} needs exact sums of single persons' values, to "
        f"which no noise can be added: choose {asked.noisy_instead}, and set dp.unit to "
        f"{policy.privacy.unit} and dp.epsilon; or let the members agree, and this site's operator "
        "set privacy.required to false"
    )


def in_milli(quantity: float) -> int:
    """Return thousandths of a quantity, since counts are whole; their names end in `_milli`."""
    return round(min(quantity, 1e9) * 1000)


_RULES: tuple[Callable[[Policy, Asked], Iterator[PolicyViolation]], ...] = (
    _use_violations,
    _secrecy_violations,
    _privacy_violations,
    _size_violations,
)
