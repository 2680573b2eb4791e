"""A use case of whole texts whose model learns from answers to agreed texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation, in_bins
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learners.distillation.agreed_texts import agreed_texts
from sites.learners.distillation.answers import as_levels, shares_of
from sites.learners.distillation.plan import DistilPlan
from sites.plans import BadPlan, Labels, Predictions, TextModelPlan, TrainingPlan
from sites.schema.texts import NotesSchema
from sites.statistics.texts import TextStatistics
from sites.task import Trained
from sites.tasks.text.classification import NotesTask
from sites.tasks.text.classification_data import NotesData
from sites.tasks.text.soft_labels import fit_shares, predict_texts

_CACHED = 4  # encoders that learned from a state, of which a process keeps the vectors


@dataclass(frozen=True)
class DistilledTask:
    """It implements `sites.task.Task`: the state is an average of answers, not a model.

    Args:
        base: The task that trains this site's own encoder.
        layout: Of the state.
        plan: Which texts, and how the encoder learns from the answers.
    """

    base: NotesTask
    layout: Layout
    plan: DistilPlan

    @property
    def name(self) -> str:
        """Name of the use case."""
        return self.base.name

    @property
    def schema(self) -> NotesSchema:
        """What is read and predicted."""
        return self.base.schema

    @property
    def model(self) -> TextModelPlan:
        """This site's own encoder."""
        return self.base.model

    @property
    def statistics(self) -> TextStatistics:
        """The statistics that a site counts before training."""
        return self.base.statistics

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation, which counts a site's predictions."""
        return self.base.evaluation

    def load(self, source: DataSource, *, sides: Sides) -> NotesData:
        """Return a site's checked notes, each person on the side that `sides` says.

        Raises:
            OtherTexts: The agreed texts are not there, so that nothing can be answered.
        """
        agreed_texts(self.plan)
        return self.base.load(source, sides=sides)

    def pool(self, parts: Sequence[NotesData]) -> NotesData:
        """Return the notes of several sites as those of one."""
        return self.base.pool(parts)

    def prepare(self) -> None:
        """Let torch compute on one thread."""
        self.base.prepare()

    def statistics_of(self, data: NotesData) -> Tally:
        """Return the tally of the training notes alone."""
        return self.base.statistics_of(data)

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
        """Train this site's own encoder on its own notes, and answer the agreed texts with it.

        It starts from the encoder that learned from the received answers, if there are some.

        Raises:
            EmptySite: There is no training note.
            BadPlan: The plan has noise, which answers cannot have.
            TrainingDiverged: The loss or a parameter is no longer finite.
        """
        if plan.privacy is not None:
            raise BadPlan("answers to agreed texts have no noise: set dp.unit to off")
        start = self.student(vector)
        trained = self.base.train(data, pooled, start, plan, rng=rng)
        texts = agreed_texts(self.plan)
        answers = predict_texts(self.base, texts, pooled, start + trained.update)
        return Trained(
            summed=as_levels(shares_of(answers)),
            num_examples=trained.num_examples,
            steps=trained.steps,
        )

    def student(self, vector: Vector) -> Vector:
        """Return the vector of this site's encoder after it learned from the answers.

        Guarantee: it depends on the answers, the agreed texts and the encoder alone, not on any
        record of the site. Without answers, zeros: the encoder as its files say.

        Args:
            vector: The average of the answers, shape (layout.dim,).
        """
        if not vector.any():
            return np.zeros(self.base.layout.dim)
        return _student(self.base, self.base.encoder.files.digest, self.plan, vector.tobytes())

    def evaluate(
        self, data: NotesData, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Return the tally of the held-out predictions."""
        return in_bins(self.evaluation, bins).tally(*self.score(data, pooled, vector))

    def score(self, data: NotesData, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return held-out predictions and labels, row by row; they never leave the site."""
        return self.base.score(data, pooled, self.student(vector))

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the predictions for texts without labels, in their order."""
        return self.base.predict(source, pooled, self.student(vector))

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the answers, by name."""
        return dict(self.layout.unflatten(vector))

    def write(self, vector: Vector, folder: Path, *, merged: bool) -> None:
        """Write the encoder that learned from the answers into an existing directory."""
        self.base.write(self.student(vector), folder, merged=merged)


@lru_cache(maxsize=_CACHED)
def _student(base: NotesTask, digest: str, plan: DistilPlan, answers: bytes) -> Vector:
    del digest  # part of the cache key: a directory whose files have changed is another encoder
    shares = np.frombuffer(answers, np.float64).reshape(plan.texts, -1)
    return fit_shares(base, agreed_texts(plan), shares, plan.training)
