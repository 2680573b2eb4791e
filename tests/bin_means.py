"""A learner that counts: the share of the positive class in each bin of a number, exactly.

It stands in no registry: a test puts it there, as anybody would who adds a learner.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import ExactTally
from privacy.layout import Field, Layout, Tally, Vector
from sites.learners.counted_tables import Columns, CountedTable, TableSides
from sites.learners.plans import LearnerPlans
from sites.plans import Predictions
from sites.schema.tables import Number, Schema
from sites.schema.texts import AnySchema
from sites.task import Task

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
    def noisy_instead(self) -> str:
        """Nothing: they are counts."""
        return ""

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
class BinMeansTask(CountedTable):
    """The use case at a site: its records are those of another task."""

    @property
    def layout(self) -> Layout:
        """Of the state."""
        return Layout(fields=(Field("shares", (BINS,)), Field("rounds", (1,))), start="bin-means/1")

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Count the training records by bin."""
        bins = self._bins(data.training.columns)
        positive = data.training.labels == 1
        counts = [np.bincount(part, minlength=BINS) for part in (bins, bins[positive])]
        return np.concatenate(counts)

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the share of each record's bin."""
        shares: Predictions = vector[self._bins(columns)]
        return shares

    def _bins(self, columns: Columns) -> NDArray[np.int64]:
        assert isinstance(self.schema, Schema)
        number = next(item for item in self.schema.features if isinstance(item, Number))
        values: Vector = columns[number.name]
        place = (values - number.low) / (number.high - number.low)
        bins: NDArray[np.int64] = np.clip(place * BINS, 0, BINS - 1).astype(np.int64)
        return bins
