"""Targets, losses, weights and predictions that follow from the type of the label."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from privacy.layout import Matrix, Vector
from sites.models.initialisation import Predicted
from sites.plans import BadPlan, Predictions, TrainingPlan
from sites.schema.tables import ClassLabel, NumberLabel, Outcome
from sites.schema.texts import MultiLabel
from sites.statistics.normalisation import Constants
from sites.statistics.tables import scale_values, unscale_values


def targets(label: Predicted, labels: NDArray[Any], constants: Constants) -> Tensor:
    """Return the targets of the loss: class codes, 0 or 1, or standardised values, shape (n,).

    Where a record may have several labels, they are 0 or 1 for each, shape (n, n_labels).
    """
    match label:
        case ClassLabel(binary=True) | MultiLabel():
            return torch.from_numpy(labels.astype(np.float32))
        case ClassLabel():
            return torch.from_numpy(labels.astype(np.int64))
        case NumberLabel():
            # On the agreed scale, then standardised by the pooled constants: every site's loss
            # has the same unit, and a fixed learning rate fits labels of any unit.
            standard = (
                scale_values(label, labels) - constants.label.mean
            ) / constants.label.deviation
            return torch.from_numpy(standard.astype(np.float32))


def losses(label: Predicted, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of each record, shape (B,): cross-entropy, or half the squared error.

    Where a record may have several labels, the loss of each label, shape (B, n_labels).

    Args:
        label: What is predicted.
        scores: The model's outputs (logits, or a standardised number), shape (B, n_outputs).
        wanted: The targets of these records, as `targets` returns them.
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


def loss_gradients(label: Outcome, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the gradient of each record's loss by its scores, shape (B, n_outputs).

    Args:
        label: What is predicted.
        scores: The model's outputs, shape (B, n_outputs).
        wanted: The targets of these records, as `targets` returns them.
    """
    match label:
        case ClassLabel(binary=True):
            return scores.sigmoid().sub_(wanted[:, None])
        case ClassLabel():
            found = scores.softmax(dim=1)
            found[torch.arange(len(wanted)), wanted] -= 1.0
            return found
        case NumberLabel():
            return scores - wanted[:, None]


def class_weights(label: Outcome, constants: Constants, plan: TrainingPlan) -> Vector | None:
    """Return the factor of each class in the loss, the same at every site, or None for none.

    The factor is n / (n_classes * n_in_class) by the pooled counts, where n_classes counts the
    classes that occur, so that its mean over the records is 1. It is 1 for a class that never
    occurs.

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
    """Return the factors of each label in the loss, absent and present, shape (n_labels, 2).

    As with classes, n / (2 * n_absent) and n / (2 * n_present) by the pooled counts, so that the
    mean is 1. Both are 1 for a label that never occurs, or always does. None for no factors.

    Args:
        constants: Constants of the pooled statistics.
        n_records: Pooled training records.
        plan: How to train.

    Raises:
        BadPlan: The plan asks to resample by class, which records with several labels do not have.
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
    """Return probabilities, or values in the label's unit, as `Task.predict` specifies them."""
    # In float64 the probabilities of a row add up to 1 far within what the evaluation allows.
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
            return unscale_values(
                label, standard * constants.label.deviation + constants.label.mean
            )
