"""The accountant: the epsilon, at a delta, that events cost together.

It composes privacy loss distributions (Koskela et al. 2020; Doroshenko et al. 2022,
arXiv:2207.04380). They are rounded pessimistically, so the result is an upper bound of the true
epsilon. The grid is chosen so that the bound is too large by at most about 0.003, or by a third of
a percent where epsilon is below 1; only where very many steps of very small rates and little noise
would need a grid too large for a laptop is it looser. It holds for events whose parameters were
fixed beforehand, as those of one run are; `privacy.differential.renyi_filter` covers the others.

A budget protects one unit of privacy. An event for one unit counts for the other as follows:

- Event by record, budget by person, at most m records per person: each record of a person is
  sampled independently, so with probability Binomial(m, rate)(k) a step moves by up to k clip
  norms. This is a mixture of Gaussians (Choquette-Choo et al. 2023, arXiv:2312.01564).
- Event by person, budget by record: changing one record replaces its person's contribution.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from privacy.differential.mechanisms import Gaussian, HeldOut, Mechanism, SampledGaussian, Unit
from privacy.errors import ConsortiumError, number_of

if TYPE_CHECKING:  # slow to import: loaded only where an epsilon is computed
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

Distribution: TypeAlias = "PrivacyLossDistribution"

SMALLEST_DELTA = 1e-12  # below it float64 rounding decides the result, not the mechanism

_ERROR = 0.003  # most that rounding to the grid may add to epsilon
_GRIDS = tuple(2.0**-k for k in range(4, 21))
_ALWAYS_AFFORDED = 2.0**-14  # grids up to here are used whatever they cost
_MOST_POINTS = 2**15  # of a step's distribution on a finer grid: some seconds, below 1 GB
_WITHIN = 0.01  # calibrated noise uses at least 99 percent of the target epsilon
_AT_ONCE = 32  # steps composed by one chain of recursive calls
_LOW_ORDERS = tuple(range(2, 33))  # their bound is at most log(1 / delta) / 31 above the best
_LEAST_NOISE, _MOST_NOISE = 2.0**-6, 2.0**20


class BadTarget(ConsortiumError, ValueError, code="bad-target"):
    """An epsilon, a delta or a number of units is out of range."""


class NoNoiseFits(ConsortiumError, ValueError, code="no-noise-fits"):
    """No noise multiplier within bounds reaches the target epsilon."""


@dataclass(frozen=True)
class Step:
    """One step of a mechanism, as it looks to the unit that a budget protects.

    Args:
        noise: Standard deviation of the noise, divided by the sensitivity to one contribution.
        rate: Probability that a contribution is in the step.
        contributions: Most contributions of one unit, each sampled independently; 0 where the
            unit replaces one contribution.
    """

    noise: float
    rate: float
    contributions: int

    @property
    def reach(self) -> int:
        """Most that one unit moves a step, in units of its sensitivity."""
        # Replacing is removing one contribution and adding another: it moves the step twice.
        return self.contributions or 2

    @property
    def spread(self) -> float:
        """Approximate standard deviation of the step's privacy loss."""
        reach = self.reach / self.noise
        # Without sampling the loss is Gaussian, with exactly this deviation. For very little noise
        # the other formula would overflow, and sampling hardly helps there.
        if self.rate == 1.0 or reach**2 > 30:
            return reach
        return min(reach, self.rate * self.reach * math.sqrt(math.expm1(self.noise**-2)))

    @property
    def largest(self) -> float:
        """Approximate loss of the step that is exceeded with a probability of about 1e-15."""
        reach = self.reach / self.noise
        unsampled = min(reach**2 / 2 + 8 * reach, 700.0)  # beyond, exp overflows
        return math.log1p(self.rate * math.expm1(unsampled))


Steps: TypeAlias = tuple[tuple[Step, int], ...]


def epsilon(events: Sequence[Mechanism], delta: float, *, unit: Unit = "person") -> float:
    """Return the total epsilon of events on one data set, at a delta.

    Guarantee: together the events are (epsilon, delta)-differentially private for the unit, under
    adding or removing one unit. Later events may compute anything from what earlier events
    released, but their noise, rate and steps must not have been chosen from it. The result is
    infinite if an event does not bound the contribution of the unit.

    Args:
        events: All events, in the order in which they happened.
        delta: At least `SMALLEST_DELTA`, below 1.
        unit: Unit of privacy to protect.

    Raises:
        BadTarget: Delta is out of range.
    """
    return composed_epsilon(_planned_epsilon, events, delta, unit)


