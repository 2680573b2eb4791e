"""A score card, fitted on sums that are opened over all sites only.

The first exchange counts records by class in fine bins of every feature; the move merges them into
the bins of the card. Each further exchange moves the curves of all features a step.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import LARGEST_ENTRY, ExactTally
from privacy.layout import Layout, Tally, Vector
from sites.data.source import DataSource
from sites.learners.cards.boosting import count_sums, log_odds_nearby, next_state, sums_size
from sites.learners.cards.merging import merge_category, merge_number
from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import Card
from sites.learners.cards.printed import printed_card
from sites.learners.cards.reasons import reasons
from sites.learners.cards.state import CardState, StateForm, card_bins
from sites.learners.counted_tables import Columns, CountedTable, TableRecords, TableSides
from sites.learners.fine_bins import bin_sizes, fine_bins
from sites.plans import BadPlan, Predictions
from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import AnySchema
from sites.statistics.tally import ImpossibleTally
from sites.task import Task, UnfitSchema


@dataclass(frozen=True)
class ScoreCard:
    """Fits a score card for two classes.

    Args:
        schema: Of the table.
        label: Its label, of two classes.
        plan: How the card is scaled, and which curves have a direction.

    Raises:
        BadPlan: A direction is asked of what is no number of the table.
    """

    schema: Schema
    label: ClassLabel
    plan: CardPlan

    @classmethod
    def of(cls, schema: AnySchema, plan: CardPlan) -> "ScoreCard":
        """Return the learner for a schema of any kind, if it fits.

        Raises:
            UnfitSchema: There is no table, or are not two classes.
            BadPlan: As the class says.
        """
        if not isinstance(schema, Schema):
            raise UnfitSchema(f"a score card needs a table, but {schema.name} has texts")
        label = schema.label
        if not isinstance(label, ClassLabel) or not label.binary:
            raise UnfitSchema(
                f"a score card needs a label with two classes, but {schema.label.column} of "
                f"{schema.name} has others"
            )
        return cls(schema, label, plan)

    def __post_init__(self) -> None:
        numbers = [item.name for item in self.schema.features if isinstance(item, Number)]
        for name in self.plan.directions:
            if name not in numbers:
                near = difflib.get_close_matches(name, numbers, n=1)
                hint = f": did you mean {near[0]}?" if near else ""
                raise BadPlan(f"card.monotone names {name}, which is no number of the table{hint}")

    @property
    def name(self) -> str:
        """What people call it."""
        return "scorecard"

    @property
    def contribution(self) -> ExactTally:
        """Counts in the first exchange, sums in all others, with zeros after the shorter ones."""
        size = max(2 * sum(bin_sizes(self.schema)), sums_size(len(self.schema.features)))
        return ExactTally(size=size, bounds=(1 - LARGEST_ENTRY, LARGEST_ENTRY - 1))

    @property
    def predicts(self) -> bool:
        """True: points stand for a probability."""
        return True

    @property
    def reads_persons_exactly(self) -> bool:
        """True: sums of derivatives, one from each record."""
        return True

    @cached_property
    def form(self) -> StateForm:
        """How the state is a vector."""
        return StateForm(self.schema)

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the state after an exchange.

        Raises:
            ImpossibleTally: No records have these counts.
        """
        state = self.form.state_of(vector)
        if not state.exchanges:
            return self.form.vector_of(self._binned(statistics, pooled))
        sums = pooled[: sums_size(len(self.schema.features))]
        return self.form.vector_of(next_state(state, sums, self.plan.directions))

    def card(self, vector: Vector) -> Card:
        """Return the card that a state stands for."""
        return Card.of(self.form.state_of(vector), self.plan)

    def results(self, vector: Vector, statistics: Tally) -> Mapping[str, Any]:
        """Return the card as plain JSON values; nothing before there are bins."""
        state = self.form.state_of(vector)
        return printed_card(state, self.plan, self.label) if state.exchanges else {}

    def at_site(self, task: Task[Any]) -> "ScoreCardTask":
        """Return the use case as a site fits a card to it."""
        return ScoreCardTask(task, self)

    def _binned(self, statistics: Tally, pooled: Tally) -> CardState:
        fine = fine_bins(self.schema, statistics)
        counts = np.split(pooled[: 2 * fine.starts[-1]].reshape(2, -1), fine.starts[1:-1], axis=1)
        totals = counts[0].sum(axis=1)
        if pooled.min() < 0 or any((one.sum(axis=1) != totals).any() for one in counts):
            raise ImpossibleTally("the features of a table count different numbers of records")
        merged = tuple(
            merge_number(one, self.plan.directions.get(bins.feature.name))
            if isinstance(bins.feature, Number)
            else merge_category(one)
            for bins, one in zip(fine.features, counts, strict=True)
        )
        start = np.zeros(self.form.n_heights)
        start[0] = log_odds_nearby(totals)
        return CardState(
            exchanges=1,
            totals=totals,
            bins=card_bins(fine, merged),
            heights=start,
            anchor=start,
            gradient=np.zeros(len(start)),
            loss=0.0,
            pull=0.0,
        )


@dataclass(frozen=True)
class ScoreCardTask(CountedTable):
    """A use case as a site fits a score card to it.

    Args:
        base: The use case whose records these are.
        learner: What is counted.
    """

    learner: ScoreCard

    @property
    def layout(self) -> Layout:
        """Layout of the state."""
        return self.learner.form.layout

    def count(self, data: TableSides, pooled: Tally, vector: Vector) -> Tally:
        """Return the tally of the training records, shape (contribution.tally_size,)."""
        state = self.learner.form.state_of(vector)
        counted = (
            count_sums(state, data.training)
            if state.exchanges
            else self._counts(data.training, pooled)
        )
        tally = np.zeros(self.learner.contribution.size, np.int64)
        tally[: len(counted)] = counted
        return tally

    def predict_columns(self, columns: Columns, pooled: Tally, vector: Vector) -> Predictions:
        """Return the probability of the second class, from the points of the printed card."""
        card = self.learner.card(vector)
        return card.probabilities(card.totals(columns))

    def explain(self, source: DataSource, vector: Vector) -> Mapping[str, NDArray[Any]]:
        """Return the points of each record, and the reasons why they are not more."""
        card, columns = self.learner.card(vector), self.read_columns(source)
        of_record = reasons(card, columns).T
        return {
            "points": card.totals(columns),
            **{f"reason_{place}": names for place, names in enumerate(of_record, 1)},
        }

    def _counts(self, records: TableRecords, pooled: Tally) -> Tally:
        """Return the records by class and fine bin, first all of the first class."""
        fine = fine_bins(self.learner.schema, pooled)
        labels = np.asarray(records.labels, np.int64)
        codes, starts = fine.codes(records.columns), fine.starts
        return np.concatenate(
            [
                np.bincount(starts[at] + row[labels == label], minlength=starts[-1])[
                    starts[at] : starts[at + 1]
                ]
                for label in range(2)
                for at, row in enumerate(codes)
            ]
        ).astype(np.int64)
