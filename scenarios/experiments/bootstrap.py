"""Intervals for a metric by resampling held-out records, paired between models.

The same resamples serve every model, so that a difference is of the same records
(Efron and Tibshirani 1993, chapter 13: percentile intervals).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Vector
from sites.evaluation.entities import counts_by_sentence

Resampled: TypeAlias = Callable[[Vector], float]

LEVEL = 0.95


class UnknownMetric(ConsortiumError, LookupError):
    """No resampled form of this metric is known."""

    code = "unknown-metric"


@dataclass(frozen=True)
class Interval:
    """A metric with its interval.

    Args:
        value: On the records as they are.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """How often each record is drawn in each resample, shape (n_resamples, n_records)."""

    counts: NDArray[np.float64]

    @classmethod
    def draw(cls, n_records: int, *, n_resamples: int, rng: np.random.Generator) -> "Resamples":
        """Draw resamples of `n_records` records with replacement."""
        shares = np.full(n_records, 1.0 / n_records)
        return cls(rng.multinomial(n_records, shares, size=n_resamples).astype(np.float64))

    def values(self, metric: Resampled) -> Vector:
        """Return the metric on each resample, shape (n_resamples,); NaN where undefined."""
        return np.array([metric(counts) for counts in self.counts])

    def interval(self, metric: Resampled) -> Interval:
        """Return the metric on the records and its percentile interval."""
        return _interval(metric(np.ones(self.counts.shape[1])), self.values(metric))

    def difference(self, one: Resampled, other: Resampled) -> Interval:
        """Return `one` minus `other` and the interval of the paired difference."""
        everyone = np.ones(self.counts.shape[1])
        return _interval(one(everyone) - other(everyone), self.values(one) - self.values(other))


def resampled(
    name: str, predictions: NDArray[np.float64], labels: NDArray[np.float64]
) -> Resampled:
    """Return the metric of that name as a function of how often each record counts.

    Args:
        name: `roc_auc`, `macro_f1`, `entity_f1` or `rmse`.
        predictions: As the task returns them, by record.
        labels: By record.

    Raises:
        UnknownMetric: There is no resampled form of it.
    """
    if name not in _METRICS:
        raise UnknownMetric(f"no intervals for '{name}': choose one of {', '.join(_METRICS)}")
    return _METRICS[name](predictions, labels)


def _auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> Resampled:
    order = np.argsort(scores, kind="stable")
    positive = labels[order] > 0.5
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])

    def auc(counts: Vector) -> float:
        drawn = counts[order]
        positives = np.add.reduceat(drawn * positive, starts)
        negatives = np.add.reduceat(drawn * ~positive, starts)
        below = np.cumsum(negatives) - negatives
        pairs = positives.sum() * negatives.sum()
        wins = positives @ (below + 0.5 * negatives)
        return float(wins / pairs) if pairs else float("nan")

    return auc


def _macro_f1(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> Resampled:
    n_classes = scores.shape[1]
    cells = labels.astype(np.int64) * n_classes + scores.argmax(axis=1)

    def macro_f1(counts: Vector) -> float:
        confusion = np.bincount(cells, weights=counts, minlength=n_classes**2)
        confusion = confusion.reshape(n_classes, n_classes)
        support = confusion.sum(axis=1)
        both = support + confusion.sum(axis=0)
        f1 = 2 * np.diag(confusion) / np.where(both > 0, both, 1.0)
        return float(f1[support > 0].mean())

    return macro_f1


def _entity_f1(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> Resampled:
    """Of tag codes, sentence after sentence; a record is a sentence."""
    n_types = (int(max(predicted.max(initial=0), true.max(initial=0))) + 1) // 2
    counted = counts_by_sentence(predicted, true, n_types)
    right, spurious, missed = (part.sum(axis=1) for part in counted)

    def entity_f1(counts: Vector) -> float:
        found = 2 * counts @ right
        both = found + counts @ spurious + counts @ missed
        return float(found / both) if both else float("nan")

    return entity_f1


def _rmse(values: NDArray[np.float64], labels: NDArray[np.float64]) -> Resampled:
    squared = (values - labels) ** 2

    def rmse(counts: Vector) -> float:
        return float(np.sqrt(counts @ squared / counts.sum()))

    return rmse


_METRICS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.float64]], Resampled]] = {
    "roc_auc": _auc,
    "macro_f1": _macro_f1,
    "entity_f1": _entity_f1,
    "rmse": _rmse,
}


def _interval(value: float, values: Vector) -> Interval:
    edge = 100 * (1 - LEVEL) / 2
    low, high = np.nanpercentile(values, [edge, 100 - edge])
    return Interval(value, float(low), float(high))
