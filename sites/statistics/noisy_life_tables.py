"""A survival curve from a life table whose counts have noise.

Whatever is computed from noisy counts reveals nothing more. A module of its own: without noise a
curve is known to the last count, and nothing of this is needed.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privacy.layout import Tally, Vector
from sites.statistics.life_tables import Z95
from sites.statistics.monotone import rising

CLEAR = 3.0  # deviations of its noise above which a number at risk says that somebody is there


@dataclass(frozen=True, eq=False)
class NoisyLifeTable:
    """Ends of records by step of time, counted with noise.

    Guarantee: `survival` only falls, and is within [0, 1]. The noise of a step makes the product of
    Kaplan and Meier rise or fall; the curve is the nearest falling one to that product, in squares,
    cut to [0, 1]. It stays as it is from the first step on at whose start the number at risk does
    not stand out of its noise: nothing is known there, and `n_known` steps are before.

    Args:
        events: Records with the event in each step, with noise, shape (n_steps,).
        withdrawn: Records without it that ended in each step, then those that were watched beyond
            the last one, with noise, shape (n_steps + 1,).
        records: All records, counted with noise by themselves.
        spread: Variance of the noise of `records`, that of a count of the table being 1.
        deviation: Standard deviation of the noise of each count.
    """

    events: Tally
    withdrawn: Tally
    records: int
    spread: float
    deviation: float

    @cached_property
    def at_risk(self) -> Vector:
        """Records under observation at the start of each step, with noise, shape (n_steps,).

        Many counts would add up to much noise. So each got an equal part of what they lack of all
        records: the least-squares fit, as in `sites.learners.bin_cells.agreed_sums`.
        """
        ended = (self.events + self.withdrawn[:-1]).astype(np.float64)
        later = np.cumsum(ended[::-1])[::-1] + float(self.withdrawn[-1])
        held = float(self.events.sum() + self.withdrawn.sum())
        lacking = (self.records - held) * self._spread_of_all / self.spread
        return np.asarray(later + lacking * self._share, np.float64)

    @cached_property
    def at_risk_deviations(self) -> Vector:
        """Standard deviation of the noise of each number at risk, shape (n_steps,)."""
        share, counts = self._share, self._counts * self._share
        spread = counts * (1.0 - share) + share**2 * self._spread_of_all
        return np.asarray(self.deviation * np.sqrt(spread), np.float64)

    @property
    def _counts(self) -> int:
        return len(self.events) + len(self.withdrawn)

    @property
    def _share(self) -> Vector:
        """Share of all counts from each step on, shape (n_steps,)."""
        later = 2.0 * np.arange(len(self.events), 0, -1) + 1.0
        return np.asarray(later / self._counts, np.float64)

    @property
    def _spread_of_all(self) -> float:
        """Variance of the fitted number of all records, that of a count being 1."""
        return 1.0 / (1.0 / self.spread + 1.0 / self._counts)

    @cached_property
    def n_known(self) -> int:
        """Steps, from the first one on, whose number at risk stands out of its noise."""
        drowned = self.at_risk <= CLEAR * self.at_risk_deviations
        return int(np.argmax(np.append(drowned, True)))

    @cached_property
    def survival(self) -> Vector:
        """Share without the event at the end of each step, shape (n_steps,)."""
        known = self.n_known
        curve = np.ones(len(self.events))
        if known:
            product = np.asarray(np.cumprod(1.0 - self._hazards[:known]), np.float64)
            falling = -rising(-product, np.ones(known))
            curve[:known] = np.clip(falling, 0.0, 1.0)
            curve[known:] = curve[known - 1]
        return curve

    def interval(self) -> tuple[Vector, Vector]:
        """Return 95 % limits of `survival`, by chance and by noise; the lower is 0 where unknown.

        They are symmetric in the logarithm, and cut to 1. To Greenwood's variance is added that of
        the noise of the events, and at most as much as the noise of the numbers at risk can add.
        """
        reach = np.exp(Z95 * np.sqrt(self._variances(np.ones(len(self.events)))))
        low, high = self.survival / reach, np.minimum(self.survival * reach, 1.0)
        known = np.arange(len(low)) < self.n_known
        return np.where(known, low, 0.0), np.asarray(high, np.float64)

    def median(self, grid: tuple[float, ...]) -> float | None:
        """Return the end of the step by which half had the event; None if fewer had, or unknown."""
        half = np.flatnonzero(self.survival[: self.n_known] <= 0.5)
        return float(grid[half[0]]) if len(half) else None

    def restricted_mean(self, grid: tuple[float, ...], n_steps: int) -> tuple[float, float] | None:
        """Return the mean time without the event within so many steps, and its standard error.

        None if the curve is not known so far.
        """
        if n_steps > self.n_known:
            return None
        widths = np.diff(np.concatenate([[0.0], grid[:n_steps]]))
        areas = widths * np.concatenate([[1.0], self.survival[: n_steps - 1]])
        after = np.concatenate([np.cumsum(areas[::-1])[::-1][1:], [0.0]])
        variance = self._variances(np.append(after, np.zeros(len(self.events) - n_steps)))[-1]
        return float(areas.sum()), math.sqrt(float(variance))

    @cached_property
    def _hazards(self) -> Vector:
        return np.asarray(self.events / np.maximum(self.at_risk, 1.0), np.float64)

    def _variances(self, weights: Vector) -> Vector:
        """Return the variance of the sum of weighted hazards up to each step, shape (n_steps,)."""
        known = np.arange(len(self.events)) < self.n_known
        at_risk = np.maximum(self.at_risk, 1.0)
        hazards = np.clip(self._hazards, 0.0, 1.0 - 1.0 / (at_risk + 1.0))
        by_chance = hazards / (at_risk * (1.0 - hazards))
        by_events = (self.deviation / at_risk) ** 2
        # Numbers at risk share their noise: at worst it adds up.
        by_risk = weights * hazards * self.at_risk_deviations / at_risk
        own = np.cumsum(np.where(known, weights**2 * (by_chance + by_events), 0.0))
        return np.asarray(own + np.cumsum(np.where(known, by_risk, 0.0)) ** 2, np.float64)
