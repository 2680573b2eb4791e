"""The task of classifying whole texts with an encoder, by the mean scores of their windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privacy.layout import Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.agreed_columns import agreed_columns
from sites.data.holdout import Sides
from sites.data.mapped.places import places_named
from sites.data.source import DataSource
from sites.data.texts import read_texts, require_texts
from sites.evaluation.contract import Evaluation, evaluation_for, in_bins
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learners.distillation.plan import DistilPlan
from sites.models.encoder import Encoder, Role, encoder_for
from sites.models.encoder_export import write_merged, write_trained
from sites.models.initialisation import n_outputs
from sites.plans import Labels, Predictions, TextModelPlan, TrainingPlan
from sites.schema.tables import ClassLabel
from sites.schema.texts import NotesSchema
from sites.statistics.normalisation import Constants
from sites.statistics.texts import TextStatistics
from sites.task import Task, Trained
from sites.tasks.text.classification_data import (
    EncoderInputs,
    Notes,
    NotesData,
    declared_names,
    encoder_inputs,
    load_notes,
    pooled_notes,
)
from sites.tasks.text.misclassified import Mistake, worst_rows
from sites.training import objective
from sites.training.loop import Records, TrainingDiverged, compute_on_one_thread, train

_PRIVATE_ROWS = 64  # records whose per-person gradients fit in memory together


@dataclass(frozen=True)
class NotesTask:
    """Classification of texts with an encoder; it implements `sites.task.Task`.

    A text's scores are the means over its windows. With privacy, training reads the first
    window of a text only, so that a forward pass has one row per record.

    Args:
        name: Name of the use case.
        schema: What is read and predicted.
        model: Which encoder, and which of its parameters are trained.
        seed: Of the run: new parameters are drawn from it.
    """

    name: str
    schema: NotesSchema
    model: TextModelPlan
    seed: int

    @property
    def encoder(self) -> Encoder:
        """The encoder with its head, shared by all sites in this process that train the same.

        Raises:
            UnknownEncoder, UnfitEncoder: The base is not on this machine, or cannot be trained.
            BadPlan: The plan does not fit the base.
        """
        return encoder_for(Role(self.model, "texts", n_outputs(self.schema.label), self.seed))

    @cached_property
    def layout(self) -> Layout:
        """Layout of the federated vector."""
        return self.encoder.layout

    @cached_property
    def statistics(self) -> TextStatistics:
        """The statistics that a site counts before training."""
        return TextStatistics(self.schema)

    @cached_property
    def evaluation(self) -> Evaluation:
        """The evaluation, which counts a site's predictions."""
        return evaluation_for(self.schema)

    def load(self, source: DataSource, *, sides: Sides) -> NotesData:
        """Return a site's checked notes, each person on the side that `sides` says."""
        return load_notes(source, self.schema, sides=sides)

    def pool(self, parts: Sequence[NotesData]) -> NotesData:
        """Return the notes of several sites as those of one."""
        return NotesData(
            training=pooled_notes([part.training for part in parts]),
            held_out=pooled_notes([part.held_out for part in parts]),
            n_labels=parts[0].n_labels,
        )

    def answering(self, layout: Layout, plan: DistilPlan) -> Task[Any]:
        """Return the same use case, carried out by asking a site's model about agreed texts."""
        from sites.tasks.text.distilled import DistilledTask  # which is made of this one

        return DistilledTask(self, layout, plan)

    def prepare(self) -> None:
        """Let torch compute on one thread."""
        compute_on_one_thread()

    def statistics_of(self, data: NotesData) -> Tally:
        """Return the tally of the training notes alone."""
        training = data.training
        return self.statistics.tally(training.lengths, training.labels, persons=data.train_persons)

    def findings(self, data: NotesData, others: Tally) -> tuple[Finding, ...]:
        """Return nothing: texts have no columns to compare."""
        return ()

    def train(
        self,
        data: NotesData,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Train from the model that `vector` stands for."""
        encoder, notes = self.encoder, data.training
        if plan.privacy is not None:
            # Groups of drawn persons only bound memory: they change neither draws nor noise.
            rows = min(plan.privacy.rows_at_once, _PRIVATE_ROWS)
            plan = replace(plan, privacy=replace(plan.privacy, rows_at_once=rows))
        read = notes.encoder_inputs(encoder)
        # Notes with several labels have no class by which to resample: all get the same one.
        single = notes.labels.ndim == 1
        records = Records(
            notes.labels if single else np.zeros(len(notes), np.int64),
            notes.persons,
            sizes=read.pieces.longest,
            content_of=notes.content_of,
        )
        with encoder.hold_parameters(vector) as model:
            received = encoder.trained_vector()
            losses = self._losses(encoder, notes, read, pooled, plan)
            steps = train(model, losses, records, plan, rng=rng)
            update = (encoder.trained_vector() - received).astype(np.float32).astype(np.float64)
        if not np.isfinite(update).all():
            raise TrainingDiverged("the trained parameters are not finite: lower the learning rate")
        return Trained(update=update, num_examples=data.train_examples, steps=steps)

    def evaluate(
        self, data: NotesData, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions."""
        return in_bins(self.evaluation, bins).tally(*self.score(data, pooled, vector))

    def score(self, data: NotesData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        notes = data.held_out
        read = notes.encoder_inputs(self.encoder)
        return self.predictions(read, pooled, vector), notes.labels

    def mistakes(
        self, data: NotesData, pooled: Tally, vector: Vector, *, at_most: int
    ) -> tuple[Mistake, ...]:
        """Return misclassified held-out notes, the worst first."""
        notes, names = data.held_out, declared_names(self.schema.label)
        if not len(notes):
            return ()
        predictions, _ = self.score(data, pooled, vector)
        return tuple(
            Mistake(
                person=str(notes.persons[row]),
                text=str(notes.texts[row]),
                true=tuple(names[code] for code in true),
                predicted=tuple(names[code] for code in said),
            )
            for row, true, said in worst_rows(predictions, notes.labels, at_most=at_most)
        )

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for texts without labels, in their order.

        Where a text may have several labels, the probability of each, shape (n, n_labels).
        """
        found = read_texts(source, tagged=False)
        frame = agreed_columns(found, source.reading, self.schema, labelled=False)
        with places_named(source):
            require_texts(frame, text=self.schema.text, label=None, classes=())
        read = encoder_inputs(frame[self.schema.text].tolist(), self.encoder)
        return self.predictions(read, pooled, vector)

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the trained arrays of the model that `vector` stands for, by name."""
        return self.layout.unflatten(self.encoder.start + vector)

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the model that `vector` stands for into an existing directory.

        Either the whole model, which `transformers` alone loads, or the trained parameters only.
        """
        names, encoder = declared_names(self.schema.label), self.encoder
        if merged:
            several = not isinstance(self.schema.label, ClassLabel)
            write_merged(encoder, vector, names, folder, several=several)
        else:
            write_trained(encoder, vector, names, folder)

    def _constants(self, pooled: Tally) -> Constants:
        return self.statistics.constants(pooled)

    def _losses(
        self,
        encoder: Encoder,
        notes: Notes,
        read: EncoderInputs,
        pooled: Tally,
        plan: TrainingPlan,
    ) -> Callable[[Tensor], Tensor]:
        """Return a function from rows of notes (B,) to the loss of each (B,)."""
        label = self.schema.label
        wanted = objective.targets(label, notes.labels, self._constants(pooled)).to(encoder.device)
        weights = self._weights(notes, pooled, plan)
        at_most = 1 if plan.privacy is not None else self.model.training_windows

        def losses(rows: Tensor) -> Tensor:
            scores = mean_scores(
                encoder, read, rows.numpy(), at_most, exact=plan.privacy is not None
            )
            each = objective.losses(label, scores, wanted[rows])
            if weights is not None:
                each = each * weights[rows].to(encoder.device)
            # The loss of a note with several labels is the mean over its labels.
            return each if each.dim() == 1 else each.mean(dim=1)

        return losses

    def _weights(self, notes: Notes, pooled: Tally, plan: TrainingPlan) -> Tensor | None:
        """Return the factors in the loss of each note, (n,), or of its labels, (n, n_labels).

        None for no factors.
        """
        label, constants = self.schema.label, self._constants(pooled)
        if isinstance(label, ClassLabel):
            of_class = objective.class_weights(label, constants, plan)
            return None if of_class is None else torch.from_numpy(of_class[notes.labels]).float()
        of_label = objective.label_weights(
            constants, self.statistics.layout.count("records", pooled), plan
        )
        if of_label is None:
            return None
        chosen = of_label[np.arange(notes.labels.shape[1]), notes.labels]  # (n, n_labels)
        return torch.from_numpy(chosen).float()

    def predictions(self, read: EncoderInputs, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for texts that are in the form that the encoder reads."""
        encoder, constants = self.encoder, self._constants(pooled)
        with encoder.hold_parameters(vector):
            scores = encoder.all_scores(read.pieces.windows, read.features)
        means = _window_means(scores, read.pieces.counts)
        return objective.predictions(self.schema.label, means, constants)


def mean_scores(
    encoder: Encoder, read: EncoderInputs, rows: NDArray[np.int64], at_most: int, *, exact: bool
) -> Tensor:
    """Return the scores of some notes, the means over their windows, shape (B, n_outputs)."""
    chosen = read.pieces.window_indices(rows, at_most=at_most)
    features = None if read.features is None else read.features[torch.from_numpy(chosen)]
    scores = encoder.scores([read.pieces.windows[i] for i in chosen], features, exact=exact)
    return _window_means(scores, np.minimum(read.pieces.counts[rows], at_most))


def _window_means(scores: Tensor, counts: NDArray[np.int64]) -> Tensor:
    """Return the mean scores of each text, shape (n, n_outputs).

    Args:
        scores: Scores of all windows, text after text, shape (n_windows, n_outputs).
        counts: Number of windows of each text, shape (n,).
    """
    if len(scores) == len(counts):
        return scores
    per_text = torch.from_numpy(counts).to(scores.device)
    owners = torch.repeat_interleave(torch.arange(len(counts), device=scores.device), per_text)
    sums = scores.new_zeros(len(counts), scores.shape[1]).index_add(0, owners, scores)
    return sums / per_text[:, None]
