"""Attacks by name: on what a site sends, or on its own records before it trains.

No attack is part of the product. A scenario stages it at chosen sites, before encryption, since a
liar can encrypt a hostile value like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from privacy.errors import ConsortiumError, look_up
from privacy.layout import Matrix, Vector
from scenarios.attacks.data_poisoning import Poison, flip_labels, mix_up_units, plant_trigger
from scenarios.attacks.tuned_lies import (
    Aggregate,
    Knowledge,
    best_inner_product,
    little_but_harmful,
    mimic,
    min_max,
)

SIGN_FLIP_BY = 10.0
SCALE_BY = 100.0
NOISE_BY = 100.0
DEVIATIONS = 1.5


class UnknownAttack(ConsortiumError, LookupError, code="unknown-attack"):
    """No attack has this name."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackContext:
    """What a liar knows when it answers in a round.

    Args:
        own: The update that it would send if it were honest, shape (dim,).
        num_examples: The training examples it would claim.
        max_examples: The most it may claim.
        n_sites: Members of the consortium.
        num_liars: Liars among them, who collude.
        honest: The updates of the honest sites in this round, shape (n_honest, dim); no rows
            unless the attack is omniscient.
        aggregate: Returns what the run makes of the updates of all sites, shape (n_sites, dim),
            those of the honest first.
        rng: Random generator of this liar in this round.
    """

    own: Vector
    num_examples: int
    max_examples: int
    n_sites: int
    num_liars: int
    honest: Matrix
    aggregate: Aggregate
    rng: np.random.Generator


@dataclass(frozen=True, eq=False, kw_only=True)
class MaliciousReply:
    """What a liar sends instead of its honest reply.

    Args:
        update: Shape (dim,).
        num_examples: The training examples it claims.
    """

    update: Vector
    num_examples: int


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One way to attack, or to be careless.

    Args:
        name: In kebab-case.
        what: What the site does, as a phrase that follows its name.
        paper: Its source, if it has one.
        lie: Returns what is sent instead of the honest reply; None if the reply is left alone.
        poison: Changes the site's records when they are staged; None if they are left alone.
        omniscient: The liar sees the updates of all honest sites, and knows the rule.
    """

    name: str
    what: str
    paper: str = ""
    lie: Callable[[AttackContext], MaliciousReply] | None = None
    poison: Poison | None = None
    omniscient: bool = False


def sign_flip(context: AttackContext) -> MaliciousReply:
    """Return the update reversed and ten times as long: two of fifteen turn the mean round."""
    # 13 honest updates u and two of -10u: their mean is (13 - 20) / 15 u.
    return _reply_with(context, -SIGN_FLIP_BY * context.own)


def scaling(context: AttackContext) -> MaliciousReply:
    """Return the update a hundred times as long."""
    return _reply_with(context, SCALE_BY * context.own)


def gaussian(context: AttackContext) -> MaliciousReply:
    """Return Gaussian noise, a hundred times as long as the update."""
    noise = context.rng.standard_normal(context.own.shape)
    return _reply_with(
        context, noise * (NOISE_BY * np.linalg.norm(context.own) / np.linalg.norm(noise))
    )


def a_little_is_enough(context: AttackContext) -> MaliciousReply:
    """Return the honest mean, moved by 1.5 honest standard deviations in each coordinate.

    It lies within the spread of the honest updates, so that no distance gives it away.
    """
    return _reply_with(
        context, context.honest.mean(axis=0) - DEVIATIONS * context.honest.std(axis=0)
    )


def inner_product(context: AttackContext) -> MaliciousReply:
    """Return the honest mean reversed, long enough to reverse the mean of all."""
    # h honest sites send the mean m, l liars send -(2h/l)m: the sum is hm - 2hm = -hm.
    factor = 2 * (context.n_sites - context.num_liars) / context.num_liars
    return _reply_with(context, -factor * context.honest.mean(axis=0))


def model_replacement(context: AttackContext) -> MaliciousReply:
    """Return the update multiplied so that the mean of all becomes the liar's own model."""
    # Near convergence the honest updates cancel, so that n/l times its own survives the mean.
    return _reply_with(context, context.own * (context.n_sites / context.num_liars))


