"""The noise that every site of a run adds to what it counts.

A module of its own because what counts and what reads the sums need it, and no library of learning.
"""

from dataclasses import dataclass

from privacy.differential.accounting import calibrated_noise
from privacy.differential.mechanisms import Unit


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
