"""What a liar does, by name: to what it sends, or to its own records before it trains.

An attack never stands in the product: a scenario stages it at chosen sites, inside their seal,
since a liar seals a hostile value like any other.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from privacy.errors import ConsortiumError
from privacy.layout import Matrix, Vector
from scenarios.attacks.data_poisoning import Poison, flip_labels, mix_up_units, plant_trigger

SIGN_FLIP_BY = 10.0
SCALE_BY = 100.0
NOISE_BY = 100.0
DEVIATIONS = 1.5


class UnknownAttack(ConsortiumError, LookupError):
    """No attack has this name."""

    code = "unknown-attack"


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackContext:
    """What a liar knows when it answers in a round.

    Args:
        own: The update it would send if it were honest, shape (dim,).
        num_examples: The training examples it would claim.
        max_examples: The most it may claim.
        n_sites: Members of the consortium.
        num_liars: Liars among them, who act as one.
        honest: The updates of the honest sites in this round, shape (n_honest, dim); no rows
            unless the attack is omniscient.
        rng: Of this liar in this round.
    """

    own: Vector
    num_examples: int
    max_examples: int
    n_sites: int
    num_liars: int
    honest: Matrix
    rng: np.random.Generator


@dataclass(frozen=True, eq=False, kw_only=True)
class MaliciousReply:
    """What a liar sends in the place of its answer.

    Args:
        update: Shape (dim,).
        num_examples: The training examples it claims.
    """

    update: Vector
    num_examples: int


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One way to lie, or to be careless.

    Args:
        name: In kebab-case.
        what: What the site does, in words.
        paper: Where it is from, if anywhere.
        lie: What is sent instead of the honest answer, or None: the answer is what training
            gave.
        poison: What happens to the site's records when they are staged, or None.
        omniscient: The liar sees the updates of all honest sites.
    """

    name: str
    what: str
    paper: str = ""
    lie: Callable[[AttackContext], MaliciousReply] | None = None
    poison: Poison | None = None
    omniscient: bool = False


def sign_flip(known: AttackContext) -> MaliciousReply:
    """Return the update reversed, ten times as long: the mean of fifteen turns round for two."""
    return _of(known, -SIGN_FLIP_BY * known.own)


def scaling(known: AttackContext) -> MaliciousReply:
    """Return the update a hundred times as long."""
    return _of(known, SCALE_BY * known.own)


def gaussian(known: AttackContext) -> MaliciousReply:
    """Return noise a hundred times as long as the update."""
    noise = known.rng.standard_normal(known.own.shape)
    return _of(known, noise * (NOISE_BY * np.linalg.norm(known.own) / np.linalg.norm(noise)))


def a_little_is_enough(known: AttackContext) -> MaliciousReply:
    """Return the honest mean, moved by 1.5 honest standard deviations in each coordinate.

    Within the spread of the honest, so that no distance gives it away.
    """
    return _of(known, known.honest.mean(axis=0) - DEVIATIONS * known.honest.std(axis=0))


def inner_product(known: AttackContext) -> MaliciousReply:
    """Return the honest mean reversed, as long as it takes to turn the mean of all round."""
    factor = 2 * (known.n_sites - known.num_liars) / known.num_liars
    return _of(known, -factor * known.honest.mean(axis=0))


def model_replacement(known: AttackContext) -> MaliciousReply:
    """Return the update multiplied so that the mean of all becomes the liar's own model."""
    return _of(known, known.own * (known.n_sites / known.num_liars))


def free_rider(known: AttackContext) -> MaliciousReply:
    """Return no change: what was received is sent back, and nothing was learnt."""
    return _of(known, np.zeros_like(known.own))


def not_a_number(known: AttackContext) -> MaliciousReply:
    """Return NaN in each coordinate."""
    return _of(known, np.full_like(known.own, np.nan))


def weight_inflation(known: AttackContext) -> MaliciousReply:
    """Return the update reversed, and claim the most examples that may be claimed."""
    return MaliciousReply(update=-known.own, num_examples=known.max_examples)


def _of(known: AttackContext, update: Vector) -> MaliciousReply:
    return MaliciousReply(update=update, num_examples=known.num_examples)


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
                what="trains on labels that are turned round",
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
                what="sends the honest mean reversed, long enough to turn the mean of all",
                paper="Xie et al. 2020, arXiv:1903.03936",
                lie=inner_product,
                omniscient=True,
            ),
            Attack(
                name="backdoor",
                what="plants a trigger in half of its records, and outshouts the others",
                paper="Bagdasaryan et al. 2020, arXiv:1807.00459",
                lie=model_replacement,
                poison=plant_trigger,
            ),
            Attack(name="free-rider", what="sends back what it got", lie=free_rider),
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
        UnknownAttack: There is none; the nearest name is suggested.
    """
    if name not in ATTACKS:
        close = difflib.get_close_matches(name, ATTACKS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the attacks are {', '.join(ATTACKS)}"
        raise UnknownAttack(f"there is no attack '{name}': {hint}")
    return ATTACKS[name]
