"""What is tried where a scenario is about privacy: epsilons, and runs until ledgers refuse."""

from collections.abc import Mapping
from dataclasses import dataclass

from consortium.config import Scalar


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
