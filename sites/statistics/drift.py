"""How far records of a later period are from those that a model learned from, by sums alone.

The population stability index compares two histograms: sum of (q - p) ln(q / p) over bins, where p
and q are the shares of earlier and later records (Siddiqi 2006). It is 0 for equal shares.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from privacy.layout import Tally
from sites.schema.tables import Schema, column_name
from sites.statistics.tables import TableStatistics

FEWEST = (
    10  # records that a bin has, earlier and later together, or it is merged with its neighbour
)
_MOST_BINS = 10
_HALF = 0.5  # of a record, in every bin, so that an empty one has a logarithm
WATCHED, SHIFTED = 0.1, 0.25  # levels in use since Siddiqi


@dataclass(frozen=True, kw_only=True)
class Stability:
    """How far two histograms are apart.

    Args:
        index: The population stability index, at least 0.
        bins: Bins that were compared, after merging.
        by_chance: What the index is on average if nothing changed: (bins - 1) (1 / n + 1 / m)
            for n earlier and m later records (Yurdakul 2018).
    """

    index: float
    bins: int
    by_chance: float

    @property
    def level(self) -> str:
        """What it means in a word; `as before` too if chance alone gives as much."""
        if self.index < WATCHED or self.index < 3 * self.by_chance:
            return "as before"
        return "moved" if self.index < SHIFTED else "shifted"


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """How far a column is from what it was.

    Args:
        name: The column.
        stability: Of its values; missing ones are a bin of their own.
        missing_before: Share of missing values among the earlier records.
        missing_now: Share of them among the later ones.
    """

    name: str
    stability: Stability
    missing_before: float
    missing_now: float


def stability(before: Tally, now: Tally, *, ordered: bool = True) -> Stability | None:
    """Return how far two histograms are apart; None if either has fewer than `FEWEST` records.

    Guarantee: it depends on the sums over all sites alone, and 0 is returned for equal shares.

    Args:
        before: Counts of earlier records by bin, shape (n_bins,).
        now: Counts of later records by the same bins.
        ordered: Whether neighbouring bins may be merged into about ten of equal numbers; those of
            a category are merged only where they have too few.
    """
    if min(before.sum(), now.sum()) < FEWEST:
        return None
    wanted = max(FEWEST, int(before.sum()) // _MOST_BINS) if ordered else FEWEST
    counts = np.array(list(_merged(before + now if not ordered else before, before, now, wanted)))
    bins = len(counts)
    shares = (counts + _HALF) / (counts + _HALF).sum(axis=0)
    apart = (shares[:, 1] - shares[:, 0]) * np.log(shares[:, 1] / shares[:, 0])
    by_chance = (bins - 1) * (1 / float(before.sum()) + 1 / float(now.sum()))
    same = (counts[:, 0] * now.sum() == counts[:, 1] * before.sum()).all()
    return Stability(index=0.0 if same else float(apart.sum()), bins=bins, by_chance=by_chance)


def column_drifts(schema: Schema, before: Tally, now: Tally) -> tuple[ColumnDrift, ...]:
    """Return how far each feature is from what it was; none of one that has too few records.

    Args:
        schema: Of the table.
        before: Pooled statistics of the earlier records, as `TableStatistics` reads them.
        now: Those of the later records.
    """
    layout, found = TableStatistics(schema).layout, []
    for item in schema.features:
        name = column_name(item)
        missing = [layout.count(f"{name}/missing", tally) for tally in (before, now)]
        histograms = [layout.part(f"{name}/histogram", tally) for tally in (before, now)]
        # Missing values last: they merge with nothing unless they are few.
        both = [np.append(*one) for one in zip(histograms, missing, strict=True)]
        compared = stability(both[0], both[1], ordered=item.kind == "number")
        if compared is not None:
            shares = [gone / int(one.sum()) for gone, one in zip(missing, both, strict=True)]
            found.append(
                ColumnDrift(
                    name=name,
                    stability=compared,
                    missing_before=shares[0],
                    missing_now=shares[1],
                )
            )
    return tuple(found)


def _merged(sizes: Tally, before: Tally, now: Tally, wanted: int) -> Iterator[tuple[int, int]]:
    """Yield earlier and later counts of neighbouring bins, merged until each has enough."""
    held = [0, 0, 0]
    left = int(sizes.sum())
    for size, earlier, later in zip(sizes.tolist(), before.tolist(), now.tolist(), strict=True):
        held = [held[0] + size, held[1] + earlier, held[2] + later]
        left -= size
        # What is left over would make a bin that is too small: it belongs to this one.
        if held[0] >= wanted and left >= wanted:
            yield held[1], held[2]
            held = [0, 0, 0]
    yield held[1], held[2]
