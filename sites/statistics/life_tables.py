"""Life tables: how many records ended in each declared step of time, and what follows from that.

A record that ended within a step counts as ended at the end of the step, and an event there goes
before an end without one, as in a Kaplan-Meier curve of rounded times. Counts of sites add up, and
so a curve of pooled counts is that of all records with the same steps, to the last count.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Tally, Vector

Z95 = 1.959963984540054  # quantile of the normal distribution for a 95 % interval


def steps_of(times: Vector, grid: tuple[float, ...]) -> Tally:
    """Return the step in which each time lies, shape (n,): len(grid) if it is beyond the grid.

    Step k holds its end, grid[k]; the first one begins at 0.
    """
    return np.searchsorted(np.asarray(grid), times, side="left").astype(np.int64)


def exposures(times: Vector, edges: tuple[float, ...]) -> Matrix:
    """Return how long each record was watched in each step, shape (n, len(edges)).

    Args:
        times: When each record ended, shape (n,).
        edges: Ends of the steps, ascending; the first one begins at 0.
    """
    ends = np.asarray(edges)
    starts = np.concatenate([[0.0], ends[:-1]])
    return np.asarray(np.clip(times[:, None] - starts, 0.0, ends - starts), np.float64)


class SurvivalCurve(Protocol):
    """What a life table says of survival, whether its counts are exact or have noise."""

    @property
    def events(self) -> Tally:
        """Records with the event in each step, shape (n_steps,)."""

    @property
    def withdrawn(self) -> Tally:
        """Records without it that ended in each step, and beyond the last, shape (n_steps + 1,)."""

    @property
    def survival(self) -> Vector:
        """The share without the event at the end of each step, shape (n_steps,)."""

    def interval(self) -> tuple[Vector, Vector]:
        """Return 95 % limits of `survival`."""

    def median(self, grid: tuple[float, ...]) -> float | None:
        """Return the end of the step by which half had the event; None if it is not known."""

    def restricted_mean(self, grid: tuple[float, ...], n_steps: int) -> tuple[float, float] | None:
        """Return the mean time within so many steps and its standard error; None if unknown."""


def curve_values(
    name: str, curve: SurvivalCurve, grid: tuple[float, ...], *, horizon: float, at_risk: Tally
) -> Mapping[str, Any]:
    """Return a curve as plain JSON values, for results and the report.

    Args:
        name: Of the group; empty for all.
        curve: The curve.
        grid: Ends of the steps.
        horizon: Up to when the mean time without the event is taken.
        at_risk: The numbers at risk that are shown, shape (n_steps,).
    """
    low, high = curve.interval()
    mean = curve.restricted_mean(grid, sum(time <= horizon for time in grid))
    return {
        "group": name,
        "times": list(grid),
        "at_risk": at_risk.tolist(),
        "events": curve.events.tolist(),
        "withdrawn": curve.withdrawn.tolist(),
        "survival": curve.survival.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "median": curve.median(grid),
        "restricted_mean": None if mean is None else mean[0],
        "restricted_mean_error": None if mean is None else mean[1],
    }


@dataclass(frozen=True, eq=False)
class LifeTable:
    """Ends of records by step of time.

    Args:
        events: Records with the event in each step, shape (n_steps,).
        withdrawn: Records without the event that ended in each step, then those that were watched
            beyond the last one, shape (n_steps + 1,).
    """

    events: Tally
    withdrawn: Tally

    @classmethod
    def of(cls, times: Vector, events: NDArray[np.bool_], grid: tuple[float, ...]) -> "LifeTable":
        """Count records that ended at these times, shape (n,), with the event or without."""
        steps, n_steps = steps_of(times, grid), len(grid)
        within = steps < n_steps
        return cls(
            np.bincount(steps[events & within], minlength=n_steps).astype(np.int64),
            # Who had the event beyond the last time was watched up to it.
            np.bincount(steps[~(events & within)], minlength=n_steps + 1).astype(np.int64),
        )

    @property
    def at_risk(self) -> Tally:
        """Records under observation at the start of each step, shape (n_steps,)."""
        ended = self.events + self.withdrawn[:-1]
        return np.asarray(np.cumsum(ended[::-1])[::-1] + self.withdrawn[-1], np.int64)

    @property
    def survival(self) -> Vector:
        """Share without the event at the end of each step (Kaplan and Meier 1958)."""
        return np.asarray(np.cumprod(1.0 - self.events / np.maximum(self.at_risk, 1)), np.float64)

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Whether `survival` is known: a record was watched in the step, or all had the event."""
        return np.asarray((self.at_risk > 0) | (self.survival == 0.0), np.bool_)

    @property
    def variance(self) -> Vector:
        """Variance of the logarithm of `survival` (Greenwood 1926); inf once all had the event."""
        left = self.at_risk - self.events
        whole = np.maximum(self.at_risk * left, 1)
        terms = np.where(left > 0, self.events / whole, np.where(self.events > 0, np.inf, 0.0))
        return np.asarray(np.cumsum(terms), np.float64)

    def interval(self) -> tuple[Vector, Vector]:
        """Return 95 % limits of `survival`, on the scale of log(-log S); [0, 1] where undefined."""
        survival, variance = self.survival, self.variance
        inner = (survival > 0) & (survival < 1) & np.isfinite(variance)
        safe = np.where(inner, survival, 0.5)
        reach = Z95 * np.sqrt(np.where(inner, variance, 0.0)) / np.abs(np.log(safe))
        low, high = safe ** np.exp(reach), safe ** np.exp(-reach)
        at_bound = survival == 1.0
        return np.where(inner, low, np.where(at_bound, 1.0, 0.0)), np.where(inner, high, 1.0)

    def restricted_mean(self, grid: tuple[float, ...], n_steps: int) -> tuple[float, float]:
        """Return the mean time without the event within so many steps, and its standard error.

        It is the area under the curve; the error is Greenwood's (Klein and Moeschberger 2003, 4.5).
        """
        widths = np.diff(np.concatenate([[0.0], grid[:n_steps]]))
        # The curve falls at the end of a step: over a step it is as high as at its start.
        height = np.concatenate([[1.0], self.survival[: n_steps - 1]])
        areas = widths * height
        after = np.concatenate([np.cumsum(areas[::-1])[::-1][1:], [0.0]])
        left = (self.at_risk - self.events)[:n_steps]
        whole = self.at_risk[:n_steps] * left
        share = np.where(whole > 0, self.events[:n_steps] / np.maximum(whole, 1), 0.0)
        return float(areas.sum()), math.sqrt(float((after**2 * share).sum()))

    def median(self, grid: tuple[float, ...]) -> float | None:
        """Return the end of the step by which half had the event; None if fewer had.

        Guarantee: a share of exactly 1/2 is half, whatever `survival` is rounded to.
        """
        left, share = self.at_risk - self.events, Fraction(1)
        for end, after, before in zip(grid, left.tolist(), self.at_risk.tolist(), strict=False):
            share *= Fraction(after, before) if before else 1
            if share <= Fraction(1, 2):
                return float(end)
        return None