def composed_epsilon(
    compose: Callable[[Steps, float], float], events: Sequence[Mechanism], delta: float, unit: Unit
) -> float:
    """Return the total epsilon of events by a rule that composes their steps, at a delta.

    It is infinite if an event does not bound the contribution of the unit, and never below 0.

    Raises:
        BadTarget: Delta is out of range.
    """
    require_delta(delta)
    if not bounds_every_unit(events, unit):
        return math.inf
    steps = steps_of(events, unit)
    return max(0.0, compose(steps, delta)) if steps else 0.0


def _planned_epsilon(steps: Steps, delta: float) -> float:
    grid = _grid_width(steps, delta)
    return float(_composed_distribution(steps, grid).get_epsilon_for_delta(delta))


@lru_cache(maxsize=512)
def calibrated_noise(*, sampling_rate: float, steps: int, epsilon: float, delta: float) -> float:
    """Return the noise multiplier with which all planned steps together cost an epsilon.

    Guarantee: with this noise the steps of all planned rounds, composed once, cost at most
    `epsilon` and at least 99 percent of it. Calibrating each round by itself would cost more.

    Args:
        sampling_rate: Probability that a unit is in a step.
        steps: Steps of all rounds together.
        epsilon: Target, above 0.
        delta: Delta of the target.

    Raises:
        BadTarget: Epsilon or delta is out of range.
        NoNoiseFits: The target is too large or too small to be reached.
    """
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise BadTarget(f"a target epsilon must be finite and above 0, got {epsilon}")
    # Bisection on the logarithm: epsilon falls steadily as the noise grows.
    low, high = math.log2(_LEAST_NOISE), math.log2(_MOST_NOISE)
    for _ in range(60):
        middle = (low + high) / 2
        noise = math.exp2(middle)
        cost = _cost_of(noise, sampling_rate, steps, delta, at_most=epsilon)
        if (1 - _WITHIN) * epsilon <= cost <= epsilon:
            return noise
        low, high = (middle, high) if cost > epsilon else (low, middle)
    raise NoNoiseFits(
        f"no noise multiplier between {_LEAST_NOISE:g} and {_MOST_NOISE:g} makes "
        f"{number_of(steps, 'step')} at rate {sampling_rate:g} cost epsilon "
        f"{epsilon:g}: choose another epsilon or other steps"
    )


def require_delta(delta: float) -> None:
    """Check that a delta is in the range that the accountant supports.

    Raises:
        BadTarget: It is below `SMALLEST_DELTA`, or not below 1.
    """
    if not SMALLEST_DELTA <= delta < 1:
        raise BadTarget(f"a delta must be at least {SMALLEST_DELTA:g} and below 1, got {delta}")


def _cost_of(noise: float, rate: float, steps: int, delta: float, *, at_most: float) -> float:
    event = SampledGaussian(
        noise_multiplier=noise, sampling_rate=rate, steps=steps, clip_norm=1.0, unit="person"
    )
    # Far above the target the Renyi bound decides the bisection as well, and is a thousand times
    # cheaper.
    rough = _renyi_epsilon([event], delta, _LOW_ORDERS)
    return rough if rough > 4 * at_most + 4 else epsilon([event], delta)


def bounds_every_unit(events: Iterable[Mechanism], unit: Unit) -> bool:
    """Return whether every event bounds the contribution of one unit."""
    return all(
        isinstance(event, HeldOut)
        or event.unit in (unit, "person")
        or event.max_records_per_person > 0
        for event in events
    )


def _contributions(event: SampledGaussian | Gaussian, unit: Unit) -> int:
    # See the module docstring: 0 stands for "replace one".
    if event.unit == unit:
        return 1
    return event.max_records_per_person if event.unit == "record" else 0


def _rate_and_times(event: SampledGaussian | Gaussian) -> tuple[float, int]:
    if isinstance(event, SampledGaussian):
        return event.sampling_rate, event.steps
    return 1.0, event.count


