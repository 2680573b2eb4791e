"""What a threshold on a score means: who is flagged, who is found, and what that is worth.

Net benefit counts a true positive as 1 and a false positive as the odds of the threshold, which say
how many false alarms somebody accepts for one case that is found (Vickers & Elkin 2006, Medical
Decision Making 26:565-574). It is compared with flagging everybody and with flagging nobody (0).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from privacy.layout import Tally, Vector
from sites.evaluation.metric_values import Figures, Undefined, ratio
from sites.schema.tables import Costs
from sites.statistics.tally import Metric

EMPTY = "there are no held-out records"
ONE_CLASS = "needs held-out records of both classes"


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts at a threshold: a score of at least `threshold` counts as positive."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def records(self) -> int:
        """All records."""
        return self.flagged + self.true_negatives + self.false_negatives

    @property
    def flagged(self) -> int:
        """Records whose score reaches the threshold."""
        return self.true_positives + self.false_positives

    @property
    def positives(self) -> int:
        """Records that are truly positive."""
        return self.true_positives + self.false_negatives

    def figures(self) -> Figures:
        """Return the metrics that follow from the counts; they are exact."""
        tp, fp, tn, fn = (
            self.true_positives,
            self.false_positives,
            self.true_negatives,
            self.false_negatives,
        )
        return {
            "accuracy": ratio(tp + tn, tp + fp + tn + fn, EMPTY),
            "balanced_accuracy": (
                Metric((tp / (tp + fn) + tn / (tn + fp)) / 2)
                if (tp + fn) and (tn + fp)
                else Undefined(ONE_CLASS)
            ),
            "precision": ratio(tp, tp + fp, "no record scores as positive"),
            "recall": ratio(tp, tp + fn, "there are no positive held-out records"),
            "specificity": ratio(tn, tn + fp, "there are no negative held-out records"),
            "f1": ratio(2 * tp, 2 * tp + fp + fn, "no record is positive or scores so"),
        }

    @property
    def net_benefit(self) -> float:
        """True positives a record, less false positives weighed by the odds of the threshold.

        There must be records, and the threshold must be below 1.
        """
        odds = self.threshold / (1 - self.threshold)
        return (self.true_positives - odds * self.false_positives) / self.records

    @property
    def net_benefit_of_all(self) -> float:
        """The net benefit of flagging every record at the same odds; that of none is 0."""
        odds = self.threshold / (1 - self.threshold)
        return (self.positives - odds * (self.records - self.positives)) / self.records

    def cost(self, costs: Costs) -> float:
        """What missed positive records and alerts cost for each 1,000 records.

        There must be records.
        """
        spent = costs.missed * self.false_negatives + costs.alert * self.flagged
        return 1_000 * spent / self.records


def confusion_at(
    threshold: float, *, negatives: tuple[int, int], positives: tuple[int, int]
) -> Confusion:
    """Return the counts at a threshold.

    Args:
        threshold: A score of at least this counts as positive.
        negatives: Records of the class below the threshold, and all of them.
        positives: The same of the other class.
    """
    return Confusion(
        threshold=threshold,
        true_positives=positives[1] - positives[0],
        false_positives=negatives[1] - negatives[0],
        true_negatives=negatives[0],
        false_negatives=positives[0],
    )


class ConfusionsAtEdges(Sequence[Confusion]):
    """The exact counts at every edge of a bin, by rising threshold; each is made when wanted.

    A run has a thousand edges a round and site, and looks at a few of them.

    Args:
        negatives: Records in each bin, shape (n_bins,); a bin holds its lower edge.
        positives: The same of the other class.
        edges: Of the bins, shape (n_bins + 1,).
    """

    def __init__(self, negatives: Tally, positives: Tally, edges: Vector) -> None:
        self._negatives = [0, *np.cumsum(negatives).tolist()]
        self._positives = [0, *np.cumsum(positives).tolist()]
        self._edges = edges.tolist()

    def __len__(self) -> int:
        return len(self._edges)

    @overload
    def __getitem__(self, place: int) -> Confusion: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Confusion]: ...
    def __getitem__(self, place: int | slice) -> Confusion | Sequence[Confusion]:
        if isinstance(place, slice):
            return [self[at] for at in range(len(self))[place]]
        return confusion_at(
            self._edges[place],
            negatives=(self._negatives[place], self._negatives[-1]),
            positives=(self._positives[place], self._positives[-1]),
        )


def threshold_that_finds(found: Sequence[Confusion], share: float) -> Confusion:
    """Return the counts at the highest threshold that finds so large a share of the positives.

    Args:
        found: Counts by rising threshold, from 0 on, of records with a positive one.
        share: At most 1.
    """
    return [one for one in found if one.true_positives >= share * one.positives][-1]


def most_alerts(records: int, share: float) -> int:
    """Return how many records may be flagged, so that they are no more than a share of all.

    Args:
        records: All records.
        share: From 0 to 1.
    """
    # A quotient decides, because 0.29 * 100 is below 29, and 29 of 100 are 29 %.
    most = min(int(share * records) + 1, records)
    while most and most / records > share:
        most -= 1
    return most


def threshold_that_flags(found: Sequence[Confusion], share: float) -> Confusion:
    """Return the counts at the lowest threshold that flags no more than a share of the records.

    Args:
        found: Counts of the same records by rising threshold, up to one that flags nobody or few
            enough.
        share: From 0 to 1.
    """
    most = most_alerts(found[0].records, share)
    return found[_place_that_flags(found, most)]


def _place_that_flags(found: Sequence[Confusion], most: int) -> int:
    """Return the first place that flags no more than so many records; the last if there is none."""
    place = bisect_left(found, -most, key=lambda one: -one.flagged)  # fewer from edge to edge
    return min(place, len(found) - 1)


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """What is found where at most a share of the records is flagged, the highest scores first.

    Guarantee: alerts never exceed the share. Records of equal scores are flagged together or not at
    all, and so are those of one bin: scores that were not binned may flag some of the bin below,
    and no figure is farther from theirs than its error bound.

    Args:
        at: The counts at the lowest edge of a bin that flags no more than the share.
        below: Those at the edge below; the same ones if there is none.
        share: From 0 to 1.
    """

    at: Confusion
    below: Confusion
    share: float

    @classmethod
    def among(cls, found: Sequence[Confusion], share: float) -> "Alerts":
        """Return the alerts at a share.

        Args:
            found: Counts by rising threshold, from 0 to one that flags nobody or few enough.
            share: From 0 to 1.
        """
        place = _place_that_flags(found, most_alerts(found[0].records, share))
        return cls(at=found[place], below=found[max(place - 1, 0)], share=share)

    def recall(self) -> Metric | Undefined:
        """Return the share of the positive records that is flagged."""
        if not self.at.positives:
            return Undefined("there are no positive held-out records")
        more = min(self._room, self._more_positives)
        return Metric(self.at.true_positives / self.at.positives, more / self.at.positives)

    def precision(self) -> Metric | Undefined:
        """Return the share of the flagged records that is positive."""
        right, flagged = self.at.true_positives, self.at.flagged
        if not flagged:
            return Undefined("no edge of a score bin flags so few records")
        positives = min(self._room, self._more_positives)
        negatives = min(self._room, self._more_negatives)
        value = right / flagged
        most, least = (right + positives) / (flagged + positives), right / (flagged + negatives)
        return Metric(value, max(most - value, value - least))

    def cost(self, costs: Costs) -> Metric | Undefined:
        """Return what missed positive records and alerts cost for each 1,000 records."""
        if not self.at.records:
            return Undefined(EMPTY)
        saved = min(self._room, self._more_positives) * max(costs.missed - costs.alert, 0.0)
        negatives = min(self._room, self._more_negatives)
        positives = min(self._room - negatives, self._more_positives)
        added = negatives * costs.alert + positives * max(costs.alert - costs.missed, 0.0)
        return Metric(self.at.cost(costs), 1_000 * max(saved, added) / self.at.records)

    @property
    def _room(self) -> int:
        """How many further records may be flagged."""
        return max(most_alerts(self.at.records, self.share) - self.at.flagged, 0)

    @property
    def _more_positives(self) -> int:
        return self.below.true_positives - self.at.true_positives

    @property
    def _more_negatives(self) -> int:
        return self.below.false_positives - self.at.false_positives
