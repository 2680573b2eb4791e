"""How far records of a later period are from those that a model learned from, by sums alone.

The population stability index compares two histograms: sum of (q - p) ln(q / p) over bins, where p
and q are the shares of earlier and later records (Siddiqi 2006). It is 0 for equal shares.
"""

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


def stability(
    before: Tally, now: Tally, *, ordered: bool = True, missing: tuple[int, int] = (0, 0)
) -> Stability | None:
    """Return how far two histograms are apart; None if either has fewer than `FEWEST` records.

    Guarantee: it depends on the sums over all sites alone, and 0 is returned for equal shares.

    Args:
        before: Counts of earlier records by bin, shape (n_bins,).
        now: Counts of later records by the same bins.
        ordered: Whether neighbouring bins may be merged into about ten of equal numbers; those of
            a category are merged only where they have too few. A bin that has a tenth by itself
            is merged with others only if those have too few.
        missing: Earlier and later records without a value. They are a bin of their own, unless
            they have too few.
    """
    sizes = int(before.sum()) + missing[0], int(now.sum()) + missing[1]
    if min(sizes) < FEWEST:
        return None
    wanted = max(FEWEST, sizes[0] // _MOST_BINS) if ordered else None
    counts = np.array(_with_rest(_merged(before, now, wanted), missing))
    bins = len(counts)
    shares = (counts + _HALF) / (counts + _HALF).sum(axis=0)
    apart = (shares[:, 1] - shares[:, 0]) * np.log(shares[:, 1] / shares[:, 0])
    by_chance = (bins - 1) * (1 / sizes[0] + 1 / sizes[1])
    same = (counts[:, 0] * sizes[1] == counts[:, 1] * sizes[0]).all()
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
        compared = stability(
            *histograms, ordered=item.kind == "number", missing=(missing[0], missing[1])
        )
        if compared is not None:
            shares = [
                gone / (gone + int(one.sum()))
                for gone, one in zip(missing, histograms, strict=True)
            ]
            found.append(
                ColumnDrift(
                    name=name,
                    stability=compared,
                    missing_before=shares[0],
                    missing_now=shares[1],
                )
            )
    return tuple(found)


_Pair = tuple[int, int]


def _merged(before: Tally, now: Tally, wanted: int | None) -> list[_Pair]:
    """Return earlier and later counts of neighbouring bins, merged until each has enough.

    Args:
        before: Counts of earlier records by bin.
        now: Counts of later records by bin.
        wanted: Earlier records that are enough; None if `FEWEST` are, earlier and later together.
    """
    found: list[_Pair] = []
    held = (0, 0)
    for pair in zip(before.tolist(), now.tolist(), strict=True):
        # A value that many have stands alone: with it, what few others do would not be seen.
        if wanted is not None and pair[0] >= wanted and sum(held) >= FEWEST:
            found.append(held)
            held = (0, 0)
        held = _sum(held, pair)
        if sum(held) >= FEWEST and (wanted is None or held[0] >= wanted):
            found.append(held)
            held = (0, 0)
    return _with_rest(found, held)


def _with_rest(found: list[_Pair], rest: _Pair) -> list[_Pair]:
    """Return bins with what is left: a bin of its own, or part of the last if it has too few."""
    if sum(rest) >= FEWEST or not found:
        return [*found, rest]
    return [*found[:-1], _sum(found[-1], rest)]


def _sum(one: _Pair, other: _Pair) -> _Pair:
    return one[0] + other[0], one[1] + other[1]
