"""What trees minimise: logistic loss for two classes, squared error for a number.

A module of its own because gradients, predictions and reports follow from the same label.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Vector
from sites.plans import BadPlan, Labels, Predictions
from sites.schema.tables import ClassLabel, NumberLabel, Schema
from sites.schema.texts import AnySchema
from sites.statistics.normalisation import Constants
from sites.statistics.tables import compress_values, scale_values, unscale_values

Margins = NDArray[np.float32]

_LARGEST_MARGIN = 40.0  # beyond it a probability is 0 or 1 in float64
GRADIENT_UNIT = 2.0**-16
LARGEST_DERIVATIVE = 2**16  # in units: no gradient and no second derivative is larger


class Objective(Protocol):
    """A loss with its derivatives by the margin, which is the sum of a record's leaves.

    Guarantee: whatever margins and labels are, a gradient is within -1 to 1 and a second
    derivative within 0 to `LARGEST_DERIVATIVE` units, so that sums over fewer than 2^25 records
    are below 2^41 units.
    """

    @property
    def name(self) -> str:
        """What XGBoost calls it."""

    @property
    def second_derivative_unit(self) -> float:
        """What second derivatives are rounded to."""

    @property
    def loss_limit(self) -> float:
        """Largest loss of a record that is counted."""

    @property
    def loss_name(self) -> str:
        """What the mean loss is called in reports."""

    @property
    def base_score(self) -> str:
        """XGBoost's base score of margin 0."""

    @property
    def cover_unit(self) -> float:
        """Unit of exported covers. Converters tell classes from numbers by whether all are whole.

        A tree has between 2^20 and 2^21 units.
        """

    def base(self, constants: Constants) -> np.float32:
        """Return the margin of a record in no tree."""

    def exported(self, leaf: np.float32, *, first: bool = False) -> np.float32:
        """Return a leaf as XGBoost is to add it up; the first one is in every sum once."""

    def targets(self, labels: Labels) -> Vector:
        """Return the labels as the loss needs them, shape (n,)."""

    def derivatives(self, margins: Margins, targets: Vector) -> tuple[Vector, Vector]:
        """Return gradients and second derivatives in whole units, each of shape (n,)."""

    def losses(self, margins: Margins, targets: Vector) -> Vector:
        """Return the loss of each record as a share of `loss_limit`, in [0, 1], shape (n,)."""

    def shown_loss(self, mean: float) -> float:
        """Return the figure for reports, from the mean share of `loss_limit`."""

    def predictions(self, margins: Margins) -> Predictions:
        """Return probabilities of the second class, or values in the label's unit."""


@dataclass(frozen=True)
class LogisticLoss:
    """Log loss of two classes; the margin is the log odds of the second."""

    label: ClassLabel

    name = "binary:logistic"
    second_derivative_unit = 2.0**-18  # p (1 - p) is at most 1/4
    base_score = "5E-1"
    cover_unit = 2.0**-22  # no cover is whole: that of a tree is about 1/4, as p (1 - p) at most
    loss_limit = 32.0
    loss_name = "deviance per record"

    def base(self, constants: Constants) -> np.float32:
        """Return the log odds of the pooled training records, each class counted once more."""
        negatives, positives = constants.class_counts
        return np.float32(np.log((positives + 1) / (negatives + 1)))

    def exported(self, leaf: np.float32, *, first: bool = False) -> np.float32:
        """Return the leaf as it is."""
        return leaf

    def targets(self, labels: Labels) -> Vector:
        """Return 0 or 1."""
        return np.asarray(labels, np.float64)

    def derivatives(self, margins: Margins, targets: Vector) -> tuple[Vector, Vector]:
        """Return p - y and p (1 - p), in units."""
        shares = self.predictions(margins)
        gradients = np.rint((shares - targets) / GRADIENT_UNIT)
        return gradients, np.rint(shares * (1.0 - shares) / self.second_derivative_unit)

    def losses(self, margins: Margins, targets: Vector) -> Vector:
        """Return ln(1 + e^F) - y F; what is above the limit counts as the limit."""
        wide = np.clip(margins.astype(np.float64), -_LARGEST_MARGIN, _LARGEST_MARGIN)
        found = np.logaddexp(0.0, wide) - targets * wide
        return np.asarray(np.clip(found / self.loss_limit, 0.0, 1.0), np.float64)

    def shown_loss(self, mean: float) -> float:
        """Return the deviance per record: twice the log loss."""
        return 2.0 * self.loss_limit * mean

    def predictions(self, margins: Margins) -> Predictions:
        """Return the probability of the second class."""
        wide = np.clip(margins.astype(np.float64), -_LARGEST_MARGIN, _LARGEST_MARGIN)
        return np.asarray(1.0 / (1.0 + np.exp(-wide)), np.float64)


@dataclass(frozen=True)
class SquaredError:
    """Squared error of a number on its declared [0, 1] scale; the margin is the prediction."""

    label: NumberLabel

    name = "reg:squarederror"
    second_derivative_unit = 2.0**-16
    base_score = "0E0"
    cover_unit = 1.0  # each cover is whole
    loss_limit = 1.0
    loss_name = "root mean square error, as a share of the declared range"

    def base(self, constants: Constants) -> np.float32:
        """Return the pooled mean."""
        return np.float32(constants.label.mean)

    def exported(self, leaf: np.float32, *, first: bool = False) -> np.float32:
        """Return the leaf in the label's unit; of its logarithm where the scale is one."""
        low, high = compress_values(self.label, np.array([self.label.low, self.label.high]))
        return np.float32(float(leaf) * (high - low) + (low if first else 0.0))

    def targets(self, labels: Labels) -> Vector:
        """Return labels on the declared scale."""
        return scale_values(self.label, labels)

    def derivatives(self, margins: Margins, targets: Vector) -> tuple[Vector, Vector]:
        """Return F - y, with F within the declared range, and 1, in units."""
        found = np.rint(self._errors(margins, targets) / GRADIENT_UNIT)
        return found, np.full(len(found), 1.0 / self.second_derivative_unit)

    def losses(self, margins: Margins, targets: Vector) -> Vector:
        """Return (F - y)^2."""
        return np.asarray(self._errors(margins, targets) ** 2, np.float64)

    def shown_loss(self, mean: float) -> float:
        """Return the root of the mean."""
        return float(np.sqrt(mean))

    def predictions(self, margins: Margins) -> Predictions:
        """Return values in the label's unit, within its declared bounds."""
        return unscale_values(self.label, margins.astype(np.float64))

    def _errors(self, margins: Margins, targets: Vector) -> Vector:
        within: NDArray[Any] = np.clip(margins.astype(np.float64), 0.0, 1.0)
        return np.asarray(within - targets, np.float64)


def objective_of(schema: AnySchema) -> Objective:
    """Return what trees minimise for a schema's label.

    Raises:
        BadPlan: Trees cannot learn from these records.
    """
    match schema:
        case Schema(label=ClassLabel(binary=True) as label):
            return LogisticLoss(label)
        case Schema(label=NumberLabel() as number):
            return SquaredError(number)
    raise BadPlan(
        "learner=trees needs a table whose label has two classes or is a number, and "
        f"{schema.name} has neither: use learner=gradient"
    )
