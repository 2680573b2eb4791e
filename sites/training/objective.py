"""What a label asks of a model: which loss, and what a prediction is."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from privacy.layout import Matrix, Vector
from sites.models.initialisation import Predicted
from sites.plans import BadPlan, Predictions, TrainingPlan
from sites.schema.tables import ClassLabel, Label, NumberLabel
from sites.schema.texts import MultiLabel
from sites.statistics.normalisation import Constants
from sites.statistics.tables import restore, transform


def targets(label: Predicted, labels: NDArray[Any], constants: Constants) -> Tensor:
    """Return what the loss compares with: codes, 0 or 1, or standardised values, shape (n,).

    Where a record may have several labels, 0 or 1 for each, shape (n, n_labels).
    """
    match label:
        case ClassLabel(binary=True) | MultiLabel():
            return torch.from_numpy(labels.astype(np.float32))
        case ClassLabel():
            return torch.from_numpy(labels.astype(np.int64))
        case NumberLabel():
            standard = (transform(label, labels) - constants.label.mean) / constants.label.deviation
            return torch.from_numpy(standard.astype(np.float32))


def losses(label: Predicted, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of each record, shape (B,): cross-entropy, or half the squared error.

    Where a record may have several labels, of each of them, shape (B, n_labels).

    Args:
        label: What is predicted.
        scores: The model's outputs, shape (B, n_outputs).
        wanted: As `targets` returns it, of these records.
    """
    match label:
        case MultiLabel():
            return functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
        case ClassLabel(binary=True):
            return functional.binary_cross_entropy_with_logits(
                scores[:, 0], wanted, reduction="none"
            )
        case ClassLabel():
            return functional.cross_entropy(scores, wanted, reduction="none")
        case NumberLabel():
            return (scores[:, 0] - wanted).square() / 2


def class_weights(label: Label, constants: Constants, plan: TrainingPlan) -> Vector | None:
    """Return the weight of each class in the loss, the same at every site; None for no weights.

    A class weighs n / (n_classes * n_of_it) by the pooled counts, over the classes that occur,
    so that the average weight of a record is 1; a class that never occurred weighs 1.

    Raises:
        BadPlan: The label has no classes to balance.
    """
    if plan.class_balance != "none" and isinstance(label, NumberLabel):
        raise BadPlan(f"{label.column} is a number: set class_balance to none")
    if plan.class_balance != "weights":
        return None
    counts = np.array(constants.class_counts, np.float64)
    occurs = counts > 0
    weights = np.ones(len(counts))
    weights[occurs] = counts.sum() / (occurs.sum() * counts[occurs])
    return weights


def label_weights(constants: Constants, n_records: int, plan: TrainingPlan) -> Matrix | None:
    """Return what a label weighs in the loss, absent and present, shape (n_labels, 2).

    As with classes: n / (2 * n_of_it) by the pooled counts, so that the average weight is 1; a
    label that never occurred, or always did, weighs 1. None for no weights.

    Raises:
        BadPlan: Records with several labels cannot be drawn equally often by class.
    """
    if plan.class_balance == "resample":
        raise BadPlan("a record may have several labels: set class_balance to none or weights")
    if plan.class_balance == "none":
        return None
    present = np.array(constants.class_counts, np.float64)
    counts = np.stack([n_records - present, present], axis=1)
    varies = (counts > 0).all(axis=1, keepdims=True)
    return np.where(varies, n_records / (2 * np.maximum(counts, 1)), 1.0)


def predictions(label: Predicted, scores: Tensor, constants: Constants) -> Predictions:
    """Return probabilities or values in the label's unit, as `Task.predict` promises them."""
    outputs = scores.double()  # (n, n_outputs)
    match label:
        case MultiLabel():
            return outputs.sigmoid().numpy()
        case ClassLabel(binary=True):
            return outputs[:, 0].sigmoid().numpy()
        case ClassLabel():
            return outputs.softmax(dim=1).numpy()
        case NumberLabel():
            standard = outputs[:, 0].numpy()
            return restore(label, standard * constants.label.deviation + constants.label.mean)
