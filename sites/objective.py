"""What a label asks of a model: how many outputs, which loss, and what a prediction is."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from privacy.layout import Vector
from sites.constants import Constants
from sites.schema import ClassLabel, Label, NumberLabel
from sites.statistics import restore, transform
from sites.task import BadPlan, Predictions, TrainingPlan


def n_outputs(label: Label) -> int:
    """Return the outputs of a model: one, or one a class when there are more than two."""
    match label:
        case ClassLabel(binary=True) | NumberLabel():
            return 1
        case ClassLabel(classes=classes):
            return len(classes)


def targets(label: Label, labels: NDArray[Any], constants: Constants) -> Tensor:
    """Return what the loss compares with, shape (n,): codes, 0 or 1, or standardised values."""
    match label:
        case ClassLabel(binary=True):
            return torch.from_numpy(labels.astype(np.float32))
        case ClassLabel():
            return torch.from_numpy(labels.astype(np.int64))
        case NumberLabel():
            standard = (transform(label, labels) - constants.label.mean) / constants.label.deviation
            return torch.from_numpy(standard.astype(np.float32))


def losses(label: Label, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of each record, shape (B,): cross-entropy, or half the squared error.

    Args:
        label: What is predicted.
        scores: The model's outputs, shape (B, n_outputs).
        wanted: As `targets` returns it, shape (B,).
    """
    match label:
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


def predictions(label: Label, scores: Tensor, constants: Constants) -> Predictions:
    """Return probabilities or values in the label's unit, as `Task.predict` promises them."""
    outputs = scores.double()  # (n, n_outputs)
    match label:
        case ClassLabel(binary=True):
            return outputs[:, 0].sigmoid().numpy()
        case ClassLabel():
            return outputs.softmax(dim=1).numpy()
        case NumberLabel():
            standard = outputs[:, 0].numpy()
            return restore(label, standard * constants.label.deviation + constants.label.mean)
