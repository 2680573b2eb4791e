"""The noise that every site of a run adds to what it counts.

A module of its own because what counts and what reads the sums need it, and no library of learning.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from privacy.differential.accounting import calibrated_noise
from privacy.differential.mechanisms import Unit
from privacy.differential.noisy_counts import SMOOTHING, noisy_tally
from privacy.layout import Tally, Vector
from sites.plans import PrivacyPlan


@dataclass(frozen=True, kw_only=True)
class CountNoise:
    """Discrete Gaussian noise, the same at every site, as the run config says it.

    Args:
        unit: Who is protected.
        epsilon: What all rounds together may cost; 0 where the multiplier is given.
        delta: Of epsilon.
        noise_multiplier: Standard deviation over what a unit moves; 0 where epsilon is given.
        most_records: Most records of one unit that are counted.
        rounds: Rounds in which something is counted.
    """

    unit: Unit
    epsilon: float
    delta: float
    noise_multiplier: float
    most_records: int
    rounds: int

    @property
    def multiplier(self) -> float:
        """The noise multiplier of each round.

        Raises:
            ConsortiumError: No noise is enough for so little epsilon, or delta is out of range.
        """
        return self.noise_multiplier or calibrated_noise(
            sampling_rate=1.0, steps=self.rounds, epsilon=self.epsilon, delta=self.delta
        )

    @property
    def deviation(self) -> float:
        """Standard deviation of one site's noise in an entry of scale 1.

        One record moves the scaled tally by at most 1, so a unit moves it by `most_records`.

        Raises:
            ConsortiumError: As `multiplier` says.
        """
        return self.multiplier * self.most_records

    def entry_deviation(self, scale: float) -> float:
        """Return the standard deviation of one site's noise in an entry, as `noisy_tally` draws it.

        To three digits, in which the last bit of a logarithm is lost: it is the same at every site,
        and what a state holds may follow from it.

        Args:
            scale: Of the entry, above 0.

        Raises:
            ConsortiumError: As `multiplier` says.
        """
        return float(f"{math.sqrt((self.deviation * scale) ** 2 + SMOOTHING):.3g}")

    def shown(self, *, sites: int, deviation: float) -> Mapping[str, Any]:
        """Return what results say of the noise, as plain JSON values.

        Args:
            sites: How many added it.
            deviation: Of a count at one of them.
        """
        return {
            "unit": self.unit,
            "most_records": self.most_records,
            "sites": sites,
            "deviation": float(f"{deviation * math.sqrt(sites):.3g}"),
        }


def with_noise(tally: Tally, scales: Vector, plan: PrivacyPlan) -> Tally:
    """Return a tally with the noise of a plan, shape (n,).

    Guarantee: a Gaussian mechanism with the plan's noise multiplier for the plan's unit, if one
    record moves the tally, each entry divided by its scale, by at most 1 in L2.

    Args:
        tally: Of as many records of a person as the plan allows.
        scales: One for each entry; 0 for an entry that no record moves.
        plan: Who is protected, and by how much noise.

    Raises:
        BadDeviation: As `noisy_tally` says.
    """
    most = plan.max_records_per_person if plan.unit == "person" else 1
    return noisy_tally(tally, scales, deviation=plan.noise_multiplier * most)