def free_rider(context: AttackContext) -> MaliciousReply:
    """Return a zero update: the received model is sent back untrained."""
    return _reply_with(context, np.zeros_like(context.own))


def not_a_number(context: AttackContext) -> MaliciousReply:
    """Return NaN in each coordinate."""
    return _reply_with(context, np.full_like(context.own, np.nan))


def weight_inflation(context: AttackContext) -> MaliciousReply:
    """Return the update reversed, and claim as many examples as the charter allows."""
    # More than the maximum would be refused on arrival.
    return MaliciousReply(update=-context.own, num_examples=context.max_examples)


def _tuned(choose: Callable[[Knowledge], Vector]) -> Callable[[AttackContext], MaliciousReply]:
    """Return the attack that sends what a liar chooses who knows the rule."""

    def lie(context: AttackContext) -> MaliciousReply:
        known = Knowledge(
            honest=context.honest, num_liars=context.num_liars, aggregate=context.aggregate
        )
        return _reply_with(context, choose(known))

    return lie


def _reply_with(context: AttackContext, update: Vector) -> MaliciousReply:
    return MaliciousReply(update=update, num_examples=context.num_examples)


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        attack.name: attack
        for attack in (
            Attack(
                name="sign-flip",
                what="sends its update reversed, ten times as long",
                paper="Li et al. 2019, arXiv:1811.03761",
                lie=sign_flip,
            ),
            Attack(name="scaling", what="sends its update a hundred times as long", lie=scaling),
            Attack(
                name="gaussian",
                what="sends noise a hundred times as long as its update",
                paper="Blanchard et al. 2017, arXiv:1703.02757",
                lie=gaussian,
            ),
            Attack(
                name="label-flip",
                what="trains on reversed labels",
                poison=flip_labels,
            ),
            Attack(
                name="a-little-is-enough",
                what="sends the honest mean, moved by 1.5 honest standard deviations",
                paper="Baruch et al. 2019, arXiv:1902.06156",
                lie=a_little_is_enough,
                omniscient=True,
            ),
            Attack(
                name="inner-product",
                what="sends the honest mean reversed, long enough to reverse the mean of all",
                paper="Xie et al. 2020, arXiv:1903.03936",
                lie=inner_product,
                omniscient=True,
            ),
            Attack(
                name="tuned-a-little",
                what="moves the honest mean to the harmful side, as far as the rule lets it",
                paper="after Baruch et al. 2019, arXiv:1902.06156",
                lie=_tuned(little_but_harmful),
                omniscient=True,
            ),
            Attack(
                name="tuned-inner-product",
                what="shortens or reverses the honest mean, as far as the rule lets it",
                paper="after Xie et al. 2020, arXiv:1903.03936",
                lie=_tuned(best_inner_product),
                omniscient=True,
            ),
            Attack(
                name="min-max",
                what="goes as far from the honest mean as the honest are from each other",
                paper="Shejwalkar and Houmansadr 2021, Manipulating the Byzantine",
                lie=_tuned(min_max),
                omniscient=True,
            ),
            Attack(
                name="mimic",
                what="copies the honest site that stands out most",
                paper="Karimireddy et al. 2022, arXiv:2006.09365",
                lie=_tuned(mimic),
                omniscient=True,
            ),
            Attack(
                name="backdoor",
                what="plants a trigger in half of its records, and outweighs all other sites",
                paper="Bagdasaryan et al. 2020, arXiv:1807.00459",
                lie=model_replacement,
                poison=plant_trigger,
            ),
            Attack(name="free-rider", what="sends back the model it received", lie=free_rider),
            Attack(name="nan", what="sends NaN", lie=not_a_number),
            Attack(
                name="weight-inflation",
                what="sends its update reversed, and claims the most examples allowed",
                lie=weight_inflation,
            ),
            Attack(
                name="unit-mix-up",
                what="writes values in another unit, where the schema lets them pass",
                poison=mix_up_units,
            ),
        )
    }
)


def attack_named(name: str) -> Attack:
    """Return the attack of that name.

    Raises:
        UnknownAttack: There is none; the error suggests the nearest name.
    """
    return look_up(name, ATTACKS, kind="attack", refusal=UnknownAttack)
