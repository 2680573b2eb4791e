"""A score card, fitted on sums that are opened over all sites only.

The first exchange counts records by class in fine bins of every feature; the move merges them into
the bins of the card. Each further exchange moves the curves of all features a step.
"""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import LARGEST_ENTRY, ExactTally
from privacy.layout import Layout, Tally, Vector
from sites.data.source import DataSource
from sites.learners.bin_cells import Cells, agreed_sums
from sites.learners.cards.boosting import (
    GRADIENT_UNIT,
    count_gradient,
    count_sums,
    first_noisy_step,
    log_odds_nearby,
    next_noisy_state,
    next_state,
    speaking_slots,
    sums_size,
)
from sites.learners.cards.merging import merge_category, merge_number
from sites.learners.cards.plan import CardPlan
from sites.learners.cards.points import Card
from sites.learners.cards.printed import printed_card
from sites.learners.cards.reasons import reasons
from sites.learners.cards.state import CardState, StateForm, card_bins
from sites.learners.count_noise import CountNoise
from sites.learners.counted_tables import (
    BoundedTable,
    CappedRecords,
    Columns,
    TableRecords,
    TableSides,
)
from sites.learners.fine_bins import PIECES, TableBins, bin_sizes, fine_bins
from sites.plans import BadPlan, Predictions, PrivacyPlan
from sites.schema.tables import ClassLabel, Number, Schema
from sites.schema.texts import AnySchema
from sites.statistics.tables import BINS, TableStatistics
from sites.statistics.tally import ImpossibleTally
from sites.task import Task, UnfitSchema


