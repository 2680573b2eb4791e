"""What is tried where a scenario is about liars: each attack against each rule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consortium.config import Scalar
from scenarios.attacks.registry import ATTACKS

UNDEFENDED = "undefended mean"


@dataclass(frozen=True, kw_only=True)
class Defence:
    """One way to aggregate.

    Args:
        name: For people, unique among those of the same aggregation.
        settings: What differs from the scenario's run config.
        encrypted: Whether updates are encrypted.
    """

    name: str
    settings: Mapping[str, Scalar]
    encrypted: bool = False


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Which attacks are tried against which defences.

    Args:
        liars: Sites that lie, drawn by the seed.
        attacks: Names of attacks.
        defences: The first one in the clear, and the first one encrypted, defend nothing.
    """

    liars: int
    attacks: tuple[str, ...]
    defences: tuple[Defence, ...]

    def only(self, attack: str, liars: int) -> "Trials":
        """Return the trials of one attack by so many liars.

        The defences are told of as many as before: a person may try more than they promise.
        """
        return replace(self, attacks=(attack,), liars=liars)


def defences(liars: int, *, clip_norm: float, buckets: int) -> tuple[Defence, ...]:
    """Return every rule told of so many liars, in the clear and over buckets; the means first.

    Args:
        liars: Liars to survive.
        clip_norm: Of the clipping rules, and of bucket means.
        buckets: Under encryption.
    """
    told: dict[str, Scalar] = {
        "weighting": "equal",
        "rule.num-byzantine": liars,
        "rule.clip-norm": clip_norm,
    }
    sealed: dict[str, Scalar] = {**told, "aggregation": "encrypted", "buckets": buckets}
    mean: dict[str, Scalar] = {"rule.name": "mean", "rule.num-byzantine": 0}
    return (
        Defence(name=UNDEFENDED, settings={**mean, "weighting": "examples"}),
        *(Defence(name=rule, settings={**told, "rule.name": rule}) for rule in _IN_THE_CLEAR),
        Defence(
            name="mixing + trimmed-mean",
            settings={
                **told,
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


_OVER_BUCKETS = ("clipped-mean", "coordinate-median", "trimmed-mean", "centered-clipping")
_IN_THE_CLEAR = (*_OVER_BUCKETS, "geometric-median", "krum", "multi-krum", "bulyan")

TRIALS = Trials(
    liars=2,
    attacks=tuple(name for name in ATTACKS if name != "unit-mix-up"),
    defences=defences(2, clip_norm=1.0, buckets=5),
)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Several runs on the same records.

    Args:
        epsilon: That each of them asks for.
        runs: At most; fewer if no run can finish any more.
        ceilings: What each site allows over all runs; `""` stands for those not named.
        delta: Of the ceilings.
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
    """What privacy costs.

    Args:
        epsilons: Tried one by one, beside no privacy.
        repeats: Runs at each, as noise differs from run to run.
        without: What differs from the scenario's run config where there is no privacy.
        campaign: Runs on the same records, until the ledgers refuse.
    """

    epsilons: tuple[float, ...]
    repeats: int
    without: Mapping[str, Scalar]
    campaign: Campaign