@dataclass(frozen=True)
class LogRank:
    """A test of whether groups have the event equally often (Mantel 1966).

    Args:
        observed: Events in each group.
        expected: Events in each group if all had it equally often.
        chi_square: The statistic.
        degrees: Its degrees of freedom; 0 if there is nothing to compare.
    """

    observed: tuple[int, ...]
    expected: tuple[float, ...]
    chi_square: float
    degrees: int


def log_rank(tables: list[LifeTable]) -> LogRank:
    """Return the log-rank test of life tables with the same steps, one of each group."""
    events = np.stack([one.events for one in tables]).astype(np.float64)  # (n_groups, n_steps)
    risk = np.stack([one.at_risk for one in tables]).astype(np.float64)
    total, died = risk.sum(axis=0), events.sum(axis=0)
    shares = risk / np.maximum(total, 1.0)
    expected = shares * died
    spread = died * (total - died) / np.maximum(total - 1.0, 1.0)
    covariance = np.diag((spread * shares).sum(axis=1)) - (spread * shares) @ shares.T
    present = np.flatnonzero(np.diag(covariance) > 0)[:-1]
    gap = (events - expected).sum(axis=1)[present]
    statistic = 0.0
    if len(present):
        statistic = float(gap @ np.linalg.pinv(covariance[np.ix_(present, present)]) @ gap)
    return LogRank(
        tuple(int(one) for one in events.sum(axis=1)),
        tuple(float(one) for one in expected.sum(axis=1)),
        statistic,
        len(present),
    )
