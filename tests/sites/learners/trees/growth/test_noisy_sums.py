"""Sums with noise agree on totals, and the noise that is left is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.learners.bin_cells import Cells, agreed_sums, total_spread
from sites.learners.fine_bins import fine_bins
from sites.learners.trees.growth.noisy_sums import (
    NO_NOISE,
    SumsNoise,
    child_spreads,
)
from sites.learners.trees.growth.splits import node_totals
from sites.statistics.tables import TableStatistics
from tests.grown_trees import schema_of

NONE = np.zeros(TableStatistics(schema_of()).layout.size, np.int64)
CELLS = Cells(fine_bins(schema_of(), NONE, pieces=32))


def drawn(seed: int, nodes: int, size: float) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=size, size=(nodes, 3, len(CELLS.live)))
    return np.where(CELLS.live, np.rint(noise), 0).astype(np.int64)


@given(seed=st.integers(0, 10_000), n_features=st.integers(0, 3))
def test_every_feature_has_the_same_total_afterwards(seed: int, n_features: int) -> None:
    tried = CELLS.tried(seed % 3, n_features)
    sums = np.where(tried, drawn(seed, 4, 1e6), 0)
    agreed = agreed_sums(sums, CELLS, tried)
    totals = np.add.reduceat(agreed, CELLS.bins.starts[:-1], axis=2)
    assert (totals == totals[:, :, :1]).all()
    assert (agreed[:, :, ~CELLS.live] == 0).all()
    assert (node_totals(agreed, CELLS) == totals[:, :, 0]).all()


def test_sums_that_agree_are_left_as_they_are() -> None:
    exact = np.zeros((1, 3, len(CELLS.live)), np.int64)
    exact[:, :, CELLS.bins.starts[:-1]] = 77
    assert (agreed_sums(exact, CELLS, CELLS.tried(0, 0)) == exact).all()


def test_the_noise_that_is_left_has_the_stated_variance() -> None:
    tried, size, cut = CELLS.tried(0, 0), 1e5, 9
    agreed = agreed_sums(drawn(1, 4000, size), CELLS, tried)
    totals = node_totals(agreed, CELLS)
    assert (totals / size).var() == pytest.approx(total_spread(CELLS, tried), rel=0.05)
    first = agreed[:, :, : cut + 1].sum(axis=2)  # bins of age up to a cut
    in_first = np.full((len(CELLS.live), 2), cut + 1)
    spreads = [one[0, 0] for one in child_spreads(CELLS, in_first, tried)]
    for child, spread in zip((first, totals - first), spreads, strict=True):
        assert (child / size).var() == pytest.approx(spread, rel=0.05)


def test_no_noise_has_no_deviation() -> None:
    assert not NO_NOISE.deviations(1, np.ones(4)).any()
    some = SumsNoise(np.array([4.0, 1.0, 0.0]))
    assert some.deviations(0, np.array([9.0])).tolist() == [6.0]
