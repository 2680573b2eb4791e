"""Whatever happens in whatever order, exact sums and updates of one start show no so few sites.

Somebody sees everything that any honest site ever opened, in all runs. A sum of a subset of sites
is a vector of zeros and ones; what follows from several sums is what lies in their span.
"""

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import numpy as np
import pytest
from flwr.app import RecordDict
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from privacy.protocol.envelope import TRAINING
from scenarios.engines.in_process import Vanished
from tests.decisions import decide
from tests.opened_sums import OpenedSum, opened_sums
from tests.small_consortium import Consortium, Passing, forget_processes, records

SITES = ("east", "middle", "north", "south", "west")
MIN_OTHERS = 2
Opened = dict[str, set[frozenset[str]]]


def shown_alone(sums: Iterable[frozenset[str]]) -> list[frozenset[str]]:
    """Return the sets of at most `MIN_OTHERS` sites whose sum follows from these sums."""
    rows = np.array([[name in one for name in SITES] for one in sums], float).reshape(
        -1, len(SITES)
    )
    rank = np.linalg.matrix_rank(rows) if len(rows) else 0
    found = []
    for size in range(1, MIN_OTHERS + 1):
        for few in combinations(SITES, size):
            wanted = np.array([[name in few for name in SITES]], float)
            if np.linalg.matrix_rank(np.concatenate([rows, wanted])) == rank:
                found.append(frozenset(few))
    return found


def quantity(one: OpenedSum) -> str:
    """Say what a sum is of: the same name, the same numbers of each site.

    Updates follow from the start, so from the seed; a later round from what was opened before.
    """
    if one.purpose == TRAINING:
        return f"updates of round {one.server_round} from seed {one.seed}"
    return one.purpose


class Histories(RuleBasedStateMachine):
    """Runs with any rosters, sites that leave in the middle, restarts, and new records."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="histories-"))
        forget_processes()
        self.consortium = Consortium.placed(self.folder, SITES)
        for name in SITES:
            decide(self.consortium.run.site(name), releases={"evaluation_rosters": "one"})
        self.opened: Opened = defaultdict(set)
        self.records = 40

    def teardown(self) -> None:
        """Remove the sites."""
        rmtree(self.folder)

    @rule(
        present=st.sets(st.sampled_from(SITES), min_size=3),
        leaves=st.none() | st.sampled_from(SITES),
        seed=st.integers(0, 1),
        rounds=st.integers(1, 2),
        between=st.tuples(st.booleans(), st.none() | st.sampled_from(SITES)),
        named=st.booleans(),
    )
    def run(
        self,
        present: set[str],
        leaves: str | None,
        seed: int,
        rounds: int,
        between: tuple[bool, str | None],
        named: bool,
    ) -> None:
        """Run with some of the sites, perhaps in new processes, perhaps with a new patient.

        The run leaves out the others by name, or waits for them in vain. One may leave after the
        first round. Rules of their own for what comes between two runs would leave runs out of
        most histories.
        """

        def down(passing: Passing) -> RecordDict:
            gone = passing.site == leaves and passing.number > 1
            if passing.site not in present or gone:
                raise Vanished
            return passing.content

        restarts, grows = between
        if restarts:
            forget_processes()
        if grows:
            self.records += 1
            path = self.consortium.run.site(grows) / "data.parquet"
            records(grows, self.records).to_parquet(path, index=False)
        with opened_sums() as seen:
            self.consortium.start(
                down=down,
                num_server_rounds=rounds,
                quorum=3,
                seed=seed,
                without=",".join(name for name in SITES if named and name not in present),
            )
        for one in seen:
            self.opened[quantity(one)].add(one.sites)

    @invariant()
    def nobody_is_shown_alone(self) -> None:
        """No site, and no so few sites that one of them in league shows the other."""
        for sums in self.opened.values():
            assert shown_alone(sums) == []


Histories.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=5,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestHistories = pytest.mark.slow(Histories.TestCase)


def test_the_eyes_see_what_follows_from_several_sums() -> None:
    """First + second - third is A, though no two rosters differ by one site."""
    sums = [
        frozenset(one) for one in (("east", "middle", "north"), ("east", "south", "west"), SITES)
    ]
    assert frozenset({"east"}) in shown_alone(sums)
    assert shown_alone(sums[:1]) == []
    assert shown_alone([frozenset(SITES[:2]), frozenset(SITES[2:])]) == [frozenset(SITES[:2])]
