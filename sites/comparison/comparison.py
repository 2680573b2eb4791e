"""A site's own records beside the counts of all others: look before you train.

Multiple testing: the thresholds of the comparisons are effect sizes, not p-values, since sites
differ for good reasons. They were set so that over the shipped scenarios, at any split, fewer than
one run in twenty raises a false alarm (`tests/benchmarks/instrument`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Tally
from sites.comparison.categories import compare_codes, compare_missing, compare_values
from sites.comparison.findings import Finding
from sites.comparison.labels import compare_labels
from sites.comparison.numbers import compare_dates, compare_units
from sites.schema.tables import (
    Category,
    ClassLabel,
    EventTimeLabel,
    Ranged,
    Schema,
    column_name,
)
from sites.statistics.by_class import ClassHistograms, bins_of_column
from sites.statistics.tables import TableStatistics


@dataclass(frozen=True)
class Comparison:
    """Compares a site's records with the pooled statistics of all other sites.

    Guarantee: a function of its arguments alone; it writes and sends nothing.
    """

    schema: Schema

    def findings(
        self, columns: Mapping[str, NDArray[Any]], labels: NDArray[Any], others: Tally
    ) -> tuple[Finding, ...]:
        """Return what stands out, in the order of the columns; the labels come last.

        Args:
            columns: Every feature by name, as `TableStatistics.tally` takes them.
            labels: Codes of classes, or numbers, shape (n,).
            others: Statistics of the other sites added up, with or without histograms by class.

        Raises:
            ImpossibleTally: No records have these statistics.
        """
        base = TableStatistics(self.schema)
        pooled, by_class = others[: base.layout.size], others[base.layout.size :]
        base.check(pooled)
        found: list[Finding] = []
        label = self.schema.label
        # When and how a record ended differs between sites as much as their follow-up does.
        outcome = () if isinstance(label, EventTimeLabel) else (label,)
        for item in (*self.schema.features, *outcome):
            name = column_name(item)
            values = labels if item is label else columns[name]
            histogram = base.layout.part(f"{name}/histogram", pooled)
            missing = base.layout.count(f"{name}/missing", pooled)
            found += _of_column(item, values, histogram, missing)
        return (*found, *self._of_labels(columns, labels, by_class))

    def _of_labels(
        self, columns: Mapping[str, NDArray[Any]], labels: NDArray[Any], by_class: Tally
    ) -> Iterator[Finding]:
        counted, label = ClassHistograms(self.schema), self.schema.label
        if not isinstance(label, ClassLabel) or len(by_class) != counted.layout.size:
            return
        features = self.schema.features
        histograms = {item.name: counted.of(item.name, by_class) for item in features}
        bins = {item.name: bins_of_column(item, columns[item.name]) for item in features}
        found = compare_labels(label, labels.astype(np.int64), bins, histograms)
        if found is not None:
            yield found


def _of_column(
    item: Ranged | Category | ClassLabel, values: NDArray[Any], histogram: Tally, missing: int
) -> Iterator[Finding]:
    """Yield what stands out in one column, the most telling first."""
    if isinstance(item, ClassLabel):
        return  # how often a class occurs is the clientele
    if isinstance(item, Category):
        own = np.bincount(values[values >= 0], minlength=len(item.values)).astype(np.int64)
        told = (compare_codes(item, own, histogram), compare_values(item, own, histogram))
    else:
        dates = compare_dates(item, values, histogram)
        told = (dates or compare_units(item, values, histogram), None)
        own = np.array([np.count_nonzero(~np.isnan(values))])
    yield from (one for one in told if one is not None)
    absent = np.array([len(values) - own.sum(), own.sum()])
    stands_out = compare_missing(
        column_name(item), absent, np.array([missing, int(histogram.sum())])
    )
    if stands_out is not None:
        yield stands_out
