"""The bound that budgets are checked against: it holds for events that are chosen one by one.

Whoever plans a run has seen what earlier runs released. A bound for parameters that are fixed
beforehand does not cover that; a Renyi filter does (Feldman and Zrnic 2021, arXiv:2008.11193):

For an order a, let S(a) be the sum of the Renyi divergences of all events, each an upper bound
given what was released before it, and L the privacy loss of everything released. Then
exp((a - 1) (L - S(a))) is a supermartingale that starts at 1, however the events were chosen. So
is its mean M over K orders that are fixed for good. Let

    c(a) = max over x of (1 - exp(-x)) exp(-(a - 1) x) = (1 - 1 / a)^(a - 1) / a
    epsilon = min over a of S(a) + (log(1 / delta) + log K + log c(a)) / (a - 1).

At the order a of that minimum, (1 - exp(epsilon - L)) <= c(a) exp((a - 1) (L - epsilon))
<= delta M, so its positive part is at most delta in the mean: that is (epsilon, delta). The
order may be another one in each outcome; that is what log K is paid for.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.differential.accounting import Step, Steps, composed_epsilon
from privacy.differential.mechanisms import Mechanism, Unit

# Never changed: ledgers were checked against these. Each further order costs all others log K.
ORDERS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256, 512)

_MOST_POINTS = 2**15  # of an integral; beyond, a coarser bound is used
_TAILS = 12.0  # standard deviations: what lies beyond is below 1e-30 of the integral
_Mixture: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


def adaptive_epsilon(events: Sequence[Mechanism], delta: float, *, unit: Unit = "person") -> float:
    """Return the total epsilon of events on one data set, at a delta, however they were chosen.

    Guarantee: together the events are (epsilon, delta)-differentially private for the unit, under
    adding or removing one unit, if an event happens only while this bound, with the event, is at
    most an epsilon that was fixed beforehand. Its noise, rate and steps, and whether it happens or
    ends early, may depend on all that earlier events released. Infinite where `epsilon` is.

    The arguments and what is refused are those of `epsilon`.
    """
    return composed_epsilon(_filtered_epsilon, events, delta, unit)


def _filtered_epsilon(steps: Steps, delta: float) -> float:
    missed = math.log(len(ORDERS) / delta)
    return min(
        sum(times * renyi_divergence(step, order) for step, times in steps)
        + (missed + _tightest_factor(order)) / (order - 1)
        for order in ORDERS
    )


def _tightest_factor(order: int) -> float:
    """Return log c of the module docstring."""
    return (order - 1) * math.log1p(-1 / order) - math.log(order)


@lru_cache(maxsize=4096)
def renyi_divergence(step: Step, order: int) -> float:
    """Return the Renyi divergence of a whole order of one step, for the worst neighbours.

    Poisson sampling of one contribution has a closed form (Mironov, Talwar and Zhang 2019,
    arXiv:1908.10530, 3.3). Several contributions, and a replaced one, are integrated.
    """
    if step.rate == 1.0:
        return order * (step.reach / step.noise) ** 2 / 2
    if step.contributions == 1:
        return _sampled_divergence(step, order)
    with_unit, without = _neighbours(step)
    found = max(
        _mixture_divergence(with_unit, without, step.noise, order),
        _mixture_divergence(without, with_unit, step.noise, order),
    )
    # No sampling protects less than any: this bound holds for every step.
    return min(found, order * (step.reach / step.noise) ** 2 / 2)


def _sampled_divergence(step: Step, order: int) -> float:
    k = np.arange(order + 1)
    choices = [math.lgamma(order + 1) - math.lgamma(i + 1) - math.lgamma(order - i + 1) for i in k]
    drawn = k * math.log(step.rate) + (order - k) * math.log1p(-step.rate)
    terms = np.asarray(choices) + drawn + k * (k - 1) / (2 * step.noise**2)
    # Below 0 by rounding only.
    return max(0.0, float(np.logaddexp.reduce(terms))) / (order - 1)


def _neighbours(step: Step) -> tuple[_Mixture, _Mixture]:
    """Return where a step's sum lies, in clip norms, with and without the unit that counts."""
    if step.contributions == 0:  # one contribution is replaced, at worst by its opposite
        chances = (1 - step.rate, step.rate)
        return ((0.0, 1.0), chances), ((0.0, -1.0), chances)
    from scipy.stats import binom

    moved = np.arange(step.contributions + 1)
    weights = binom.pmf(moved, step.contributions, step.rate)
    held = [i for i in moved if weights[i] > 0]
    return (tuple(float(i) for i in held), tuple(float(weights[i]) for i in held)), ((0.0,), (1.0,))


def _mixture_divergence(p: _Mixture, q: _Mixture, noise: float, order: int) -> float:
    """Return the Renyi divergence of Gaussian mixtures P from Q, by the trapezoidal rule.

    The integrand is analytic and falls like a Gaussian, so the error of the rule falls
    exponentially with the width of its steps (Trefethen and Weideman 2014). Infinite where too
    many points were needed.
    """
    low = order * min(p[0]) - (order - 1) * max(q[0]) - _TAILS * noise
    high = order * max(p[0]) - (order - 1) * min(q[0]) + _TAILS * noise
    apart = max(*p[0], *q[0]) - min(*p[0], *q[0])
    # A mixture has complex zeros pi noise^2 / apart off the real line; steps stay well below that.
    width = min(noise / 16, noise**2 / (4 * apart))
    points = math.ceil((high - low) / width)
    if points > _MOST_POINTS:
        return math.inf
    x = np.linspace(low, high, points + 1)
    terms = order * _log_density(x, p, noise) - (order - 1) * _log_density(x, q, noise)
    total = np.logaddexp.reduce(terms) + math.log((high - low) / points)
    # What floats round in so long a sum is far below this.
    return max(0.0, float(total) + 1e-9) / (order - 1)


def _log_density(x: NDArray[np.float64], mixture: _Mixture, noise: float) -> NDArray[np.float64]:
    scale = math.log(noise * math.sqrt(2 * math.pi))
    found = np.full_like(x, -np.inf)
    for mean, weight in zip(*mixture, strict=True):
        found = np.logaddexp(found, math.log(weight) - (x - mean) ** 2 / (2 * noise**2) - scale)
    return found
