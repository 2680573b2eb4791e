"""Bootstrap intervals of a metric: held-out records are resampled, in pairs between models.

Every model is measured on the same resamples, so that a difference compares the same records
(percentile intervals: Efron and Tibshirani 1993, chapter 13).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Vector
from sites.evaluation.entities import counts_by_sentence

ResampledMetric: TypeAlias = Callable[[Vector], float]

LEVEL = 0.95


class UnknownMetric(ConsortiumError, LookupError, code="unknown-metric"):
    """There is no resampled form of this metric."""


@dataclass(frozen=True)
class Interval:
    """A metric with its interval.

    Args:
        value: The metric on all records, each counted once.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples: how often each record counts, shape (n_resamples, n_records)."""

    counts: NDArray[np.float64]

    @classmethod
    def draw(cls, n_records: int, *, n_resamples: int, rng: np.random.Generator) -> "Resamples":
        """Draw resamples of `n_records` records with replacement."""
        # How often each of n records is drawn in n draws with replacement is multinomial.
        shares = np.full(n_records, 1.0 / n_records)
        return cls(rng.multinomial(n_records, shares, size=n_resamples).astype(np.float64))

    def measure(self, metric: ResampledMetric) -> "Resampled":
        """Return the metric on all records and on each resample."""
        everyone = np.ones(self.counts.shape[1])
        return Resampled(metric(everyone), np.array([metric(counts) for counts in self.counts]))


@dataclass(frozen=True)
class Resampled:
    """A metric, or a paired difference of two, on all records and on each resample.

    Args:
        value: On all records, each counted once.
        values: On each resample, shape (n_resamples,); NaN where undefined.
    """

    value: float
    values: Vector

    def __sub__(self, other: "Resampled") -> "Resampled":
        """Return the paired difference: both are of the same resamples."""
        return Resampled(self.value - other.value, self.values - other.values)

    def __truediv__(self, other: "Resampled") -> "Resampled":
        """Return the paired ratio; infinite, or NaN, where the other one is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return Resampled(
                float(np.float64(self.value) / other.value), self.values / other.values
            )

    @classmethod
    def mean(cls, several: Sequence["Resampled"]) -> "Resampled":
        """Return the mean of metrics on the same resamples."""
        return cls(
            float(np.mean([one.value for one in several])),
            np.mean([one.values for one in several], axis=0),
        )

    @property
    def interval(self) -> Interval:
        """The value with its percentile interval."""
        edge = 100 * (1 - LEVEL) / 2
        # NaN: a resample on which the metric is undefined, such as the AUC of one class only.
        low, high = np.nanpercentile(self.values, [edge, 100 - edge])
        return Interval(self.value, float(low), float(high))


def resampled_metric(
    name: str, predictions: NDArray[np.float64], labels: NDArray[np.float64]
) -> ResampledMetric:
    """Return the metric of that name as a function of how often each record counts.

    Args:
        name: `roc_auc`, `recall_at_1_percent`, `recall_at_0_1_percent`, `macro_f1`, `entity_f1`,
            `rmse` or `concordance`.
        predictions: Predictions of the task, by record.
        labels: Labels, by record.

    Raises:
        UnknownMetric: There is no resampled form of the metric.
    """
    if name not in _METRICS:
        raise UnknownMetric(
            f"there are no intervals for '{name}': choose one of {', '.join(_METRICS)}"
        )
    return _METRICS[name](predictions, labels)


def _auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> ResampledMetric:
    order = np.argsort(scores, kind="stable")
    positive = labels[order] > 0.5
    # Records with equal scores form one group: ties count half.
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) > 0])

    def auc(counts: Vector) -> float:
        drawn = counts[order]
        positives = np.add.reduceat(drawn * positive, starts)
        negatives = np.add.reduceat(drawn * ~positive, starts)
        # Mann-Whitney: a positive wins against negatives that score lower, and half against ties.
        below = np.cumsum(negatives) - negatives
        pairs = positives.sum() * negatives.sum()
        wins = positives @ (below + 0.5 * negatives)
        return float(wins / pairs) if pairs else float("nan")

    return auc


def _recall_at_alerts(
    rate: float, scores: NDArray[np.float64], labels: NDArray[np.float64]
) -> ResampledMetric:
    """Return the recall where at most a share of the drawn records is flagged, ties together."""
    order = np.argsort(-scores, kind="stable")
    positive = labels[order] > 0.5
    ends = np.flatnonzero(np.r_[np.diff(scores[order]) < 0, True])

    def recall(counts: Vector) -> float:
        drawn = counts[order]
        flagged, found = np.cumsum(drawn)[ends], np.cumsum(drawn * positive)[ends]
        # Quotients, as in `most_alerts`: 29 of 100 are 29 %, though 0.29 * 100 is below 29.
        few = np.searchsorted(flagged / counts.sum(), rate, side="right")
        within = found[few - 1] if few else 0.0
        return float(within / found[-1]) if found[-1] else float("nan")

    return recall


def _macro_f1(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> ResampledMetric:
    n_classes = scores.shape[1]
    cells = labels.astype(np.int64) * n_classes + scores.argmax(axis=1)

    def macro_f1(counts: Vector) -> float:
        confusion = np.bincount(cells, weights=counts, minlength=n_classes**2)
        confusion = confusion.reshape(n_classes, n_classes)
        support = confusion.sum(axis=1)
        both = support + confusion.sum(axis=0)  # 2 TP + FP + FN of each class
        f1 = 2 * np.diag(confusion) / np.where(both > 0, both, 1.0)
        return float(f1[support > 0].mean())  # a class that was not drawn has no F1

    return macro_f1


def _entity_f1(predicted: NDArray[np.float64], true: NDArray[np.float64]) -> ResampledMetric:
    """Return the entity F1 of tag codes, sentence after sentence; a record is a sentence."""
    # Codes are 0 for outside, then B and I of each type in turn.
    n_types = (int(max(predicted.max(initial=0), true.max(initial=0))) + 1) // 2
    counted = counts_by_sentence(predicted, true, n_types)
    right, spurious, missed = (part.sum(axis=1) for part in counted)

    def entity_f1(counts: Vector) -> float:
        found = 2 * counts @ right
        both = found + counts @ spurious + counts @ missed
        return float(found / both) if both else float("nan")

    return entity_f1


def _rmse(values: NDArray[np.float64], labels: NDArray[np.float64]) -> ResampledMetric:
    squared = (values - labels) ** 2

    def rmse(counts: Vector) -> float:
        return float(np.sqrt(counts @ squared / counts.sum()))

    return rmse


def _concordance(risks: NDArray[np.float64], labels: NDArray[np.float64]) -> ResampledMetric:
    """Return the concordance over all pairs of records, whichever site they are of."""
    events, times = labels[:, 0] == 1, labels[:, 1]
    # Row: who had the event; column: who was still watched then.
    later = (times > times[:, None]) | ((times == times[:, None]) & ~events)
    pairs = (later & events[:, None]).astype(np.float64)
    wins = pairs * ((risks < risks[:, None]) + 0.5 * (risks == risks[:, None]))

    def concordance(counts: Vector) -> float:
        total = counts @ pairs @ counts
        return float(counts @ wins @ counts / total) if total else float("nan")

    return concordance


_METRICS: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.float64]], ResampledMetric]] = {
    "roc_auc": _auc,
    "recall_at_1_percent": partial(_recall_at_alerts, 0.01),
    "recall_at_0_1_percent": partial(_recall_at_alerts, 0.001),
    "macro_f1": _macro_f1,
    "entity_f1": _entity_f1,
    "rmse": _rmse,
    "concordance": _concordance,
}
