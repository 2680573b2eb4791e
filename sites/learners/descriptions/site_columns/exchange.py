"""How sites agree, in three sums, which columns each of them shows of itself in a Table 1.

Beside exact counts of all sites, the columns of some would tell the sum of the others. So nothing
of a single site leaves before all know who shows, and of which columns.

1. Each site adds to the counts of all whether its policy lets it show figures of its own. The
   sites that show nothing are the *silent* ones.
2. If there are enough of both, each site that shows adds, for each column, a *veto* if it would
   not show that column by itself (`OwnCells.columns_to_show`).
3. In the columns without a veto, each site that shows adds its cells, in a place of its own.

All of it is inside of the sums: under encryption the coordinator sees none of it, and every member
computes the same from the same sum.

What members learn, beside the pooled counts and what is shown, is one bit a column. Let j be one of
them, who has the pooled counts exactly and can take off its own. The proof is of each column by
itself, as if the others did not depend on it: where the values of one follow from another's, as a
clinic from its wards, the shown cells of one can tell a hidden cell of the other.

- *The silent sites.* What follows about them is their sum, in every column that is shown. They are
  none, or as many as any sum needs (`Standing.crowd`), so j learns a sum over a crowd, which it may
  learn of every sum here. It learns one such sum a column, and no two that differ by a site.
- *A column that is shown.* Each cell of each site that shows is of nobody, or of ten persons or
  more: there is no small cell to be worked out. No finer count of a category exists; the bins of a
  number are pooled, and every site that shows has ten records of each class in them.
- *A column that is hidden* is hidden of all sites, so it tells no two sites apart. j knows the
  pooled cells, the records of each class of the sites that show, and that at least one of these has
  a veto. No cell from 1 to 9 of a site i that shows follows from this. Let x = x(i, k) be one, of
  value k and class g. There is a third site m that shows, with ten records of class g or more, so
  that it has records of some value. If it has some of a value k' other than k, look at the four
  cells of i and m with k and k'; if all of its are of k, take for k' a value other than k that i
  has, as it has ten records and x is fewer. Each of the two rows and two columns of the four cells
  has a record then. Moving d records from (i, k) to (i, k') and from (m, k') to (m, k), for any d
  that leaves no cell negative, changes nothing that j knows but perhaps the veto; the values that x
  can take so are w + 1 whole numbers in a row, where w is the smallest of the four sums of a line,
  and w is 1 or more. If w is from 1 to 9, the line with the sum w has, at each of them, a cell from
  1 to 9, so there is a veto at each of them. If w is 10 or more, the cell that is 0 at the first of
  them is 1 at the second, so there is a veto, and so it is at the last but one. In both cases x has
  two possible values or more.
- *Who has a veto* is not told, and hardly how many. In a sum over sites that show, vetoes are
  random numbers modulo `MODULUS`, so the rest is random however many there are; each site adds a
  random multiple of `MODULUS`, which drowns the carry.
- *Later runs.* A site remembers for which sites it first showed figures under a charter, and which.
  If who shows is another set now, or its own cells are others, nobody shows anything: two answers
  would tell who was added, or what changed. Otherwise they are the same answer.

A site that lies about itself can show what it likes of itself, or hide a column of all. It learns
no more by it than j. Two sites that put together what they know are a crowd less, as of every sum.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from privacy.contribution import LARGEST_ENTRY
from privacy.layout import Tally, Vector
from sites.learners.descriptions.group_counts import GroupCounts
from sites.learners.descriptions.site_columns.cells import Mask, OwnCells
from sites.learners.exact_numbers import as_float32_pairs, from_float32_pairs, whole_numbers
from sites.statistics.tally import ImpossibleTally, TallyLayout

EXCHANGES = 3
LEAST_CROWD = 3  # two others beside a reader who is one of them
MODULUS = 2**20
CHANGED = 1  # what a site says that showed other cells before: no roster has this code
_CODES = 2**31
_VETOES = 2  # of a column: a rest of 0 by chance is one in 2^40

COUNTED, ASKED, SHOWN = 1, 2, 3


@dataclass(frozen=True)
class Head:
    """What a site says of itself with its counts.

    Args:
        shows: Whether it shows figures of its own.
        crowd: Sites in every aggregate, as its policy and the charter say.
        remembered: For whom it showed figures before, as `Standing.code` says; 0 for nobody, and
            `CHANGED` if its cells are others now.
    """

    shows: bool
    crowd: int
    remembered: int = 0


@dataclass(frozen=True, eq=False)
class Standing:
    """What the sites of a run said so far; the same at every one of them.

    Args:
        stage: How many of the exchanges are done.
        counted: The counts of all sites, shape (counts.layout.size,).
        heads: Of each member: whether it takes part, whether it shows, the crowd it asks for, and
            what it remembers. Shape (members, 4).
        columns: Which columns are shown, shape (columns,).
        cells: Of each member, shape (members, own.layout.size); zeros of those that show nothing.
    """

    stage: int
    counted: Tally
    heads: NDArray[np.int64]
    columns: Mask
    cells: NDArray[np.int64]

    @property
    def taking_part(self) -> Mask:
        """The sites with training records, whose counts these are."""
        return np.asarray(self.heads[:, 0] == 1, np.bool_)

    @property
    def showing(self) -> Mask:
        """The sites that show figures of their own."""
        return np.asarray(self.taking_part & (self.heads[:, 1] == 1), np.bool_)

    @property
    def silent(self) -> Mask:
        """The sites that take part and show nothing."""
        return np.asarray(self.taking_part & ~self.showing, np.bool_)

    @property
    def crowd(self) -> int:
        """Fewest sites of each kind: the strictest of what the sites ask for, and at least 3."""
        asked = self.heads[self.taking_part, 2]
        return max(LEAST_CROWD, int(asked.max(initial=0)))

    @cached_property
    def code(self) -> int:
        """Which sites take part and which of them show, as a number from 2 to 2^31 - 1."""
        who = [self.taking_part.tolist(), self.showing.tolist()]
        digest = hashlib.sha256(json.dumps(who).encode()).digest()
        return 2 + int.from_bytes(digest[:8], "big") % (_CODES - 2)

    @property
    def withheld(self) -> str:
        """Why no site shows anything: one of `REASONS`; empty if sites may show figures."""
        n_showing, n_silent = int(self.showing.sum()), int(self.silent.sum())
        if n_showing < self.crowd:
            return "few-show"
        if 0 < n_silent < self.crowd:
            return "few-silent"
        remembered = self.heads[self.taking_part, 3]
        return "" if np.isin(remembered, (0, self.code)).all() else "other-before"


REASONS = ("few-show", "few-silent", "other-before", "unfinished", "few-records")


@dataclass(frozen=True)
class SiteColumns:
    """The part of a description that is of single sites.

    Args:
        counts: What all sites count together.
        members: Of the charter, in its order: each has a place in the sum.
    """

    counts: GroupCounts
    members: tuple[str, ...]

    @cached_property
    def own(self) -> OwnCells:
        """The cells of one site."""
        return OwnCells(self.counts)

    @cached_property
    def layout(self) -> TallyLayout:
        """Names and sizes: `counted`, `vetoes`, and `PLACE/head` and `PLACE/cells` of a member."""
        sizes = {
            "counted": self.counts.layout.size,
            "vetoes": _VETOES * len(self.own.described),
        }
        for place in range(len(self.members)):
            sizes |= {f"{place}/head": 4, f"{place}/cells": self.own.layout.size}
        return TallyLayout(sizes)

    @property
    def state_size(self) -> int:
        """Whole numbers of a state: the stage, and as many as a tally has."""
        return 1 + self.layout.size

    def counted_tally(self, counted: Tally) -> Tally:
        """Return the tally of the first exchange, without what the site says of itself."""
        tally = np.zeros(self.layout.size, np.int64)
        self.layout.part("counted", tally)[:] = counted
        return tally

    def with_head(self, tally: Tally, place: int, head: Head) -> Tally:
        """Return a tally of the first exchange with what a site says of itself.

        Args:
            tally: Of the first exchange.
            place: Of the site among the members.
            head: What it says.
        """
        said = tally.copy()
        self.layout.part(f"{place}/head", said)[:] = (1, head.shows, head.crowd, head.remembered)
        return said

    def vetoes(self, shown: Mask, rng: np.random.Generator) -> Tally:
        """Return the tally of the second exchange of a site that shows figures.

        Guarantee: the sum over sites is a multiple of `MODULUS` in both entries of a column if no
        site has a veto, and else with probability 2^-39 at most. If there are vetoes, the rests
        are uniform but for 2^-19 in total variation, however many there are.

        Args:
            shown: The columns that this site would show by itself, shape (columns,).
            rng: Seeded by the operating system: what others learn depends on it.
        """
        size = (len(shown), _VETOES)
        # All sums stay below 2^41.
        most = (LARGEST_ENTRY - 1) // (MODULUS * len(self.members))
        multiples = rng.integers(0, most, size) * MODULUS
        rests = np.where(shown[:, None], 0, rng.integers(1, MODULUS, size))
        tally = np.zeros(self.layout.size, np.int64)
        self.layout.part("vetoes", tally)[:] = (multiples + rests).reshape(-1)
        return tally

    def shown_tally(self, place: int, own: Tally, shown: Mask) -> Tally:
        """Return the tally of the third exchange: a site's cells of the columns that are shown."""
        tally = np.zeros(self.layout.size, np.int64)
        self.layout.part(f"{place}/cells", tally)[:] = self.own.without_columns(own, shown)
        return tally

    def tells_of_a_site(self, tally: Tally) -> bool:
        """Return whether a site's tally says that it shows figures, or shows some, or has vetoes.

        A site whose policy shows nothing sends none of this.
        """
        places = range(len(self.members))
        cells = (self.layout.part(f"{place}/cells", tally).any() for place in places)
        shows = (self.layout.part(f"{place}/head", tally)[1] for place in places)
        return bool(any(cells) or any(shows) or self.layout.part("vetoes", tally).any())

    def standing(self, vector: Vector) -> Standing:
        """Return what a state says, shape (2 * state_size,).

        Raises:
            ImpossibleState: No run has this state.
        """
        numbers = whole_numbers("counts", from_float32_pairs(vector), high=float(LARGEST_ENTRY))
        stage = int(whole_numbers("stage", numbers[:1].astype(np.float64), high=EXCHANGES)[0])
        tally = numbers[1:]
        heads, cells = self._of_members(tally)
        columns = self.layout.part("vetoes", tally)[::_VETOES] == 1
        return Standing(stage, self.layout.part("counted", tally), heads, columns, cells)

    def move(self, vector: Vector, pooled: Tally) -> Vector:
        """Return the next state.

        Args:
            vector: The state, shape (2 * state_size,).
            pooled: The tallies of all sites added up.

        Raises:
            ImpossibleTally: No sites have this sum.
            ImpossibleState: No run has this state.
        """
        before = self.standing(vector)
        heads, cells = self._of_members(pooled)
        if before.stage == 0:
            counted = self.layout.part("counted", pooled)
            after = Standing(COUNTED, counted, heads, before.columns, before.cells)
            self._require_heads(after)
        elif before.stage == COUNTED:
            columns = self._without_veto(pooled) & (not before.withheld)
            after = Standing(ASKED, before.counted, before.heads, columns, before.cells)
        elif before.stage == ASKED:
            after = Standing(SHOWN, before.counted, before.heads, before.columns, cells)
            self._require_cells(after)
        else:
            after = before
        return self._encoded(after)

    def _encoded(self, standing: Standing) -> Vector:
        tally = np.zeros(self.layout.size, np.int64)
        self.layout.part("counted", tally)[:] = standing.counted
        self.layout.part("vetoes", tally)[::_VETOES] = standing.columns
        for place in range(len(self.members)):
            self.layout.part(f"{place}/head", tally)[:] = standing.heads[place]
            self.layout.part(f"{place}/cells", tally)[:] = standing.cells[place]
        return as_float32_pairs(np.concatenate([[standing.stage], tally]).astype(np.float64))

    def _of_members(self, tally: Tally) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        places = range(len(self.members))
        heads = [self.layout.part(f"{place}/head", tally) for place in places]
        return np.stack(heads), np.stack(
            [self.layout.part(f"{place}/cells", tally) for place in places]
        )

    def _without_veto(self, pooled: Tally) -> Mask:
        rests = self.layout.part("vetoes", pooled).reshape(-1, _VETOES) % MODULUS
        return np.asarray((rests == 0).all(axis=1), np.bool_)

    def _require_heads(self, standing: Standing) -> None:
        heads = standing.heads
        possible = (heads[:, :2] <= 1).all() and (heads[:, 1] <= heads[:, 0]).all()
        if not possible or (heads[:, 3] >= _CODES).any():
            raise ImpossibleTally("a site spoke for another one, or said what no site can say")

    def _require_cells(self, standing: Standing) -> None:
        """Check that cells are those that sites may show, and no more than all sites counted."""
        if standing.withheld:
            if standing.cells.any():
                raise ImpossibleTally("a site showed figures where no site may show any")
            return
        own, columns = self.own, standing.columns
        for shows, cells in zip(standing.showing.tolist(), standing.cells, strict=True):
            possible = own.are_possible(cells, columns) if shows else not cells.any()
            if not possible:
                raise ImpossibleTally("a site showed figures that it may not show")
        for rest in self.silent_cells(standing):
            if (rest < 0).any() or (rest.any() and not standing.silent.any()):
                raise ImpossibleTally("sites showed other records than they counted with all sites")

    def silent_cells(self, standing: Standing) -> list[Tally]:
        """Return what the silent sites have together: records by class, then each shown column."""
        shown = standing.cells[standing.showing]
        own, counted = self.own, standing.counted
        records = own.layout.sizes["records"]
        rests = [own.pooled_records(counted) - shown[:, :records].sum(axis=0)]
        for item, stays in zip(own.described, standing.columns.tolist(), strict=True):
            if stays:
                together = sum(own.cells(item, one) for one in shown)
                rests.append(own.pooled_cells(item, counted) - together)
        return rests
