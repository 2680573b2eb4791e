"""The distributions of a label: what a record adds to deviance, score and information.

Formulas: McCullagh and Nelder 1989, Generalized Linear Models, chapter 2, with the canonical
link of each. Every quantity of a record has a bound that follows from declared bounds and pooled
statistics, so that its share of the bound is within -1 to 1.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Matrix, Vector
from sites.learners.normal_equations import product, total
from sites.plans import Labels, Predictions
from sites.schema.tables import NumberLabel
from sites.statistics.normalisation import Standard
from sites.statistics.tables import compress_values, scale_values, unscale_values

# The largest size of a site's own intercept.
LARGEST_INTERCEPT = 128.0
# Beyond it exp() leaves nothing of a probability that 52 bits could hold.
STEEPEST = 40.0
_LARGEST_MEAN = 16.0
_CLOSE = 1e-14


@dataclass(frozen=True, kw_only=True)
class Moments:
    """What records say at a linear predictor, as shares of the family's bounds; shape (n,) each.

    Args:
        residuals: Label minus mean.
        weights: Variance of the label, which is the weight in the information.
        deviances: Twice the log-likelihood that the mean lacks.
    """

    residuals: Vector
    weights: Vector
    deviances: Vector


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The largest sizes of a record's quantities, in true units."""

    label: float
    residual: float
    weight: float
    deviance: float


@dataclass(frozen=True, kw_only=True)
class TrueSums:
    """Sums over records in true units, of one site or pooled.

    Args:
        deviance: Twice the log-likelihood that is lacking.
        score: Its gradient, halved and turned round, shape (k,).
        information: Shape (k, k).
    """

    deviance: float
    score: Vector
    information: Matrix


@dataclass(frozen=True, kw_only=True)
class LabelScale:
    """How a sum of inputs becomes a label: sum * factor + offset, through the link.

    Args:
        factor: Of every coefficient.
        offset: Of the intercept.
        logarithmic: Whether the sum is ln(1 + y) of the label y.
    """

    factor: float = 1.0
    offset: float = 0.0
    logarithmic: bool = False


class Family(Protocol):
    """A distribution with its canonical link; the linear predictor is 0 at the pooled mean."""

    @property
    def bounds(self) -> Bounds:
        """The largest sizes of a record's quantities."""

    @property
    def estimates_dispersion(self) -> bool:
        """Whether the variance of the label is estimated, beside its mean."""

    @property
    def scale(self) -> LabelScale:
        """How a linear predictor becomes a label."""

    def labels(self, labels: Labels) -> Vector:
        """Return labels as the family reads them, shape (n,)."""

    def moments(self, labels: Vector, predictors: Vector) -> Moments:
        """Return what records say at linear predictors, shape (n,) each."""

    def own_intercept(self, labels: Vector, predictors: Vector) -> float | None:
        """Return the intercept at which residuals add up to 0; None if no finite one does."""

    def predictors(self, rows: Matrix, coefficients: Vector) -> Vector:
        """Return the linear predictors at which a site counts, shape (n,) of rows (k, n)."""

    def say_one_thing(self, records: Vector, labels: Vector) -> NDArray[np.bool_]:
        """Return of which groups of records the labels allow no finite coefficient.

        Args:
            records: In each group.
            labels: Their sum in each group.
        """

    def sums_at(self, coefficients: Vector, counted: TrueSums) -> TrueSums:
        """Return the sums at coefficients, shape (k,), from those that sites counted there.

        Guarantee: the same bits on every machine.
        """

    def null_deviance(self, at_zero: float, *, records: float, labels: float) -> float:
        """Return the deviance at the mean of so many labels with this sum, from that at 0."""

    def means(self, predictors: Vector) -> Predictions:
        """Return the predicted labels in their own unit, or probabilities, shape (n,)."""


def linear_predictors(rows: Matrix, coefficients: Vector) -> Vector:
    """Return the sum of inputs times coefficients, shape (n,) of rows (k, n).

    Guarantee: a record's has the same bits whichever records stand beside it.
    """
    summed = np.zeros(rows.shape[1])
    for row, coefficient in zip(rows, coefficients.tolist(), strict=True):
        summed += row * coefficient
    return summed


