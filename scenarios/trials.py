"""What `scenario compare` tries besides: attacks against rules, and levels of privacy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consortium.config import Scalar
from scenarios.attacks.registry import ATTACKS

UNDEFENDED = "undefended mean"


@dataclass(frozen=True, kw_only=True)
class Defence:
    """One way to aggregate.

    Args:
        name: For people; unique among defences in the clear, and among encrypted ones.
        settings: Run config keys that differ from the scenario's.
        encrypted: Whether updates are encrypted.
    """

    name: str
    settings: Mapping[str, Scalar]
    encrypted: bool = False


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Attacks, and the defences that each is tried against.

    Args:
        liars: Number of sites that lie; the seed draws them.
        attacks: Names of attacks.
        defences: The first one in the clear and the first encrypted one are plain means.
    """

    liars: int
    attacks: tuple[str, ...]
    defences: tuple[Defence, ...]

    def for_attack(self, attack: str, liars: int) -> "Trials":
        """Return the trials of one attack by `liars` sites.

        The defences expect as many liars as before, so that a user may try more than they survive.
        """
        return replace(self, attacks=(attack,), liars=liars)


def defences(liars: int, *, clip_norm: float, buckets: int) -> tuple[Defence, ...]:
    """Return every rule set to survive `liars`, in the clear and over buckets, means first.

    Args:
        liars: Number of liars to survive.
        clip_norm: Clip norm of the clipping rules and of bucket means.
        buckets: Number of buckets of encrypted runs.
    """
    common: dict[str, Scalar] = {
        "weighting": "equal",
        "rule.num-byzantine": liars,
        "rule.clip-norm": clip_norm,
    }
    sealed: dict[str, Scalar] = {**common, "aggregation": "encrypted", "buckets": buckets}
    mean: dict[str, Scalar] = {"rule.name": "mean", "rule.num-byzantine": 0}
    return (
        # The plain means weight by records, as a consortium would that expects no liars.
        Defence(name=UNDEFENDED, settings={**mean, "weighting": "examples"}),
        *(Defence(name=rule, settings={**common, "rule.name": rule}) for rule in _IN_THE_CLEAR),
        Defence(
            name="mixing + trimmed-mean",
            settings={
                **common,
                "rule.name": "trimmed-mean",
                "rule.pre-step": "nearest-neighbour-mixing",
            },
        ),
        Defence(
            name=UNDEFENDED,
            settings={**mean, "weighting": "classes", "aggregation": "encrypted"},
            encrypted=True,
        ),
        *(
            Defence(name=rule, settings={**sealed, "rule.name": rule}, encrypted=True)
            for rule in _OVER_BUCKETS
        ),
    )


# Rules that every processor computes to the same bits, as sites apply them themselves.
_OVER_BUCKETS = ("clipped-mean", "coordinate-median", "trimmed-mean", "centered-clipping")
_IN_THE_CLEAR = (*_OVER_BUCKETS, "geometric-median", "krum", "multi-krum", "bulyan")

TRIALS = Trials(
    liars=2,
    attacks=tuple(name for name in ATTACKS if name != "unit-mix-up"),
    defences=defences(2, clip_norm=1.0, buckets=5),
)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Repeated private runs on the same records, until the budgets are spent.

    Args:
        epsilon: What each run asks for.
        runs: Number of runs at most; fewer once a run fails.
        ceilings: Epsilon that each site allows over all runs; `""` stands for sites not named.
        delta: Delta of the ceilings.
    """

    epsilon: float
    runs: int
    ceilings: Mapping[str, float]
    delta: float

    def ceiling(self, site: str) -> float:
        """Return the epsilon that a site allows over all runs."""
        return self.ceilings.get(site, self.ceilings[""])


@dataclass(frozen=True, kw_only=True)
class PrivacyTrials:
    """Trials that measure what privacy costs.

    Args:
        epsilons: Values to try, besides no privacy.
        repeats: Runs at each value, as the noise differs between runs.
        without: Run config keys that differ from the scenario's in runs without privacy.
        campaign: Repeated runs on the same records, until the ledgers refuse.
    """

    epsilons: tuple[float, ...]
    repeats: int
    without: Mapping[str, Scalar]
    campaign: Campaign