def steps_of(events: Iterable[Mechanism], unit: Unit) -> Steps:
    """Return the steps of all events with counts: equal ones merged, unsampled ones fused."""
    found: dict[Step, int] = {}
    precision = 0.0
    for event in events:
        if isinstance(event, HeldOut):
            continue
        rate, times = _rate_and_times(event)
        step = Step(event.noise_multiplier, rate, _contributions(event, unit))
        if rate == 1.0:
            # Gaussian mechanisms compose exactly: the squares of sensitivity over noise add up,
            # so all unsampled steps are one step, and composing it costs nothing.
            precision += times * (step.reach / step.noise) ** 2
        else:
            found[step] = found.get(step, 0) + times
    whole = ((Step(1 / math.sqrt(precision), 1.0, 1), 1),) if precision else ()
    return whole + tuple(found.items())


def _grid_width(steps: Steps, delta: float) -> float:
    """Return the coarsest grid width for which rounding adds at most `_ERROR` to epsilon.

    Rounding a loss to the two grid points around it adds variance: a sixth of the grid squared
    where the losses spread over many points, and less than 0.8 spreads times the grid where they
    do not. The library's own default, 1e-4, would triple the epsilon of a million small steps.
    Where a step's distribution would have more than `_MOST_POINTS` points, the grid stays coarser.
    """
    # The composed loss is nearly Gaussian, with a mean of half its variance. `about` is the
    # epsilon of such a Gaussian, and `bearable` the extra variance that moves it by `_ERROR`.
    variance = sum(times * step.spread**2 for step, times in steps)
    quantile = math.sqrt(2 * math.log(1 / delta))
    about = variance / 2 + quantile * math.sqrt(variance)
    bearable = _ERROR * min(1.0, about) / (0.5 + quantile / (2 * math.sqrt(variance)))
    finest = min(_ALWAYS_AFFORDED, max(step.largest for step, _ in steps) / _MOST_POINTS)
    for grid in _GRIDS:
        widened = sum(n * min(grid / 6, 0.8 * step.spread) * grid for step, n in steps)
        if widened <= bearable or grid / 2 < finest:
            return grid
    return _GRIDS[-1]


def _composed_distribution(steps: Steps, grid: float) -> Distribution:
    # Each event of a ledger adds to the same prefix, so prefixes are cached. Filling the cache in
    # pieces keeps the recursion shallow.
    for size in range(_AT_ONCE, len(steps), _AT_ONCE):
        _composed_prefix(steps[:size], grid)
    return _compose_with(_composed_prefix(steps[:-1], grid), steps[-1], grid)


@lru_cache(maxsize=64)
def _composed_prefix(steps: Steps, grid: float) -> "Distribution | None":
    return _compose_with(_composed_prefix(steps[:-1], grid), steps[-1], grid) if steps else None


def _compose_with(past: "Distribution | None", last: tuple[Step, int], grid: float) -> Distribution:
    repeated = _repeated_distribution(*last, grid)
    return repeated if past is None else past.compose(repeated)


@lru_cache(maxsize=512)
def _repeated_distribution(step: Step, times: int, grid: float) -> Distribution:
    return _step_distribution(step, grid).self_compose(times)


@lru_cache(maxsize=512)
def _step_distribution(step: Step, grid: float) -> Distribution:
    from dp_accounting import NeighboringRelation
    from dp_accounting.pld import privacy_loss_distribution as pld

    if step.contributions == 0:
        return pld.from_gaussian_mechanism(
            step.noise,
            value_discretization_interval=grid,
            sampling_prob=step.rate,
            neighboring_relation=NeighboringRelation.REPLACE_ONE,
        )
    if step.contributions == 1:
        return pld.from_gaussian_mechanism(
            step.noise, value_discretization_interval=grid, sampling_prob=step.rate
        )
    moved, chances = _contribution_mixture(step)
    return pld.from_mixture_gaussian_mechanism(
        step.noise, moved, chances, value_discretization_interval=grid
    )


def _contribution_mixture(step: Step) -> tuple[list[float], list[float]]:
    """Return how many clip norms a person's records move a step, and the probability of each."""
    from scipy.stats import binom

    moved = np.arange(step.contributions + 1)
    chances = binom.pmf(moved, step.contributions, step.rate)
    # dp-accounting requires that the probabilities add up to 1 within its own tolerance.
    return [float(one) for one in moved], [float(one) for one in chances / chances.sum()]


def _renyi_epsilon(events: Iterable[Mechanism], delta: float, orders: Sequence[int]) -> float:
    """Return the bound by Renyi differential privacy, for events of one unit."""
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders)
    for event in events:
        accountant.compose(event.to_dp_event())
    return float(accountant.get_epsilon(delta))
