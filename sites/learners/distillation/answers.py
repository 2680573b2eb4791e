"""Answers of a model to agreed texts, as integers that add up exactly, and their average."""

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.plans import Predictions
from sites.statistics.tally import ImpossibleTally

LEVELS = 2**20  # the whole numbers into which a probability of 1 is divided


def shares_of(predictions: Predictions) -> NDArray[np.float64]:
    """Return the probability of each class, shape (n, n_classes), of predictions as tasks make.

    Args:
        predictions: Of two classes the probability of the second, shape (n,); else that of each.
    """
    if predictions.ndim == 2:
        return predictions
    return np.stack([1 - predictions, predictions], axis=1)


def as_levels(shares: NDArray[np.float64]) -> Tally:
    """Return probabilities as whole numbers, text after text, shape (n * n_classes,).

    Guarantee: those of a text add up to `LEVELS` exactly, and each is less than 1 away from
    `LEVELS` times its probability, as long as the probabilities of a text add up to 1.

    Args:
        shares: Probabilities, shape (n, n_classes).
    """
    exact = shares * (LEVELS / shares.sum(axis=1, keepdims=True))
    levels = np.floor(exact).astype(np.int64)
    # What is left of a text goes to its largest remainders; ties to the first class.
    left = LEVELS - levels.sum(axis=1)
    places = np.argsort(np.argsort(levels - exact, axis=1, kind="stable"), axis=1, kind="stable")
    whole: Tally = levels + (places < left[:, None])
    return whole.ravel()


def average(pooled: Tally, *, n_classes: int) -> Vector:
    """Return the mean probabilities over sites, text after text, shape (n * n_classes,).

    Args:
        pooled: Levels added up over sites, shape (n * n_classes,).
        n_classes: Classes of a text.

    Raises:
        ImpossibleTally: The answers to two texts are of different numbers of sites.
    """
    levels = pooled.reshape(-1, n_classes)
    sums = levels.sum(axis=1)
    if not (sums == sums[0]).all() or sums[0] <= 0 or sums[0] % LEVELS or levels.min() < 0:
        raise ImpossibleTally(
            "the answers to the agreed texts do not add up to one for each text and site"
        )
    mean: Vector = levels.astype(np.float64) / float(sums[0])
    return mean.ravel()
