"""Held-out records that are difficult for histograms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from sites.schema.tables import EventTimeLabel

ENDS = EventTimeLabel(
    column="y", classes=("no", "yes"), time="t", high=10, times=(1.0, 4.0, 8.0), horizon=4.0
)
EDGES = st.builds(
    lambda k, n_bins, side: float(np.clip(np.nextafter(k / n_bins, side), 0.0, 1.0)),
    st.integers(0, 1024),
    st.sampled_from([16, 256, 1024]),
    st.sampled_from([-1.0, 2.0]),
) | st.integers(0, 1024).map(lambda k: k / 1024)
SCORES = st.one_of(
    EDGES,
    st.sampled_from([0.0, 0.5, 1.0, 1e-300, 1e-7, 0.5 + 2**-12]),
    st.floats(0.5, 0.5 + 2**-10),  # a crowd inside one bin
    st.floats(0.0, 1.0),
)


@dataclass(frozen=True)
class Records:
    """Predictions and labels of some held-out records."""

    predictions: NDArray[Any]
    labels: NDArray[Any]

    def at(self, rows: Any) -> "Records":
        """Return some of the records."""
        return Records(self.predictions[rows], self.labels[rows])


def binary(*, min_size: int = 0, both: bool = False) -> st.SearchStrategy[Records]:
    """Return scores of a positive class with labels; `both` adds one record of each class."""
    rows = st.lists(st.tuples(SCORES, st.integers(0, 1)), min_size=min_size, max_size=60)
    if both:
        rows = st.tuples(rows, SCORES, SCORES).map(lambda t: [*t[0], (t[1], 0), (t[2], 1)])
    return rows.map(_records)


@st.composite
def classes(draw: st.DrawFn, n_classes: int = 4, min_size: int = 0) -> Records:
    """Return probabilities of classes with labels, some of which do not occur."""
    labels = draw(st.lists(st.integers(0, n_classes - 1), min_size=min_size, max_size=40))
    raw = draw(
        st.lists(
            st.lists(SCORES, min_size=n_classes, max_size=n_classes),
            min_size=len(labels),
            max_size=len(labels),
        )
    )
    rows = np.array(raw, np.float64).reshape(-1, n_classes) + 1e-300
    return Records(rows / rows.sum(axis=1, keepdims=True), np.array(labels, np.int64))


def numbers(*, low: float, high: float, min_size: int = 0) -> st.SearchStrategy[Records]:
    """Return predicted numbers, some of them out of bounds, with labels within."""
    width = high - low
    inside = SCORES.map(lambda share: float(min(low + share * width, high)))
    outside = st.floats(low - width, high + width)
    rows = st.lists(st.tuples(inside | outside, inside), min_size=min_size, max_size=50)
    return rows.map(lambda found: _records(found, np.float64))


def _records(rows: Sequence[tuple[float, float]], kind: type = np.int64) -> Records:
    predictions = np.array([row[0] for row in rows], np.float64)
    return Records(predictions, np.array([row[1] for row in rows], kind))


def survivals(*, min_size: int = 0) -> st.SearchStrategy[Records]:
    """Return risks by the horizon of `ENDS`, with how and when each record ended."""
    times = st.sampled_from([0.0, 1.0, 4.0, 8.0, 10.0]) | st.floats(0.0, 10.0)
    rows = st.lists(st.tuples(SCORES, st.integers(0, 1), times), min_size=min_size, max_size=40)
    return rows.map(_ended)


def _ended(rows: Sequence[tuple[float, int, float]]) -> Records:
    numbers = np.array(rows, np.float64).reshape(-1, 3)
    return Records(numbers[:, 0].copy(), numbers[:, 1:].copy())
