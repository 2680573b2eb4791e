"""Where a site's records are in the trees of a state: their margins, and their nodes.

A module of its own because training and held-out records go through the same trees. A place
follows from the one before it; a process that kept that one computes a level only.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from privacy.storage.site_process import SITE_PROCESS, Cache
from sites.learners.bin_cells import Cells
from sites.learners.counted_tables import TableRecords
from sites.learners.fine_bins import Codes, TableBins
from sites.learners.trees.growth.node_sums import CountedRecords
from sites.learners.trees.growth.state import Trees
from sites.learners.trees.objective import Margins
from sites.learners.trees.plan import TreesPlan

_MOST_TABLES = 512  # of all sites that a process serves


@dataclass(frozen=True, kw_only=True, eq=False)
class Places:
    """Where records are after some exchanges.

    Args:
        margins: The sum of the leaves of each record in the trees that are complete, shape (n,).
        nodes: Its node in the level that the tree after them has reached, shape (n,).
    """

    margins: Margins
    nodes: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forest:
    """The trees of a state, as they were after its exchanges.

    Args:
        trees: The trees.
        plan: Their depth.
        cells: What the bins stand for.
        base: The margin of a record in no tree.
    """

    trees: Trees
    plan: TreesPlan
    cells: Cells
    base: np.float32

    def start(self, n: int) -> Places:
        """Return where n records are before the first exchange."""
        return Places(margins=np.full(n, self.base, np.float32), nodes=np.zeros(n, np.int64))

    def digest(self, exchanges: int) -> bytes:
        """Return what identifies the trees after the first so many exchanges."""
        tree, level = divmod(exchanges, self.plan.depth)
        held = slice(0, (1 << level) - 1)
        found = hashlib.sha256(exchanges.to_bytes(8, "little") + self.base.tobytes())
        for kind in (self.trees.feature, self.trees.cut, self.trees.missing_first):
            found.update(kind[:tree].tobytes())
            found.update(kind[tree : tree + 1, held].tobytes())
        found.update(self.trees.leaf[:tree].tobytes())
        return found.digest()

    def after_one_more(self, places: Places, exchanges: int, codes: Codes) -> Places:
        """Return where records are after an exchange more than `exchanges`.

        Guarantee: the same bits whether a process computes all exchanges or the last one.
        """
        tree, level = divmod(exchanges, self.plan.depth)
        children = self.children(places.nodes, tree, level, codes)
        if level + 1 < self.plan.depth:
            return Places(margins=places.margins, nodes=children)
        # In float32 and in the order of the trees, as XGBoost adds up what we export.
        with np.errstate(over="ignore", invalid="ignore"):  # a liar can send any leaves
            margins = places.margins + self.trees.leaf[tree][children]
        return Places(margins=margins, nodes=np.zeros_like(children))

    def children(
        self, nodes: NDArray[np.int64], tree: int, level: int, codes: Codes
    ) -> NDArray[np.int64]:
        """Return the node of each record one level below, shape (n,).

        Args:
            nodes: Its node in this level, counted from 0, shape (n,).
            tree: Which tree.
            level: Which level, from 0 to depth - 1.
            codes: The bin of each record in each feature, shape (n_features, n).
        """
        here = np.arange((1 << level) - 1, (2 << level) - 1)
        feature = self.trees.feature[tree, here]
        goes_second = self.second_bins(tree, here)
        if not feature.any():
            return nodes * 2
        own = codes[np.maximum(feature - 1, 0)[nodes], np.arange(codes.shape[1])]
        return np.asarray(nodes * 2 + goes_second[nodes, own], np.int64)

    def second_bins(self, tree: int, here: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which bins of its feature each node sends to its second child.

        Shape (n_nodes, bins of the feature that has most); none for a node without a split.

        Args:
            tree: Which tree.
            here: The nodes, counted from the root, shape (n_nodes,).
        """
        widest = int(np.diff(self.cells.bins.starts).max())
        second = np.zeros((len(here), widest), bool)
        for row, node in enumerate(here.tolist()):
            feature = int(self.trees.feature[tree, node])
            if not feature:
                continue
            one, cut = self.cells.bins.features[feature - 1], int(self.trees.cut[tree, node])
            bins = np.arange(widest)
            of_category = self.cells.of_category[self.cells.bins.starts[feature - 1]]
            second[row] = bins != cut if of_category else bins > cut
            second[row, one.missing] = not self.trees.missing_first[tree, node]
        return second


@dataclass(frozen=True, kw_only=True, eq=False)
class BinnedTable:
    """A table's records by bin, with the places that they had last.

    Args:
        table: The records.
        statistics: The pooled statistics that the bins come from, as bytes.
        codes: The bin of every record in each feature, shape (n_features, n).
        counted: The same, ready to be added up.
        first: 1 for the first record of each person, 0 for the others, shape (n,).
    """

    table: TableRecords
    statistics: bytes
    codes: Codes
    counted: CountedRecords
    first: NDArray[np.float64]
    _last: dict[int, tuple[bytes, Places]] = field(default_factory=dict, repr=False)

    def places(self, forest: Forest, exchanges: int) -> Places:
        """Return where the records are after so many exchanges."""
        known = [
            made
            for made, (digest, _) in self._last.items()
            if made <= exchanges and forest.digest(made) == digest
        ]
        latest = max(known, default=0)
        found = self._last[latest][1] if known else forest.start(self.codes.shape[1])
        for one in range(latest, exchanges):
            found = forest.after_one_more(found, one, self.codes)
        self._last.clear()
        self._last[exchanges] = forest.digest(exchanges), found
        return found


_BINNED: Cache[int, BinnedTable] = SITE_PROCESS.cache("tables-in-bins-of-trees", most=_MOST_TABLES)


def binned_table(table: TableRecords, bins: TableBins, statistics: bytes) -> BinnedTable:
    """Return a table's records by bin, made once while the process keeps them."""

    def made() -> BinnedTable:
        codes = bins.codes(table.columns)
        first = np.zeros(len(table.labels))
        first[np.unique(table.persons, return_index=True)[1]] = 1.0
        return BinnedTable(
            table=table,
            statistics=statistics,
            codes=codes,
            counted=CountedRecords.made_of(codes, bins),
            first=first,
        )

    # The table is held, so that no other one gets its identity while it is kept.
    return _BINNED.get(
        id(table), made, fits=lambda kept: kept.table is table and kept.statistics == statistics
    )