@dataclass(frozen=True)
class ScoreCard:
    """Fits a score card for two classes.

    Args:
        schema: Of the table.
        label: Its label, of two classes.
        plan: How the card is scaled, and which curves have a direction.
        noise: What every site adds to its counts and sums; None for nothing.

    Raises:
        BadPlan: A direction is asked of what is no number of the table.
    """

    schema: Schema
    label: ClassLabel
    plan: CardPlan
    noise: CountNoise | None = None

    @classmethod
    def of(cls, schema: AnySchema, plan: CardPlan, noise: CountNoise | None = None) -> "ScoreCard":
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
        return cls(schema, label, plan, noise)

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
        """Counts in the first exchange, sums in all others, with zeros after the shorter ones.

        With noise, that a site is there comes before them.
        """
        n_features, fine = (
            len(self.schema.features),
            sum(bin_sizes(self.schema, pieces=self.pieces)),
        )
        sums = sums_size(n_features) if self.noise is None else self.form.n_heights
        size = max(2 * fine, sums) + (self.noise is not None)
        return ExactTally(size=size, bounds=(1 - LARGEST_ENTRY, LARGEST_ENTRY - 1))

    @property
    def predicts(self) -> bool:
        """True: points stand for a probability."""
        return True

    @property
    def noisy_instead(self) -> str:
        """Nothing: noise can be added to counts and sums by bin, of which a record moves few."""
        return ""

    @property
    def pieces(self) -> int:
        """Most fine bins of a number: fewer with noise, which each of them has."""
        return PIECES if self.noise is None else BINS

    @property
    def noise_scales(self) -> Vector:
        """The largest scale that an entry ever has, as `scales_at` proves; 0 without noise.

        Shape (contribution.size,).
        """
        if self.noise is None:
            return np.zeros(self.contribution.size)
        counts, sums = np.zeros((2, self.contribution.size))
        counts[1 : 1 + 2 * len(self._declared.live)] = self._count_scale * np.tile(
            self._declared.live, 2
        )
        n_features = len(self.schema.features)
        sums[1 : 1 + self.form.n_heights] = math.sqrt(1 + n_features) / GRADIENT_UNIT
        return np.maximum(counts, sums)

    def scales_at(self, state: CardState) -> Vector:
        """Return the scale of each entry at a state, where there is noise.

        Guarantee: one record moves the tally, each entry divided by its scale, by at most 1 in L2;
        so one person with at most k records moves it by at most k, by the triangle inequality.

        Proof. In the first exchange a record is of one class, and in each of the F features in one
        fine bin, whose count it moves by 1: by sqrt(F) in all, which is the scale. Afterwards it
        adds its derivative, at most 2^16 units in size, to the sum of all records and, in each of
        the S features that have several bins, to that of its bin: 2^16 sqrt(1 + S) in all, which
        is the scale. S follows from the state, which everybody has. Entries without a scale do not
        depend on records: that a site is there; bins that hold no value of the schema; features
        with one bin, which are not summed; and places that are left over.
        """
        scales = np.zeros(self.contribution.size)
        if state.exchanges:
            speaks = speaking_slots(state)
            n_speaking = sum(one.n_bins > 1 for one in state.bins)
            scale = math.sqrt(1 + n_speaking) / GRADIENT_UNIT
            scales[1 : 1 + len(speaks)] = np.where(speaks, scale, 0.0)
        else:
            live = np.tile(self._declared.live, 2)
            scales[1 : 1 + len(live)] = np.where(live, self._count_scale, 0.0)
        return scales

    @cached_property
    def form(self) -> StateForm:
        """How the state is a vector."""
        return StateForm(self.schema, noisy=self.noise is not None)

    def move(self, vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        """Return the state after an exchange.

        Raises:
            ImpossibleTally: No records have these counts.
        """
        state = self.form.state_of(vector)
        if self.noise is not None:
            return self.form.vector_of(self._after_noise(state, statistics, pooled, self.noise))
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
        if not state.exchanges:
            return {}
        card = printed_card(state, self.plan, self.label)
        if self.noise is None:
            return card
        deviation = self.noise.entry_deviation(self._count_scale)
        # Whether points have settled nobody can say: more exchanges would have more noise each.
        told = {"settled": True, "noise": self.noise.shown(sites=state.sites, deviation=deviation)}
        return {**card, **told}

    def at_site(self, task: Task[Any]) -> "ScoreCardTask":
        """Return the use case as a site fits a card to it."""
        return ScoreCardTask(task, self)

    def _binned(self, statistics: Tally, pooled: Tally) -> CardState:
        fine = fine_bins(self.schema, statistics)
        counts = np.split(pooled[: 2 * fine.starts[-1]].reshape(2, -1), fine.starts[1:-1], axis=1)
        totals = counts[0].sum(axis=1)
        if pooled.min() < 0 or any((one.sum(axis=1) != totals).any() for one in counts):
            raise ImpossibleTally("the features of a table count different numbers of records")
        return self._merged(fine, counts, noise=0.0)

    @property
    def _count_scale(self) -> float:
        return math.sqrt(len(self.schema.features))

    @cached_property
    def _declared(self) -> Cells:
        """The fine bins where nothing was counted before, as there is noise: of equal width."""
        nothing = np.zeros(TableStatistics(self.schema).layout.size, np.int64)
        return Cells(fine_bins(self.schema, nothing, pieces=self.pieces))

    def _after_noise(
        self, state: CardState, statistics: Tally, pooled: Tally, noise: CountNoise
    ) -> CardState:
        """Return the state after an exchange whose tally has noise."""
        directions, sites = self.plan.directions, int(pooled[0])
        if state.exchanges:
            sums = pooled[1 : 1 + self.form.n_heights]
            return replace(next_noisy_state(state, sums, directions), sites=sites)
        fine = fine_bins(self.schema, statistics, pieces=self.pieces)
        cells, size = Cells(fine), 2 * int(fine.starts[-1])
        every = np.ones(len(cells.live), bool)
        held = agreed_sums(pooled[1 : 1 + size].reshape(1, 2, -1), cells, every)[0]
        deviation = noise.entry_deviation(self._count_scale)
        counts = np.split(held, fine.starts[1:-1], axis=1)
        binned = self._merged(fine, counts, noise=sites * deviation * deviation)
        return replace(first_noisy_step(binned, directions), sites=sites)

    def _merged(self, fine: TableBins, counts: Sequence[Tally], *, noise: float) -> CardState:
        """Return the state with the bins that counts by class give, before any step.

        Args:
            fine: The fine bins of every feature.
            counts: Records of each class by fine bin, of every feature, shape (2, size).
            noise: Variance of the noise of one of them.
        """
        # Nobody has fewer records than none. Fine bins keep what noise says, as the
        # noise of many of them is nothing on average.
        totals = np.maximum(counts[0].sum(axis=1), 0)
        merged = tuple(
            merge_number(one, self.plan.directions.get(bins.feature.name), noise=noise)
            if isinstance(bins.feature, Number)
            else merge_category(one, noise=noise)
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
class ScoreCardTask(BoundedTable):
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

    def bounded_count(
        self, data: TableSides, pooled: Tally, vector: Vector, plan: PrivacyPlan
    ) -> Tally:
        """Return the counts, then the sums of first derivatives, that noise is added to."""
        state, records = self.learner.form.state_of(vector), CappedRecords(data.training, plan)
        counted = (
            count_gradient(state, records) if state.exchanges else self._counts(records, pooled)
        )
        tally = np.zeros(self.learner.contribution.size, np.int64)
        tally[1 : 1 + len(counted)] = np.where(
            self.scales(vector)[1 : 1 + len(counted)], counted, 0
        )
        tally[0] = 1
        return tally

    def scales(self, vector: Vector) -> Vector:
        """Return the scale of each entry at a state."""
        return self.learner.scales_at(self.learner.form.state_of(vector))

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
        fine = fine_bins(self.learner.schema, pooled, pieces=self.learner.pieces)
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
