"""The registry of rules: what each survives, what it needs, and where it is proved."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from privacy.errors import ConsortiumError, look_up
from privacy.layout import Vector
from strategies.rules.clipping import centered_clipping, clipped_mean
from strategies.rules.coordinatewise import coordinate_median, trimmed_mean
from strategies.rules.geometric_median import geometric_median
from strategies.rules.inputs import OptionRefused, Rule, RuleOptions, honest_majority
from strategies.rules.krum import bulyan, bulyan_sites, krum, krum_sites, multi_krum
from strategies.rules.mean import mean

__all__ = [
    "RULES",
    "Infeasible",
    "OptionRefused",
    "Rule",
    "RuleOptions",
    "RuleSpec",
    "UnknownRule",
    "rule_named",
    "smallest_sites",
]


class UnknownRule(ConsortiumError, LookupError, code="unknown-rule"):
    """No rule has this name."""


class Infeasible(ConsortiumError, ValueError, code="infeasible"):
    """The rule cannot survive so many liars among so few sites."""


@dataclass(frozen=True, kw_only=True)
class RuleSpec:
    """One rule, and everything that is claimed about it.

    Args:
        name: Name in kebab-case, as in the run config.
        build: Returns the rule, from its options and the last aggregate, shape (dim,), or None.
        sites_needed: Returns the fewest sites that survive so many liars; None if no number does.
        breakdown: What the rule survives, in words.
        paper: The paper that proves it.
        weighted: Whether unequal weights are honoured; otherwise they are refused.
        streaming: Whether `StreamingMean` gives the same bits without storing the updates.
        same_on_every_cpu: Whether the result has the same bits on every CPU: elementwise
            arithmetic, and sums in a fixed order. The other rules use BLAS and run in the clear
            only.
        needs_memory: Whether the rule uses the last aggregate; before the first round it is zero.
        only_bounds: Whether every liar moves the result, within a bound; the other rules outvote
            liars.
        by_coordinate: Whether each number of the result is from the middle of the sites' numbers.
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
    only_bounds: bool = False
    by_coordinate: bool = False


def _liars(rule: Callable[..., Vector]) -> Callable[[RuleOptions, Vector | None], Rule]:
    return lambda options, _memory: partial(rule, num_byzantine=options.num_byzantine)


def _clipped_mean(options: RuleOptions, _memory: Vector | None) -> Rule:
    return partial(clipped_mean, clip_norm=options.clip_norm, num_byzantine=options.num_byzantine)


def _centered_clipping(options: RuleOptions, memory: Vector | None) -> Rule:
    return partial(centered_clipping, centre=memory, options=options)


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
    RuleSpec(
        name="clipped-mean",
        build=_clipped_mean,
        sites_needed=honest_majority,
        breakdown="bounded, not removed: f liars move the result by at most 2 f clip-norm / n",
        paper="McMahan et al. 2018, arXiv:1710.06963; adaptive: Andrew et al. 2021, "
        "arXiv:1905.03871",
        weighted=True,
        same_on_every_cpu=True,
        only_bounds=True,
    ),
    RuleSpec(
        name="coordinate-median",
        build=_liars(coordinate_median),
        sites_needed=honest_majority,
        breakdown="any minority: each coordinate stays within the honest range",
        paper="Yin et al. 2018, arXiv:1803.01498",
        same_on_every_cpu=True,
        by_coordinate=True,
    ),
    RuleSpec(
        name="trimmed-mean",
        build=_liars(trimmed_mean),
        sites_needed=honest_majority,
        breakdown="f of 2f + 1: each coordinate stays within the honest range",
        paper="Yin et al. 2018, arXiv:1803.01498",
        same_on_every_cpu=True,
        by_coordinate=True,
    ),
    RuleSpec(
        name="geometric-median",
        build=_liars(geometric_median),
        sites_needed=honest_majority,
        breakdown="any minority of the weight: stays within 2 H / (H - B) of the honest radius, "
        "H and B the honest and the lying weight",
        paper="Pillutla et al. 2022, arXiv:1912.13445",
        weighted=True,
    ),
    RuleSpec(
        name="krum",
        build=_liars(krum),
        sites_needed=krum_sites,
        breakdown="f of 2f + 3: the squared distance to the honest mean stays below "
        "6 (n - f) / (n - 2f - 2) times the honest variance",
        paper="Blanchard et al. 2017, arXiv:1703.02757",
    ),
    RuleSpec(
        name="multi-krum",
        build=_liars(multi_krum),
        sites_needed=krum_sites,
        breakdown="f of 2f + 3: as krum, with less noise",
        paper="Blanchard et al. 2017, arXiv:1703.02757",
    ),
    RuleSpec(
        name="bulyan",
        build=_liars(bulyan),
        sites_needed=bulyan_sites,
        breakdown="f of 4f + 3: each coordinate stays within one honest range of an honest median",
        paper="El Mhamdi et al. 2018, arXiv:1802.07927",
        by_coordinate=True,
    ),
    RuleSpec(
        name="centered-clipping",
        build=_centered_clipping,
        sites_needed=honest_majority,
        breakdown="bounded, not removed: f liars move the result by at most "
        "2 f clip-norm iterations / n",
        paper="Karimireddy et al. 2021, arXiv:2012.10333",
        same_on_every_cpu=True,
        needs_memory=True,
        only_bounds=True,
    ),
)

RULES: Mapping[str, RuleSpec] = MappingProxyType({spec.name: spec for spec in SPECS})


def rule_named(name: str) -> RuleSpec:
    """Return the rule with this name.

    Raises:
        UnknownRule: There is none; the message suggests the nearest name.
    """
    return look_up(name, RULES, kind="rule", refusal=UnknownRule)


def smallest_sites(rule_name: str, num_byzantine: int) -> int:
    """Return the fewest sites with which the rule survives so many liars.

    Raises:
        UnknownRule: No rule has this name.
        Infeasible: No number of sites is enough.
    """
    needed = rule_named(rule_name).sites_needed(num_byzantine)
    if needed is None:
        raise Infeasible(
            f"{rule_name} does not survive {num_byzantine} liars among any number of sites: "
            "choose a robust rule, such as coordinate-median",
            num_byzantine=num_byzantine,
        )
    return needed