@dataclass(frozen=True)
class Logistic:
    """Two classes; the linear predictor is the log of the odds over the pooled odds.

    Args:
        odds: Pooled odds of the second class.
    """

    odds: float = 1.0

    bounds = Bounds(label=1.0, residual=1.0, weight=0.25, deviance=256.0)
    estimates_dispersion = False

    @property
    def scale(self) -> LabelScale:
        """The log of the odds."""
        return LabelScale(offset=math.log(self.odds))

    def labels(self, labels: Labels) -> Vector:
        """Return 1 for the second class, else 0."""
        return labels.astype(np.float64)

    def moments(self, labels: Vector, predictors: Vector) -> Moments:
        """Return what records say; odds are at most e^40 times the pooled ones, or by e^-40."""
        odds = self._odds_at(predictors)
        against = 1.0 / (1.0 + odds)
        mean = odds * against
        lacking = np.log1p(np.where(labels > 0, 1.0 / odds, odds))
        return Moments(
            residuals=np.where(labels > 0, against, -mean),
            weights=mean * against / self.bounds.weight,
            deviances=2 * lacking / self.bounds.deviance,
        )

    def own_intercept(self, labels: Vector, predictors: Vector) -> float | None:
        """Return the site's intercept, by Newton's method within a bracket."""
        if not 0 < labels.sum() < len(labels):
            return None
        return _root(
            lambda at: self.moments(labels, predictors + at),
            low=-2 * STEEPEST,
            high=2 * STEEPEST,
            weight=self.bounds.weight,
        )

    def predictors(self, rows: Matrix, coefficients: Vector) -> Vector:
        """Return the linear predictors of the coefficients."""
        return linear_predictors(rows, coefficients)

    def say_one_thing(self, records: Vector, labels: Vector) -> NDArray[np.bool_]:
        """Return which groups are of one class."""
        return np.asarray((labels == 0) | (labels == records), np.bool_)

    def sums_at(self, coefficients: Vector, counted: TrueSums) -> TrueSums:
        """Return the sums themselves."""
        return counted

    def null_deviance(self, at_zero: float, *, records: float, labels: float) -> float:
        """Return it from the counts of the classes alone."""
        classes = (labels, records - labels)
        return -2 * sum(one * math.log(one / records) for one in classes if one > 0)

    def means(self, predictors: Vector) -> Predictions:
        """Return the probability of the second class."""
        odds = self._odds_at(predictors)
        return odds / (1.0 + odds)

    def _odds_at(self, predictors: Vector) -> Vector:
        return self.odds * np.exp(np.clip(predictors, -STEEPEST, STEEPEST))


@dataclass(frozen=True)
class Poisson:
    """Counts; the linear predictor is the log of the mean over the pooled mean.

    Args:
        largest: Largest count that the schema declares.
        mean: Pooled mean.
    """

    largest: float
    mean: float

    estimates_dispersion = False

    @property
    def bounds(self) -> Bounds:
        """Bounds: a mean counts as at most 16 times the largest count."""
        # ln(y / mean) is at most 40 + ln(2^32), as a pooled mean is known to 2^-32 of the range.
        top = self.largest
        return Bounds(
            label=top, residual=_LARGEST_MEAN * top, weight=_LARGEST_MEAN * top, deviance=256 * top
        )

    @property
    def scale(self) -> LabelScale:
        """The log of the mean."""
        return LabelScale(offset=math.log(self.mean))

    def labels(self, labels: Labels) -> Vector:
        """Return the counts."""
        return labels.astype(np.float64)

    def moments(self, labels: Vector, predictors: Vector) -> Moments:
        """Return what records say."""
        means, bounds = self._means(predictors), self.bounds
        some = np.where(labels > 0, labels, 1.0)
        lacking = np.where(labels > 0, labels * np.log(some / means), 0.0) - (labels - means)
        return Moments(
            residuals=(labels - means) / bounds.residual,
            weights=means / bounds.weight,
            deviances=2 * lacking / bounds.deviance,
        )

    def own_intercept(self, labels: Vector, predictors: Vector) -> float | None:
        """Return the site's intercept: the log of labels over means."""
        counted, expected = float(labels.sum()), float(self._means(predictors).sum())
        return math.log(counted / expected) if counted > 0 else None

    def predictors(self, rows: Matrix, coefficients: Vector) -> Vector:
        """Return the linear predictors of the coefficients."""
        return linear_predictors(rows, coefficients)

    def say_one_thing(self, records: Vector, labels: Vector) -> NDArray[np.bool_]:
        """Return which groups have counts of 0 alone."""
        return np.asarray(labels == 0, np.bool_)

    def sums_at(self, coefficients: Vector, counted: TrueSums) -> TrueSums:
        """Return the sums themselves."""
        return counted

    def null_deviance(self, at_zero: float, *, records: float, labels: float) -> float:
        """Return it at the mean of the counted records."""
        if not labels > 0:
            return 0.0
        mean = labels / records
        return at_zero - 2 * (labels * math.log(mean / self.mean) - records * (mean - self.mean))

    def means(self, predictors: Vector) -> Predictions:
        """Return the mean counts."""
        return self._means(predictors)

    def _means(self, predictors: Vector) -> Vector:
        means = self.mean * np.exp(np.clip(predictors, -STEEPEST, STEEPEST))
        return np.minimum(means, _LARGEST_MEAN * self.largest)


