"""The rules by name: what each survives, what it needs, and where it is proved."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from privacy.errors import ConsortiumError
from privacy.layout import Vector
from strategies.rules.mean import mean
from strategies.rules.rows import Rule

__all__ = [
    "RULES",
    "Infeasible",
    "OptionRefused",
    "Rule",
    "RuleOptions",
    "RuleSpec",
    "UnknownRule",
    "feasible",
    "require_feasible",
    "rule_named",
    "smallest_sites",
]


class OptionRefused(ConsortiumError, ValueError):
    """An option of a rule is out of its range."""


class UnknownRule(ConsortiumError, LookupError):
    """No rule has this name."""


class Infeasible(ConsortiumError, ValueError):
    """The rule cannot survive so many liars among so few sites."""


@dataclass(frozen=True, kw_only=True)
class RuleOptions:
    """What the rules are told; each takes what concerns it.

    Args:
        num_byzantine: Liars to survive, f in the formulas, at least 0.
        clip_norm: Largest L2 norm that counts in full, above 0.
        momentum: Of centred clipping: how much of the last aggregate stays, in [0, 1).
        iterations: Of centred clipping: steps towards the centre, at least 1.

    Raises:
        OptionRefused: An option is out of its range.
    """

    num_byzantine: int = 0
    clip_norm: float = 10.0
    momentum: float = 0.0
    iterations: int = 1

    def __post_init__(self) -> None:
        if self.num_byzantine < 0:
            raise OptionRefused(f"num_byzantine must be at least 0, got {self.num_byzantine}")
        if not (self.clip_norm > 0 and math.isfinite(self.clip_norm)):
            raise OptionRefused(f"clip_norm must be finite and above 0, got {self.clip_norm}")
        if not 0 <= self.momentum < 1:
            raise OptionRefused(f"momentum must be in [0, 1), got {self.momentum}")
        if self.iterations < 1:
            raise OptionRefused(f"iterations must be at least 1, got {self.iterations}")


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """One rule and everything that is claimed of it.

    Args:
        name: In kebab-case, as in the run config.
        build: The rule, from its options and from the last aggregate, shape (dim,), or None.
        sites_needed: Fewest sites that survive so many liars; None when no number would do.
        breakdown: What the rule survives, in words.
        paper: Where it is proved.
        weighted: Unequal weights are honoured; otherwise they are refused.
        streaming: `StreamingMean` gives the same bits without keeping the updates.
        same_on_every_cpu: The same bits on every CPU: elementwise arithmetic, sums in a fixed
            order. The others use BLAS and run in the clear only.
        needs_memory: The last aggregate matters; without one it is zero.
    """

    name: str
    build: Callable[[RuleOptions, Vector | None], Rule]
    sites_needed: Callable[[int], int | None]
    breakdown: str
    paper: str
    weighted: bool = False
    streaming: bool = False
    same_on_every_cpu: bool = False
    needs_memory: bool = False


SPECS = (
    RuleSpec(
        name="mean",
        build=lambda _options, _memory: mean,
        sites_needed=lambda num_byzantine: None if num_byzantine else 1,
        breakdown="none: one liar moves the result anywhere",
        paper="McMahan et al. 2017, arXiv:1602.05629",
        weighted=True,
        streaming=True,
        same_on_every_cpu=True,
    ),
)

RULES: Mapping[str, RuleSpec] = MappingProxyType({spec.name: spec for spec in SPECS})


def rule_named(name: str) -> RuleSpec:
    """Return the rule of that name.

    Raises:
        UnknownRule: There is none; the nearest name is suggested.
    """
    if name not in RULES:
        close = difflib.get_close_matches(name, RULES, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the rules are {', '.join(RULES)}"
        raise UnknownRule(f"there is no rule '{name}': {hint}")
    return RULES[name]


def smallest_sites(rule_name: str, num_byzantine: int) -> int:
    """Return the fewest sites among which the rule survives so many liars.

    Raises:
        UnknownRule: No rule has this name.
        Infeasible: No number of sites would do.
    """
    needed = rule_named(rule_name).sites_needed(num_byzantine)
    if needed is None:
        raise Infeasible(
            f"{rule_name} does not survive {num_byzantine} liars among any number of sites: "
            "choose a robust rule, such as coordinate-median",
            num_byzantine=num_byzantine,
        )
    return needed


def feasible(rule_name: str, n_sites: int, num_byzantine: int) -> bool:
    """Return whether the rule survives `num_byzantine` liars among `n_sites` sites.

    Raises:
        UnknownRule: No rule has this name.
    """
    needed = rule_named(rule_name).sites_needed(num_byzantine)
    return needed is not None and n_sites >= needed


def require_feasible(rule_name: str, n_sites: int, num_byzantine: int) -> None:
    """Refuse, before a run, a rule that could not keep its promise in it.

    Raises:
        UnknownRule: No rule has this name.
        Infeasible: Too few sites; the smallest number that would do is named.
    """
    smallest = smallest_sites(rule_name, num_byzantine)
    if n_sites < smallest:
        raise Infeasible(
            f"{rule_name} survives {num_byzantine} liars among {smallest} sites or more, "
            f"got {n_sites}: invite more sites or lower num-byzantine",
            n_sites=n_sites,
            num_byzantine=num_byzantine,
            smallest=smallest,
        )
