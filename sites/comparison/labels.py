"""Whether the labels of a site are turned round, judged by the others' histograms by class.

The others' histograms of each class make a naive Bayes score. It need not be a good one. It only
has to say of most records which of two classes is nearer; turned labels then contradict it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.comparison.findings import FEWEST, Finding
from sites.schema.tables import ClassLabel

_LOWEST_AUC, _LEAST_AGREEMENT, _LEAST_SCORE = 0.45, -0.12, -4.0
_MOST_EVIDENCE = (
    3.0  # of one record, in nats: columns that say the same would else be counted often
)
_SMOOTHING = np.array([1.0, 2.0, 3.0, 2.0, 1.0]) / 9
_PRIOR, _LEAST = (
    2.0,
    0.02,
)  # records that are added to a histogram, spread as all classes and evenly


@dataclass(frozen=True)
class Agreement:
    """How far the labels of records agree with a score of their features.

    Args:
        auc: Of the score for the labels: below 0.5 if higher scores go with the first class.
        mean: Over records, between -1 and 1: how sure the score is, negative where it disagrees.
        score: Sum of the bounded scores in favour of the labels over its deviation by chance.
    """

    auc: float
    mean: float
    score: float

    @property
    def turned(self) -> bool:
        """Whether the labels contradict the score in all three ways."""
        return self.auc < _LOWEST_AUC and self.mean < _LEAST_AGREEMENT and self.score < _LEAST_SCORE


def compare_labels(
    label: ClassLabel,
    labels: NDArray[np.int64],
    bins: Mapping[str, NDArray[np.int64]],
    others: Mapping[str, Tally],
) -> Finding | None:
    """Return a finding if the labels are the other way round than the others'.

    Args:
        label: Two classes; of more, no finding is made.
        labels: Codes of this site's classes, shape (n,).
        bins: By column, the bin or value of each record, -1 where missing, shape (n,).
        others: By column, the other sites' histogram of each class, shape (2, n_bins).
    """
    if not label.binary or len(labels) < 2 * FEWEST:
        return None
    # A column of which the others have hardly a value says nothing of the labels.
    told = [name for name, counts in others.items() if counts.sum(axis=1).min() >= FEWEST]
    evidence = sum((_evidence(bins[name], others[name]) for name in told), np.zeros(len(labels)))
    found = agreement(labels, evidence)
    if not found.turned:
        return None
    return Finding(
        kind="labels",
        column=label.column,
        what="turned round",
        sentence=f"{label.column} looks turned round: records like the others' with "
        f"'{label.classes[1]}' have '{label.classes[0]}' here (AUC {found.auc:.2f}). If it is "
        "right here, it is turned round at others",
        alarming=True,
    )


def agreement(labels: NDArray[np.int64], evidence: Vector) -> Agreement:
    """Return how far labels agree with the evidence for the second class, in nats, shape (n,)."""
    sign, bounded = 2.0 * labels - 1.0, np.clip(evidence, -_MOST_EVIDENCE, _MOST_EVIDENCE)
    size = float(np.sqrt((bounded**2).sum()))
    return Agreement(
        auc=_auc(labels, evidence),
        mean=float((sign * np.tanh(evidence / 2)).mean()),
        score=float((sign * bounded).sum()) / size if size else 0.0,
    )


def _evidence(bins: NDArray[np.int64], counts: Tally) -> Vector:
    """Return the evidence of one column for the second class, 0 where the value is missing."""
    held = counts.astype(np.float64)
    if held.shape[1] > len(_SMOOTHING):
        held = np.stack([np.convolve(row, _SMOOTHING, "same") for row in held])
    held = held + _PRIOR * held.sum(axis=0) / max(held.sum(), 1.0) + _LEAST
    shares = held / held.sum(axis=1, keepdims=True)
    return np.where(bins < 0, 0.0, np.log(shares[1] / shares[0])[bins])


def _auc(labels: NDArray[np.int64], evidence: Vector) -> float:
    """Return the AUC; equal scores count half. 0.5 if only one class is there."""
    _, place, counts = np.unique(evidence, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return 0.5
    above = float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)
