"""How the records of a later period differ from those that a model was judged on, by sums alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally
from sites.evaluation.binary import BinaryEvaluation
from sites.evaluation.contract import Evaluation
from sites.evaluation.metric_values import auc_reach
from sites.evaluation.score_bins import FIXED
from sites.schema.tables import Schema
from sites.statistics.drift import ColumnDrift, Stability, column_drifts, stability
from sites.statistics.tally import Metric


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What was counted of some records, over all sites that counted.

    Args:
        evaluation: Which reads the counts of scores and labels.
        scores: These counts; None if they are not known.
        columns: The counts of every column, as `TableStatistics` reads them; None if not known.
        unlabelled: How many records have no label yet, by 64 bins of their scores where there are
            two classes; None if all have one.
    """

    evaluation: Evaluation
    scores: Tally | None
    columns: Tally | None
    unlabelled: Tally | None = None

    @property
    def records_without_label(self) -> int:
        """How many records have no label yet: they are in no metric."""
        return 0 if self.unlabelled is None else int(self.unlabelled.sum())

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The metrics of these records; none if their scores are not known."""
        return {} if self.scores is None else self.evaluation.metrics(self.scores)

    @property
    def share_predicted(self) -> float | None:
        """Mean prediction of the positive class; None of another label."""
        evaluation, tally = self.evaluation, self.scores
        if not isinstance(evaluation, BinaryEvaluation) or tally is None:
            return None
        records = evaluation.num_examples(tally)
        predicted = float(evaluation.layout.real_sums("scores", tally).sum())
        return predicted / records if records else None

    @property
    def share_observed(self) -> float | None:
        """Share of records that are positive; None of another label."""
        if not isinstance(self.evaluation, BinaryEvaluation) or self.scores is None:
            return None
        negatives, positives = self.evaluation.class_counts(self.scores)
        return positives / (negatives + positives) if negatives + positives else None

    @property
    def calibration_ratio(self) -> float | None:
        """How many times as many positives came as predicted; None if none were predicted."""
        predicted, observed = self.share_predicted, self.share_observed
        return observed / predicted if predicted and observed is not None else None

    @property
    def auc_interval(self) -> tuple[float, float] | None:
        """95 % interval of the AUC (Hanley and McNeil 1982); None where there is no AUC."""
        found = self.metrics.get("roc_auc")
        if found is None or self.scores is None:
            return None
        negatives, positives = self.evaluation.class_counts(self.scores)
        reach = auc_reach(found.value, (negatives, positives))
        return max(0.0, found.value - reach), min(1.0, found.value + reach)


@dataclass(frozen=True, kw_only=True)
class PeriodFigures:
    """A later period beside earlier records.

    Args:
        before: The earlier records.
        now: Those of the period.
        columns: How far each feature moved, the farthest first; none if the earlier ones are not
            known.
        scores: How far the model's scores moved; None of a number, or if there are too few.
    """

    before: Counted
    now: Counted
    columns: tuple[ColumnDrift, ...]
    scores: Stability | None

    @classmethod
    def of(cls, schema: Schema, *, before: Counted, now: Counted) -> "PeriodFigures":
        """Return the figures of a period.

        Args:
            schema: Of the records.
            before: What was counted of the earlier records.
            now: What was counted of the period.
        """
        columns: tuple[ColumnDrift, ...] = ()
        if before.columns is not None and now.columns is not None:
            columns = column_drifts(schema, before.columns, now.columns)
        return cls(
            before=before,
            now=now,
            columns=tuple(sorted(columns, key=lambda one: -one.stability.index)),
            scores=_score_drift(before, now),
        )

    @property
    def records(self) -> int:
        """Records of the period."""
        scores, waiting = self.now.scores, self.now.records_without_label
        return waiting + (0 if scores is None else self.now.evaluation.num_examples(scores))


def _score_drift(before: Counted, now: Counted) -> Stability | None:
    """Return how far the scores moved: by their bins if they are the same, else by 64ths."""
    one, other = before.evaluation, now.evaluation
    if not isinstance(one, BinaryEvaluation) or not isinstance(other, BinaryEvaluation):
        return None
    if before.scores is None or now.scores is None:
        return None
    histograms = _histogram(one, before.scores), _histogram(other, now.scores)
    if one.bins == other.bins and not now.records_without_label:
        return stability(*histograms)
    merged = one.bins.merge(histograms[0], FIXED), other.bins.merge(histograms[1], FIXED)
    unlabelled = np.zeros(FIXED, np.int64) if now.unlabelled is None else now.unlabelled
    return stability(merged[0], merged[1] + unlabelled)


def _histogram(evaluation: BinaryEvaluation, tally: Tally) -> Tally:
    """Return the records by the bin of their score, whatever their class."""
    layout = evaluation.layout
    return layout.part("negatives", tally) + layout.part("positives", tally)
