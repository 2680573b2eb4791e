"""The state of a run that fits a score card, as the vector that travels between the two ends.

It holds all that a card is: nothing else is needed to score a record or to print the card.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.layout import Field, Layout, Tally, Vector
from sites.learners.cards.merging import MOST_BINS, Merged
from sites.learners.counted_tables import Columns
from sites.learners.exact_numbers import (
    LARGEST_WHOLE,
    ImpossibleState,
    as_float32_pairs,
    from_float32_pairs,
    require_finite,
    whole_numbers,
)
from sites.learners.fine_bins import TableBins
from sites.schema.tables import Category, Feature, Number, Schema

_NOTHING = np.zeros(0, np.float32)
_MOST_EXCHANGES = _MOST_SITES = 2.0**24
# Log-odds of a card, beyond which none goes: a step of the constant is below 2^25 at most, where
# records are within 2^-32 of certain.
_HIGHEST = 2.0**30


@dataclass(frozen=True, kw_only=True, eq=False)
class CardBins:
    """The bins of one feature of a card, and what was counted in them.

    Args:
        feature: Whose bins these are.
        edges: Of a number: where each bin but the first begins, float32, in its unit.
        places: Of a category: the bin of each value.
        missing: The bin of missing values.
        counts: Records of the first and of the second class by bin, shape (2, n_bins).
    """

    feature: Feature
    edges: NDArray[np.float32]
    places: NDArray[np.int64]
    missing: int
    counts: Tally

    @property
    def n_bins(self) -> int:
        """How many bins there are, at least one."""
        return int(self.counts.shape[1])

    def codes(self, column: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin of each record, shape (n,), from its column as `Columns` has it."""
        if isinstance(self.feature, Category):
            present = self.places[np.maximum(column, 0).astype(np.int64)]
            return np.where(column < 0, self.missing, present)
        given = column.astype(np.float32)
        bins = np.searchsorted(self.edges, given, side="right")
        return np.where(np.isnan(given), self.missing, bins)


@dataclass(frozen=True, kw_only=True, eq=False)
class CardState:
    """What a run that fits a card knows after so many exchanges.

    Args:
        exchanges: Sums that were opened.
        totals: Training records of each class, shape (2,).
        bins: The bins of each feature, in the order of the schema; none before the first exchange.
        heights: At which the next exchange counts: the constant, then the curve of each feature at
            its bins, MOST_BINS places for each, shape (1 + n_features * MOST_BINS,). They are
            log-odds of the first class.
        anchor: The last heights of which the loss is known, and was not above an earlier one: those
            of the card.
        gradient: First derivatives at the anchor with the sign turned round, of the same shape.
        loss: At the anchor, with the penalty.
        pull: How far a height of the anchor would still move if it moved alone, at most.
        sites: Who added noise to the last sums; 0 where nobody does. Then the anchor is the
            heights, and gradient, loss and pull are not known.
    """

    exchanges: int
    totals: Tally
    bins: tuple[CardBins, ...]
    heights: Vector
    anchor: Vector
    gradient: Vector
    loss: float
    pull: float
    sites: int = 0

    def codes(self, columns: Columns) -> NDArray[np.int64]:
        """Return the bin of every record in each feature, shape (n_features, n)."""
        return np.stack([one.codes(columns[one.feature.name]) for one in self.bins])


def card_bins(fine: TableBins, merged: tuple[Merged, ...]) -> tuple[CardBins, ...]:
    """Return the bins of a card, from its fine bins and how they were merged."""
    made = []
    for one, into in zip(fine.features, merged, strict=True):
        edges, places = np.zeros(0, np.float32), into.places[:-1]
        if isinstance(one.feature, Number):
            edges, places = one.edges[np.diff(places[: one.used]) > 0], places[:0]
        made.append(
            CardBins(
                feature=one.feature,
                edges=edges,
                places=places,
                missing=int(into.places[-1]),
                counts=np.maximum(into.counts, 0),  # with noise, a sum may be below nothing
            )
        )
    return tuple(made)