@dataclass(frozen=True)
class Normal:
    """A number; the linear predictor is its distance from the pooled mean, within -1 to 1.

    A site counts at coefficients of 0 whatever the state is: the sums at any others follow.

    Args:
        label: The number.
        standard: Its pooled mean and deviation.
    """

    label: NumberLabel
    standard: Standard

    bounds = Bounds(label=1.0, residual=2.0, weight=1.0, deviance=4.0)
    estimates_dispersion = True

    @property
    def scale(self) -> LabelScale:
        """From a share of the reach to the label's unit, or to ln(1 + y)."""
        ends = np.array([self.label.low, self.label.high])
        low, high = compress_values(self.label, ends).tolist()
        return LabelScale(
            factor=self._reach * (high - low),
            offset=low + self.standard.mean * (high - low),
            logarithmic=self.label.scale == "log",
        )

    def labels(self, labels: Labels) -> Vector:
        """Return how far each is from the pooled mean, within -1 to 1."""
        return (scale_values(self.label, labels) - self.standard.mean) / self._reach

    def moments(self, labels: Vector, predictors: Vector) -> Moments:
        """Return what records say."""
        residuals = labels - predictors
        return Moments(
            residuals=residuals / self.bounds.residual,
            weights=np.ones(len(labels)),
            deviances=residuals**2 / self.bounds.deviance,
        )

    def own_intercept(self, labels: Vector, predictors: Vector) -> float | None:
        """Return the site's intercept: its mean."""
        return float((labels - predictors).mean()) if len(labels) else None

    def predictors(self, rows: Matrix, coefficients: Vector) -> Vector:
        """Return zeros."""
        return np.zeros(rows.shape[1])

    def say_one_thing(self, records: Vector, labels: Vector) -> NDArray[np.bool_]:
        """Return none: a mean always exists."""
        return np.asarray(np.zeros(len(records)), np.bool_)

    def sums_at(self, coefficients: Vector, counted: TrueSums) -> TrueSums:
        """Return the sums at coefficients from those at 0: the deviance is a parabola."""
        moved = product(counted.information, coefficients)
        twice = coefficients * (2 * counted.score - moved)
        return TrueSums(
            deviance=max(counted.deviance - total(twice), 0.0),
            score=counted.score - moved,
            information=counted.information,
        )

    def null_deviance(self, at_zero: float, *, records: float, labels: float) -> float:
        """Return the sum of squares around the mean of the counted records."""
        return max(at_zero - labels**2 / records, 0.0) if records else 0.0

    def means(self, predictors: Vector) -> Predictions:
        """Return predicted numbers in the label's unit."""
        return unscale_values(self.label, self.standard.mean + predictors * self._reach)

    @property
    def _reach(self) -> float:
        return max(self.standard.mean, 1.0 - self.standard.mean, 0.5)


class _MomentsAt(Protocol):
    def __call__(self, at: float) -> Moments:
        """Return the moments at an intercept."""


def _root(moments_at: _MomentsAt, *, low: float, high: float, weight: float) -> float:
    """Return where the residuals, which fall, add up to 0: Newton's method within a bracket."""
    at = 0.0
    for _ in range(200):
        found = moments_at(at)
        excess, slope = float(found.residuals.sum()), float(found.weights.sum()) * weight
        low, high = (at, high) if excess > 0 else (low, at)
        stepped = at + excess / slope if slope > 0 else math.inf
        following = stepped if low < stepped < high else (low + high) / 2
        if abs(following - at) <= _CLOSE * max(1.0, abs(at)):
            return following
        at = following
    return at
