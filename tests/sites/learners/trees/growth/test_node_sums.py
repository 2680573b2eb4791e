"""The pass over records adds up exactly what a loop over them adds up."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sites.learners.fine_bins import fine_bins
from sites.learners.trees.growth import node_sums
from sites.learners.trees.growth.node_sums import CountedRecords
from sites.learners.trees.objective import LARGEST_DERIVATIVE
from sites.statistics.tables import TableStatistics
from tests.grown_trees import records, schema_of

BINS = fine_bins(
    schema_of(),
    TableStatistics(schema_of()).tally(records(1, 90).columns, records(1, 90).labels, persons=90),
    pieces=32,
)


def looped(codes: np.ndarray, nodes: np.ndarray, weights: np.ndarray, n_nodes: int) -> np.ndarray:
    """Add up record by record, in whole numbers of any size."""
    sums = np.zeros((n_nodes, 3, int(BINS.starts[-1])), object)
    for row in np.flatnonzero(nodes >= 0):
        for feature, start in enumerate(BINS.starts[:-1]):
            for kind in range(3):
                cell = int(start) + int(codes[feature, row])
                sums[nodes[row], kind, cell] += int(weights[kind, row])
    return sums


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 60),
    n_nodes=st.integers(1, 4),
    skipped=st.booleans(),
)
@settings(max_examples=40)
def test_sums_are_those_of_a_loop(seed: int, n: int, n_nodes: int, *, skipped: bool) -> None:
    rng = np.random.default_rng(seed)
    codes = BINS.codes(records(seed, n).columns)
    nodes = rng.integers(-1 if skipped else 0, n_nodes, n)
    most = LARGEST_DERIVATIVE
    weights = np.array(
        [rng.integers(0, 2, n), rng.integers(-most, most + 1, n), rng.integers(0, most + 1, n)],
        np.float64,
    )
    found = CountedRecords.made_of(codes, BINS).sums(nodes, tuple(weights), n_nodes=n_nodes)
    assert found.dtype == np.int64
    assert (found == looped(codes, nodes, weights, n_nodes)).all()


def test_sums_are_exact_at_the_extremes_and_over_several_blocks() -> None:
    """Every record has the largest derivatives; the sums are the products."""
    n = 2 * node_sums._BLOCK + 17
    codes = BINS.codes({name: np.repeat(values, n) for name, values in one_record().items()})
    for sign in (-1.0, 1.0):
        gradients = np.full(n, sign * LARGEST_DERIVATIVE)
        weights = (np.ones(n), gradients, np.full(n, float(LARGEST_DERIVATIVE)))
        counted = CountedRecords.made_of(codes, BINS)
        found = counted.sums(np.zeros(n, np.int64), weights, n_nodes=1)
        wanted = np.array([n, sign * n * LARGEST_DERIVATIVE, n * LARGEST_DERIVATIVE])
        for start, own in zip(BINS.starts[:-1], codes[:, 0], strict=True):
            assert (found[0, :, start + own] == wanted).all()
        assert (found.sum(axis=2)[0] == 3 * wanted).all()


def one_record() -> dict[str, np.ndarray]:
    return {name: values[:1] for name, values in records(5, 1).columns.items()}


def test_more_records_are_counted_in_fewer_passes() -> None:
    few, many = (BINS.codes(records(2, n).columns) for n in (10, 30_000))
    assert len(CountedRecords.made_of(few, BINS).groups) == 3
    assert len(CountedRecords.made_of(many, BINS).groups) < 3
