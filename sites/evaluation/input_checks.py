"""What an evaluation accepts as predictions and labels, and its refusals."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.errors import ConsortiumError
from privacy.layout import Matrix, Tally, Vector

_ROUNDING = 1e-3


class NonFinitePredictions(ConsortiumError, ValueError):
    """A model predicted NaN or an infinity."""

    code = "non-finite-predictions"


class NotProbabilities(ConsortiumError, ValueError):
    """Predictions that must be probabilities are not."""

    code = "not-probabilities"


class ShapesDiffer(ConsortiumError, ValueError):
    """Predictions and labels are not as many, or have the wrong number of columns."""

    code = "shapes-differ"


class UndeclaredLabel(ConsortiumError, ValueError):
    """A label is no declared class, or outside its declared bounds."""

    code = "undeclared-label"


def finite(predictions: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return predictions as float64 if they have that shape and are all finite.

    Raises:
        ShapesDiffer: The shape is another.
        NonFinitePredictions: One is NaN or infinite.
    """
    if predictions.shape != shape:
        raise ShapesDiffer(f"need predictions of shape {shape}, got {predictions.shape}")
    values = np.asarray(predictions, np.float64)
    if not np.isfinite(values).all():
        raise NonFinitePredictions("the model predicts NaN or infinite values: lower its step size")
    return values


def probabilities(predictions: NDArray[Any], n: int) -> Vector:
    """Return the probabilities of the positive class, shape (n,), checked.

    Raises:
        ShapesDiffer: There are not n of them.
        NonFinitePredictions: One is NaN or infinite.
        NotProbabilities: One is outside [0, 1].
    """
    values = finite(predictions, (n,))
    if values.min(initial=0.0) < 0.0 or values.max(initial=1.0) > 1.0:
        raise NotProbabilities("predictions must be probabilities in [0, 1], got values outside")
    return values


def distributions(predictions: NDArray[Any], n: int, n_classes: int) -> Matrix:
    """Return the probabilities of every class, shape (n, n_classes), checked, rows adding to 1.

    Raises:
        ShapesDiffer: The shape is another.
        NonFinitePredictions: One is NaN or infinite.
        NotProbabilities: One is negative, or a row does not add up to 1 within 0.001.
    """
    # Rows in memory order: a row's sum is then the same whichever rows stand beside it.
    values = np.ascontiguousarray(finite(predictions, (n, n_classes)))
    totals = values.sum(axis=1, keepdims=True)
    if values.min(initial=0.0) < 0.0 or np.abs(totals - 1).max(initial=0.0) > _ROUNDING:
        raise NotProbabilities("each row of predictions must be probabilities that add up to 1")
    return np.asarray(np.minimum(values / totals, 1.0), np.float64)


def class_codes(labels: NDArray[Any], n_classes: int) -> Tally:
    """Return labels as codes of declared classes, shape (n,), checked.

    Raises:
        ShapesDiffer: Labels are not one a record.
        UndeclaredLabel: One is no whole number from 0 to n_classes - 1.
    """
    if labels.ndim != 1:
        raise ShapesDiffer(f"need one label a record, got shape {labels.shape}")
    whole = labels.dtype.kind in "biu"
    if not whole or labels.min(initial=0) < 0 or labels.max(initial=0) >= n_classes:
        raise UndeclaredLabel(f"labels must be whole numbers from 0 to {n_classes - 1}")
    return labels.astype(np.int64)


def bounded_labels(labels: NDArray[Any], *, low: float, high: float) -> Vector:
    """Return labels within declared bounds, scaled to [0, 1], shape (n,), checked.

    Raises:
        ShapesDiffer: Labels are not one a record.
        UndeclaredLabel: One is missing or out of bounds.
    """
    if labels.ndim != 1:
        raise ShapesDiffer(f"need one label a record, got shape {labels.shape}")
    values = np.asarray(labels, np.float64)
    if not ((values >= low) & (values <= high)).all():
        raise UndeclaredLabel(f"labels must be between {low} and {high}, and none missing")
    return np.asarray(np.minimum((values - low) / (high - low), 1.0), np.float64)
