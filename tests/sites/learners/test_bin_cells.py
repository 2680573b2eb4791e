"""What stands in the row of all bins."""

import numpy as np

from sites.learners.bin_cells import Cells
from sites.learners.fine_bins import fine_bins
from sites.statistics.tables import TableStatistics
from tests.grown_trees import schema_of

NONE = np.zeros(TableStatistics(schema_of()).layout.size, np.int64)
CELLS = Cells(fine_bins(schema_of(), NONE, pieces=40))


def test_a_cell_is_live_if_a_record_can_be_in_it() -> None:
    age, bill, ward = np.split(CELLS.live, CELLS.bins.starts[1:-1])
    assert age.tolist() == [True] * 32 + [False] * 8 + [True]  # more pieces than equal bins
    assert bill.tolist() == [True] * 32 + [False] * 8 + [False]  # never missing
    assert ward.tolist() == [True] * 4
    assert CELLS.widths[CELLS.bins.starts[:-1]].tolist() == [33, 32, 4]
    assert CELLS.rank[CELLS.live].tolist() == [*range(33), *range(32), *range(4)]


def test_features_have_their_turn_in_order() -> None:
    turns = [np.unique(CELLS.features[CELLS.tried(tree, 2)]).tolist() for tree in range(4)]
    assert turns == [[0, 1], [0, 2], [1, 2], [0, 1]]
    assert CELLS.tried(5, 0).all()
    assert CELLS.tried(5, 9).all()
