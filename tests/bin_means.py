"""A learner that counts: the share of the positive class in each bin of a number, exactly.

It stands in no registry: a test puts it there, as anybody would who adds a learner.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import ExactTally
from privacy.layout import Field, Layout, Tally, Vector
from sites.comparison.findings import Finding
from sites.data.holdout import Sides
from sites.data.source import DataSource
from sites.evaluation.contract import Evaluation, in_bins
from sites.evaluation.score_bins import EQUAL_BINS, ScoreBins
from sites.learners.plans import LearnerPlans
from sites.plans import AnyModelPlan, Labels, Predictions, TrainingPlan
from sites.schema.tables import Number, Schema
from sites.schema.texts import AnySchema
from sites.statistics.contract import Statistics
from sites.task import Task, Trained

BINS = 8


@dataclass(frozen=True)
class BinMeans:
    """Counts records and positive labels by bin of the first number of a table.

    Its state is the share of each bin, and the rounds that it took.
    """

    schema: AnySchema
    plans: LearnerPlans = field(default_factory=LearnerPlans)

    @property
    def name(self) -> str:
        """What people call it."""
        return "bin-means"

    @property
    def contribution(self) -> ExactTally:
        """Records by bin, then positive ones by bin."""
        return ExactTally(size=2 * BINS, bounds=(0, 2**25))

    @property
    def predicts(self) -> bool:
        """True: a share is a probability."""
        return True

    @property
    def reads_persons_exactly(self) -> bool:
        """False: they are counts."""
        return False

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return the share of each bin."""
        return {"kind": "bin-means", "shares": vector[:BINS].tolist()}

    def files(self, vector: Vector, statistics: Tally) -> Mapping[str, bytes]:
        """Return the shares as JSON, for other programs."""
        return {"shares.json": json.dumps(vector[:BINS].tolist()).encode()}

    def at_site(self, task: Task[Any]) -> "BinMeansTask":
        """Return the use case, counted."""
        return BinMeansTask(task)

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the pooled share of each bin, 0 where it is empty, and one round more."""
        records, positives = np.split(pooled.astype(np.float64), 2)
        shares = np.divide(positives, records, out=np.zeros(BINS), where=records > 0)
        return np.append(shares, vector[-1] + 1)


@dataclass(frozen=True)
class BinMeansTask:
    """The use case at a site: its records are those of another task."""

    base: Task[Any]

    @property
    def name(self) -> str:
        """The use case."""
        return self.base.name

    @property
    def schema(self) -> AnySchema:
        """What every column means."""
        return self.base.schema

    @property
    def model(self) -> AnyModelPlan:
        """No model is trained: what the run says of one."""
        return self.base.model

    @property
    def layout(self) -> Layout:
        """Of the state."""
        return Layout(fields=(Field("shares", (BINS,)), Field("rounds", (1,))), start="bin-means/1")

    @property
    def statistics(self) -> Statistics:
        """What a site counts before the first round."""
        return self.base.statistics

    @property
    def evaluation(self) -> Evaluation:
        """What a site counts of its predictions."""
        return self.base.evaluation

    def load(self, source: DataSource, *, sides: Sides) -> Any:
        """Read a site's records."""
        return self.base.load(source, sides=sides)

    def pool(self, parts: Sequence[Any]) -> Any:
        """Return the records of several sites as those of one."""
        return self.base.pool(parts)

    def prepare(self) -> None:
        """Load nothing: numpy is there."""

    def statistics_of(self, data: Any) -> Tally:
        """Count the training records."""
        return self.base.statistics_of(data)

    def findings(self, data: Any, others: Tally) -> tuple[Finding, ...]:
        """Return what stands out in the records, as the other task sees it."""
        return self.base.findings(data, others)

    def train(
        self,
        data: Any,
        pooled: Tally,
        vector: Vector,
        plan: TrainingPlan,
        *,
        rng: np.random.Generator,
    ) -> Trained:
        """Count the training records by bin."""
        bins = self._bins(data.training)
        positive = data.training.labels == 1
        counts = [np.bincount(part, minlength=BINS) for part in (bins, bins[positive])]
        return Trained(summed=np.concatenate(counts), num_examples=data.train_examples)

    def evaluate(
        self, data: Any, pooled: Tally, vector: Vector, bins: ScoreBins = EQUAL_BINS
    ) -> Tally:
        """Count the held-out predictions."""
        return in_bins(self.evaluation, bins).tally(*self.score(data, pooled, vector))

    def score(self, data: Any, pooled: Tally, vector: Vector) -> tuple[Predictions, Labels]:
        """Return the share of each held-out record's bin, and its label."""
        return vector[self._bins(data.held_out)], data.held_out.labels

    def predict(self, source: DataSource, pooled: Tally, vector: Vector) -> Predictions:
        """Return the share of the bin of each row."""
        raise NotImplementedError

    def parameters(self, vector: Vector) -> dict[str, NDArray[np.float32]]:
        """Return the shares, and the rounds."""
        return self.layout.unflatten(vector)

    def _bins(self, table: Any) -> NDArray[np.int64]:
        assert isinstance(self.schema, Schema)
        number = next(item for item in self.schema.features if isinstance(item, Number))
        values: Vector = table.columns[number.name]
        place = (values - number.low) / (number.high - number.low)
        bins: NDArray[np.int64] = np.clip(place * BINS, 0, BINS - 1).astype(np.int64)
        return bins
