"""Pooled evaluation of survival: concordance within sites, and calibration at a horizon."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally, Vector
from sites.evaluation.concordance import concordant_pairs
from sites.evaluation.input_checks import ShapesDiffer, UndeclaredLabel, probabilities
from sites.evaluation.metric_values import (
    Figures,
    Undefined,
    defined_metrics,
    undefined_reasons,
)
from sites.evaluation.pairs import PAIR_ENTRIES, PairCounts
from sites.schema.tables import EventTimeLabel
from sites.statistics.histograms import bins_of
from sites.statistics.life_tables import LifeTable
from sites.statistics.tally import UNIT, ImpossibleTally, Metric, TallyLayout, fixed_point

BINS = 10
_EMPTY = "there are no held-out records"
_UNWATCHED = "no held-out record was watched until the horizon"
_NO_PAIR = "no site has a held-out record with the event while another was still watched"


@dataclass(frozen=True)
class SurvivalEvaluation:
    """Turns risks of the event by the horizon into a tally, and a pooled tally into metrics.

    Guarantee: the tallies of sites add up to that of their records by risk, exactly; pairs are
    those within sites.

    Args:
        label: Of the times, with the horizon.
    """

    label: EventTimeLabel

    pair_parts: ClassVar[tuple[str, ...]] = ("pairs",)

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes of the parts of the tally."""
        steps = len(self._grid)
        return TallyLayout(
            {
                "records": 2,
                "pairs": PAIR_ENTRIES,
                "predicted": 2 * BINS,
                "events": BINS * steps,
                "withdrawn": BINS * (steps + 1),
            }
        )

    def tally(self, predictions: NDArray[Any], labels: NDArray[Any]) -> Tally:
        """Return the tally of these records.

        Args:
            predictions: Risk of the event by the horizon, shape (n,).
            labels: How each record ended, as a class code, and when, shape (n, 2).

        Raises:
            ConsortiumError: Predictions are no probabilities, or labels are not as declared.
        """
        events, times = self._ends(labels)
        risks = probabilities(predictions, len(labels))
        bins = bins_of(risks, BINS)
        tables = [
            LifeTable.of(times[bins == one], events[bins == one], self._grid) for one in range(BINS)
        ]
        return self.layout.join(
            {
                "records": np.bincount(events.astype(np.int64), minlength=2).astype(np.int64),
                "pairs": concordant_pairs(times, events, risks).entries,
                "predicted": fixed_point(risks, groups=bins, size=BINS),
                "events": np.concatenate([one.events for one in tables]),
                "withdrawn": np.concatenate([one.withdrawn for one in tables]),
            }
        )

    def check(self, tally: Tally) -> None:
        """Check that records can have this tally, of one site or pooled.

        Raises:
            ImpossibleTally: A shape, a sign or a sum is impossible, or counts disagree.
        """
        self.layout.check(tally)
        counted = self._tables(tally)
        n, in_bins = self.num_examples(tally), [_size(one) for one in counted]
        if sum(in_bins) != n:
            raise ImpossibleTally(f"the life tables do not hold {n} records")
        within = sum(int(one.events.sum()) for one in counted)
        if within > self.class_counts(tally)[1]:
            raise ImpossibleTally("the life tables hold more events than there are")
        if (self.layout.real_sums("predicted", tally) > np.array(in_bins) * (1 + UNIT)).any():
            raise ImpossibleTally("risks add up to more than 1 a record")
        pairs = self._pairs(tally)
        if pairs.concordant + pairs.undecided > pairs.total:
            raise ImpossibleTally("more pairs are decided than there are")

    def num_examples(self, tally: Tally) -> int:
        """Return the number of records counted."""
        return self.layout.count("records", tally)

    def class_counts(self, tally: Tally) -> tuple[int, ...]:
        """Return the number of records without the event, and with it."""
        return tuple(int(one) for one in self.layout.part("records", tally))

    def metrics(self, tally: Tally) -> dict[str, Metric]:
        """Return the metrics that the records define, by name.

        `concordance` (pairs within sites), `risk_calibration_error` (mean distance between mean
        predicted risk and observed risk, by tenth of the risk in which a record was watched until
        the horizon), `predicted_risk` and `observed_risk` (Kaplan-Meier), all of the event by the
        horizon.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        return defined_metrics(self._figures(tally))

    def undefined_reasons(self, tally: Tally) -> dict[str, str]:
        """Return by name why the records do not define the other metrics."""
        return undefined_reasons(self._figures(tally))

    def curves(self, tally: Tally) -> dict[str, Any]:
        """Return `calibration` as plain JSON values, by bin of the risk.

        Mean predicted risk, observed risk with 95 % limits, and records. A bin in which nobody was
        watched until the horizon is left out: its observed risk is not known.

        Raises:
            ImpossibleTally: No records have this tally.
        """
        self.check(tally)
        sums = self.layout.real_sums("predicted", tally)
        found: dict[str, list[Any]] = {
            "count": [],
            "predicted": [],
            "observed": [],
            "low": [],
            "high": [],
        }
        for one, total in zip(self._tables(tally), sums, strict=True):
            n = _size(one)
            if n and one.is_known[-1]:
                low, high = one.interval()
                row = (n, total / n, 1 - one.survival[-1], 1 - high[-1], 1 - low[-1])
                for values, value in zip(found.values(), row, strict=True):
                    values.append(float(value))
        return {"horizon": self.label.judged_at, "calibration": found}

    def _figures(self, tally: Tally) -> Figures:
        self.check(tally)
        n, pairs = self.num_examples(tally), self._pairs(tally)
        if n == 0:
            return dict.fromkeys(_NAMES, Undefined(_EMPTY))
        tables, sums = self._tables(tally), self.layout.real_sums("predicted", tally)
        sizes = np.array([_size(one) for one in tables])
        observed = np.array([1 - one.survival[-1] for one in tables])
        everyone = LifeTable(
            np.sum([one.events for one in tables], axis=0),
            np.sum([one.withdrawn for one in tables], axis=0),
        )
        known = np.array([bool(one.is_known[-1]) for one in tables])
        n_known = int(sizes[known].sum())
        gaps = np.abs(sums - observed * sizes)[known].sum()
        # Two records with the same risk are ranked by nobody: a tie counts half, and is no error.
        share = (
            Metric((2 * pairs.concordant + pairs.undecided) / (2 * pairs.total))
            if pairs.total
            else Undefined(_NO_PAIR)
        )
        return {
            "concordance": share,
            "risk_calibration_error": (
                Metric(float(gaps / n_known), UNIT / 2) if n_known else Undefined(_UNWATCHED)
            ),
            "predicted_risk": Metric(float(sums.sum() / n), UNIT / 2),
            "observed_risk": (
                Metric(float(1 - everyone.survival[-1]))
                if everyone.is_known[-1]
                else Undefined(_UNWATCHED)
            ),
        }

    def _ends(self, labels: NDArray[Any]) -> tuple[NDArray[np.bool_], Vector]:
        if labels.ndim != 2 or labels.shape[1] != 2:
            raise ShapesDiffer(f"labels need the shape (n, 2), got {labels.shape}")
        codes, times = np.asarray(labels, np.float64).T
        if not (((codes == 0) | (codes == 1)) & (times >= 0) & (times <= self.label.high)).all():
            raise UndeclaredLabel(f"times must be from 0 to {self.label.high:g}, ends 0 or 1")
        return codes == 1, times

    def _tables(self, tally: Tally) -> list[LifeTable]:
        events = self.layout.part("events", tally).reshape(BINS, -1)
        withdrawn = self.layout.part("withdrawn", tally).reshape(BINS, -1)
        return [LifeTable(*one) for one in zip(events, withdrawn, strict=True)]

    def _pairs(self, tally: Tally) -> PairCounts:
        return PairCounts.from_entries(self.layout.part("pairs", tally))

    @cached_property
    def _grid(self) -> tuple[float, ...]:
        """The declared times up to the horizon."""
        return tuple(time for time in self.label.grid if time <= self.label.judged_at)


_NAMES = ("concordance", "risk_calibration_error", "predicted_risk", "observed_risk")


def _size(table: LifeTable) -> int:
    return int(table.events.sum() + table.withdrawn.sum())
