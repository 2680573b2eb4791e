"""What a Cox model is of: the sizes that both ends know before anything is counted."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privacy.contribution import ExactTally
from privacy.layout import Field, Layout, Tally, Vector
from sites.evaluation.pairs import PAIR_ENTRIES
from sites.learners.curve_groups import CurveGroups
from sites.learners.exact_numbers import as_float32_pairs, from_float32_pairs
from sites.learners.plans import CoxPlan
from sites.learners.survival.design import Design
from sites.learners.survival.wide_sums import LARGEST_PART, WideSums
from sites.schema.tables import EventTimeLabel
from sites.statistics.normalisation import Constants
from sites.statistics.tables import TableStatistics
from sites.statistics.tally import TallyLayout

LARGEST_LIKELIHOOD = 4096.0  # a record's part of a log-likelihood, beyond which it is cut
LARGEST_OWN = 64.0  # a site's own coefficient per standard deviation, beyond which it has no fit


@dataclass(frozen=True)
class Form:
    """The sizes of an exchange and of a state.

    Args:
        label: Of the times.
        design: Of the covariates.
        plan: What the run asks.
        groups: By which curves are drawn.
    """

    label: EventTimeLabel
    design: Design
    plan: CoxPlan
    groups: CurveGroups

    @property
    def pools_baseline(self) -> bool:
        """Whether all sites have one baseline hazard."""
        return self.plan.baseline == "pooled"

    @property
    def n_steps(self) -> int:
        """Number of declared steps of time."""
        return len(self.label.grid)

    @property
    def n_triangle(self) -> int:
        """Entries of the upper triangle of a matrix of covariates."""
        return len(self.design) * (len(self.design) + 1) // 2

    @cached_property
    def exchange(self) -> TallyLayout:
        """What a site counts in an exchange."""
        p, steps, groups = len(self.design), self.n_steps, len(self.groups.names)
        pooled = steps if self.pools_baseline else 0
        return TallyLayout(
            {
                "records": 3,  # used, left out, used with the event
                "events": steps,
                "pairs": PAIR_ENTRIES,
                "score": 2 * p,
                "information": 2 * self.n_triangle,
                "log_likelihood": 2,
                "exposure": 2 * steps,
                "first": 2 * pooled * p,
                "second": 2 * pooled * self.n_triangle,
                "group_events": groups * steps,
                "group_withdrawn": groups * (steps + 1),
                "own_weight": 2 * p,
                "own_first": 2 * p,
                "own_second": 2 * p,
                "own_fits": p + 2,  # of each coefficient, sites with a fit, sites
            }
        )

    @property
    def contribution(self) -> ExactTally:
        """What a site sends: every entry is at most 2^29 in size."""
        return ExactTally(size=self.exchange.size, bounds=(-LARGEST_PART, LARGEST_PART))

    @cached_property
    def state_sizes(self) -> dict[str, int]:
        """The numbers of a state, by name."""
        p, steps, groups = len(self.design), self.n_steps, len(self.groups.names)
        return {
            "exchanges": 1,
            "next": p,  # the coefficients of the next exchange
            "at": p,  # those that the sums are of
            "score": p,
            "information": self.n_triangle,
            "log_likelihood": 1,
            "null_log_likelihood": 1,
            "records": 3,
            "events": steps,
            "pairs": PAIR_ENTRIES,
            "exposure": steps,
            "group_events": groups * steps,
            "group_withdrawn": groups * (steps + 1),
            "own_weight": p,
            "own_first": p,
            "own_second": p,
            "own_fits": p + 2,
        }

    @property
    def layout(self) -> Layout:
        """Layout of a state: each number is two."""
        n = sum(self.state_sizes.values())
        return Layout(fields=(Field("high", (n,)), Field("low", (n,))), start="cox/1")

    def read(self, vector: Vector) -> dict[str, Vector]:
        """Return the numbers of a state, by name."""
        numbers = from_float32_pairs(vector)
        ends = np.cumsum(list(self.state_sizes.values()))[:-1]
        return dict(zip(self.state_sizes, np.split(numbers, ends), strict=True))

    def write(self, numbers: dict[str, Vector]) -> Vector:
        """Return the state of numbers by name, the inverse of `read`."""
        parts = [np.asarray(numbers[name], np.float64) for name in self.state_sizes]
        return as_float32_pairs(np.concatenate(parts))

    @cached_property
    def _statistics(self) -> TableStatistics:
        return TableStatistics(self.design.schema)

    def constants(self, statistics: Tally) -> Constants:
        """Return the constants of pooled statistics."""
        return self._statistics.constants(statistics)

    def wide(self, statistics: Tally) -> WideSums:
        """Return how real sums are written, from pooled statistics."""
        return WideSums(self._statistics.layout.count("records", statistics))


def merged_ends(events: "Vector | Tally", floor: int) -> list[int]:
    """Return the last step of each merged step: each has at least `floor` events.

    What is left at the end joins the step before it. With fewer events in all there is one step.

    Args:
        events: Pooled events in each declared step, shape (n_steps,).
        floor: Fewest events.
    """
    ends: list[int] = []
    held = 0
    for step, count in enumerate(np.asarray(events).tolist()):
        held += int(count)
        if held >= floor:
            ends.append(step)
            held = 0
    last = len(events) - 1
    return [*ends[:-1], last] if ends else [last]
