"""Texts without labels: what a model says of them, and learning from what others say.

A module of its own because the task itself learns from labels only.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privacy.layout import Tally, Vector
from sites.plans import Predictions, TrainingPlan
from sites.tasks.text.classification import NotesTask, mean_scores
from sites.tasks.text.classification_data import encoder_inputs
from sites.training import objective
from sites.training.loop import Records, TrainingDiverged, train


def predict_texts(
    task: NotesTask, texts: Sequence[str], pooled: Tally, vector: Vector
) -> Predictions:
    """Return the predictions for texts, in their order, as `NotesTask.predict` does."""
    return task.predictions(encoder_inputs(texts, task.encoder), pooled, vector)


def fit_shares(
    task: NotesTask, texts: Sequence[str], shares: NDArray[np.float64], plan: TrainingPlan
) -> Vector:
    """Return the vector of an encoder that learned the probabilities of texts.

    It minimises the mean cross-entropy between them and its own, which is their Kullback-Leibler
    divergence up to a constant, from the encoder as its files say.

    Guarantee: the same arguments give the same bytes (one torch thread, one machine).

    Args:
        task: The task; its label has classes.
        texts: At least one.
        shares: The probability of each class, shape (n_texts, n_classes).
        plan: How to train, without privacy.

    Raises:
        TrainingDiverged: The loss or a parameter is no longer finite.
    """
    encoder, label = task.encoder, task.schema.label
    read = encoder_inputs(texts, encoder)
    # Of two classes there is one score, for the second.
    wanted = shares[:, 1] if encoder.role.n_outputs == 1 else shares
    targets = torch.from_numpy(wanted.astype(np.float32)).to(encoder.device)

    def losses(rows: Tensor) -> Tensor:
        at_most = task.model.training_windows
        scores = mean_scores(encoder, read, rows.numpy(), at_most, exact=False)
        return objective.losses(label, scores, targets[rows])

    records = Records(
        np.zeros(len(texts), np.int64),
        np.array([str(row) for row in range(len(texts))]),
        sizes=read.pieces.longest,
        content_of=lambda row: texts[row].encode("utf-8", "surrogatepass"),
    )
    with encoder.hold_parameters(np.zeros(encoder.layout.dim)) as model:
        start = encoder.trained_vector()
        train(model, losses, records, plan, rng=np.random.default_rng(task.seed))
        learned = (encoder.trained_vector() - start).astype(np.float32).astype(np.float64)
    if not np.isfinite(learned).all():
        raise TrainingDiverged("the trained parameters are not finite: lower distil.learning-rate")
    return learned
