"""Checks of the predictions and labels that an evaluation is given."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Matrix, Tally, Vector

_ROUNDING = 1e-3  # by which a row of probabilities may miss a sum of 1


class NonFinitePredictions(ConsortiumError, ValueError, code="non-finite-predictions"):
    """A model predicted NaN or an infinity."""


class NotProbabilities(ConsortiumError, ValueError, code="not-probabilities"):
    """Predictions are not the probabilities that they must be."""


class ShapesDiffer(ConsortiumError, ValueError, code="shapes-differ"):
    """Predictions and labels differ in number, or have the wrong number of columns."""


class UndeclaredLabel(ConsortiumError, ValueError, code="undeclared-label"):
    """A label is not a declared class, or is outside its declared bounds."""


def finite_predictions(predictions: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return predictions as float64 if they have that shape and are all finite.

    Raises:
        ShapesDiffer: The shape is another.
        NonFinitePredictions: One is NaN or infinite.
    """
    if predictions.shape != shape:
        raise ShapesDiffer(f"predictions need the shape {shape}, got {predictions.shape}")
    values = np.asarray(predictions, np.float64)
    if not np.isfinite(values).all():
        raise NonFinitePredictions(
            "the model predicts NaN or infinite values: lower the learning rate"
        )
    return values


def probabilities(predictions: NDArray[Any], n: int) -> Vector:
    """Return the checked probabilities of the positive class, shape (n,).

    Raises:
        ShapesDiffer: There are not n of them.
        NonFinitePredictions: One is NaN or infinite.
        NotProbabilities: One is outside [0, 1].
    """
    values = finite_predictions(predictions, (n,))
    if values.min(initial=0.0) < 0.0 or values.max(initial=1.0) > 1.0:
        raise NotProbabilities("predictions must be probabilities in [0, 1], some are outside")
    return values


def class_distributions(predictions: NDArray[Any], n: int, n_classes: int) -> Matrix:
    """Return the checked probabilities of every class, shape (n, n_classes).

    Guarantee: each row is divided by its sum, so that it adds up to 1.

    Raises:
        ShapesDiffer: The shape is another.
        NonFinitePredictions: One is NaN or infinite.
        NotProbabilities: One is negative, or a row does not add up to 1 within 0.001.
    """
    # NumPy's order of addition depends on the memory layout. With rows in memory order, a row's
    # sum has the same bits whichever rows stand beside it, at one site or pooled.
    values = np.ascontiguousarray(finite_predictions(predictions, (n, n_classes)))
    totals = values.sum(axis=1, keepdims=True)
    if values.min(initial=0.0) < 0.0 or np.abs(totals - 1).max(initial=0.0) > _ROUNDING:
        raise NotProbabilities("each row of predictions must be probabilities that add up to 1")
    return np.asarray(np.minimum(values / totals, 1.0), np.float64)


def class_codes(labels: NDArray[Any], n_classes: int) -> Tally:
    """Return the checked codes of classes, shape (n,).

    Raises:
        ShapesDiffer: There is not one label per record.
        UndeclaredLabel: A label is not a whole number from 0 to n_classes - 1.
    """
    if labels.ndim != 1:
        raise ShapesDiffer(f"labels need the shape (n,), one per record, got {labels.shape}")
    whole = labels.dtype.kind in "biu"
    if not whole or labels.min(initial=0) < 0 or labels.max(initial=0) >= n_classes:
        raise UndeclaredLabel(f"labels must be whole numbers from 0 to {n_classes - 1}")
    return labels.astype(np.int64)


def bounded_labels(labels: NDArray[Any], *, low: float, high: float) -> Vector:
    """Return the checked labels, scaled from their bounds to [0, 1], shape (n,).

    Raises:
        ShapesDiffer: There is not one label per record.
        UndeclaredLabel: A label is missing or out of bounds.
    """
    if labels.ndim != 1:
        raise ShapesDiffer(f"labels need the shape (n,), one per record, got {labels.shape}")
    values = np.asarray(labels, np.float64)
    if not ((values >= low) & (values <= high)).all():
        raise UndeclaredLabel(f"labels must be between {low} and {high}, and none may be missing")
    return np.asarray(np.minimum((values - low) / (high - low), 1.0), np.float64)