@dataclass(frozen=True)
class StateForm:
    """How the state of a card is a vector: the same at both ends, from the schema alone.

    Args:
        schema: Of the table.
        noisy: Whether sums have noise: then it holds how many sites added it.
    """

    schema: Schema
    noisy: bool = False

    @cached_property
    def layout(self) -> Layout:
        """Names and shapes of its parts; a number of 48 bits is two of them."""
        n_features = len(self.schema.features)
        shapes = {
            "exchanges": (1,),
            "totals": (4,),
            "bins": (n_features,),
            "missing": (n_features,),
            "cuts": (n_features,),
            "edges": (self._n_numbers, MOST_BINS - 1),
            "places": (self._n_values,),
            "counts": (4 * n_features * MOST_BINS,),
            "heights": (2 * self.n_heights,),
            "anchor": (2 * self.n_heights,),
            "gradient": (2 * self.n_heights,),
            "loss": (4,),
        }
        if self.noisy:
            shapes["sites"] = (1,)
        fields = (Field(name, shape) for name, shape in shapes.items() if min(shape))
        start = "scorecard/noisy/1" if self.noisy else "scorecard/1"
        return Layout(fields=tuple(fields), start=start)

    def vector_of(self, state: CardState) -> Vector:
        """Return the vector of a state, shape (layout.dim,), of float32 numbers."""
        n_features = len(self.schema.features)
        edges = np.zeros((self._n_numbers, MOST_BINS - 1))
        counts = np.zeros((n_features, 2, MOST_BINS))
        numbers = [one for one in state.bins if isinstance(one.feature, Number)]
        for place, one in enumerate(numbers):
            edges[place, : len(one.edges)] = one.edges
        for place, one in enumerate(state.bins):
            counts[place, :, : one.n_bins] = one.counts
        places = [one.places for one in state.bins if isinstance(one.feature, Category)]
        nothing = np.zeros(0 if state.bins else self._n_values)
        parts = (
            np.array([state.exchanges]),
            as_float32_pairs(state.totals.astype(np.float64)),
            _row_of([one.n_bins for one in state.bins], n_features),
            _row_of([one.missing for one in state.bins], n_features),
            _row_of([len(one.edges) for one in state.bins], n_features),
            edges.ravel(),
            np.concatenate([nothing, *places]),
            as_float32_pairs(counts.ravel()),
            as_float32_pairs(state.heights),
            as_float32_pairs(state.anchor),
            as_float32_pairs(state.gradient),
            as_float32_pairs(np.array([state.loss, state.pull])),
            np.array([state.sites] if self.noisy else []),
        )
        return np.concatenate(parts).astype(np.float64)

    def state_of(self, vector: Vector) -> CardState:
        """Return the state of a vector; before the first exchange it is zero.

        Raises:
            ImpossibleState: No run has this state.
        """
        arrays = self.layout.unflatten(require_finite(vector))
        (exchanges,) = whole_numbers("exchanges", arrays["exchanges"], high=_MOST_EXCHANGES)
        held = arrays["sites"] if self.noisy else np.zeros(1)
        (sites,) = whole_numbers("sites", held, high=_MOST_SITES)
        loss, pull = _numbers(arrays["loss"]).tolist()
        anchor = _numbers(arrays["anchor"])
        if (np.abs(anchor) > _HIGHEST).any():
            raise ImpossibleState("the anchor of a state has log-odds beyond all that a card has")
        return CardState(
            exchanges=int(exchanges),
            totals=_whole("totals", arrays["totals"]),
            bins=self._bins_of(arrays) if exchanges else (),
            heights=_numbers(arrays["heights"]),
            anchor=anchor,
            gradient=_numbers(arrays["gradient"]),
            loss=loss,
            pull=pull,
            sites=int(sites),
        )

    def _bins_of(self, arrays: dict[str, NDArray[np.float32]]) -> tuple[CardBins, ...]:
        counts = _whole("counts", arrays["counts"]).reshape(-1, 2, MOST_BINS)
        sizes = whole_numbers("bins", arrays["bins"], low=1, high=MOST_BINS)
        missing = whole_numbers("bin of missing values", arrays["missing"], high=sizes - 1)
        cuts = whole_numbers("cuts", arrays["cuts"], high=sizes - 1)
        numbers = values = 0
        made = []
        for place, feature in enumerate(self.schema.features):
            edges, places = _NOTHING, _NOTHING
            if isinstance(feature, Number):
                edges = arrays["edges"][numbers, : int(cuts[place])]
                numbers += 1
            else:
                places = arrays["places"][values : values + len(feature.values)]
                values += len(feature.values)
            one = CardBins(
                feature=feature,
                edges=edges,
                places=whole_numbers("bins of values", places, high=sizes[place] - 1),
                missing=int(missing[place]),
                counts=counts[place, :, : int(sizes[place])],
            )
            _require_consistent(one)
            made.append(one)
        return tuple(made)

    @property
    def n_heights(self) -> int:
        """The constant, and a place for each bin that a feature can have."""
        return 1 + len(self.schema.features) * MOST_BINS

    @property
    def _n_numbers(self) -> int:
        return sum(isinstance(item, Number) for item in self.schema.features)

    @property
    def _n_values(self) -> int:
        return sum(len(item.values) for item in self.schema.features if isinstance(item, Category))


def _row_of(values: list[int], size: int) -> Vector:
    return np.array(values or [0] * size, np.float64)


def _numbers(pairs: NDArray[np.float32]) -> Vector:
    return from_float32_pairs(pairs.astype(np.float64))


def _whole(name: str, pairs: NDArray[np.float32]) -> Tally:
    return whole_numbers(name, _numbers(pairs), high=LARGEST_WHOLE)


def _require_consistent(one: CardBins) -> None:
    """Raise ImpossibleState for bins that no merging of fine bins gives."""
    if one.n_bins > 1 and not one.counts.all():
        raise ImpossibleState("a bin of a state has no record of a class")
    if (np.diff(one.edges) <= 0).any():
        raise ImpossibleState("the edges of a state must rise")
