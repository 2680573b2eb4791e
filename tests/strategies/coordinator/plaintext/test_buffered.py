"""A buffered run: who is asked for what, what moves the model, and what an update counts."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.wire import messages
from scenarios.engines.in_process import Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import (
    Observer,
    RoundFinished,
    RoundStarted,
    RunEvent,
    SiteAnswered,
)
from strategies.coordinator.plaintext.aggregation_buffer import Gather, StackedUpdates
from strategies.coordinator.plaintext.buffered import Buffered
from strategies.model_state import OptimizerStep
from strategies.rules.registry import RULES, RuleOptions
from strategies.schedule import discounted
from strategies.server_optimizer import OptimizerOptions, sgd
from tests.side_by_side import SideBySideGrid
from tests.small_site import (
    EVALUATION_SIZE,
    LAYOUT,
    MEAN,
    NAMES,
    TERMS,
    Outcome,
    SmallSite,
    cohort_of,
    grid_of,
    honest,
    strategy_of,
    update_of,
)

ROUNDS = 4


def alike(_examples: int) -> float:
    return 1.0


def buffered(  # noqa: PLR0913 -- each is another part of a run
    outcome: Outcome,
    *,
    size: int,
    quorum: int = 1,
    gather: Gather = MEAN,
    attempts: int = 1,
    deadline_s: float = 60.0,
    weigh: Callable[[int], float] = float,
    observe: Observer | None = None,
) -> Buffered:
    return Buffered(
        gather=gather,
        step=OptimizerStep(optimizer=sgd(OptimizerOptions())),
        cohort=replace(cohort_of(quorum=quorum), deadline_s=deadline_s),
        terms=replace(TERMS, buffer_size=size, attempts=attempts, weigh=weigh),
        observe=observe or outcome.events.append,
        keep=outcome.kept.append,
    )


def gather_by(name: str) -> Gather:
    """Return how updates are aggregated by a rule; the mean streams, as it does in a run."""
    rule = RULES[name].build(RuleOptions(), None)
    return (
        MEAN
        if name == "mean"
        else Gather(begin=lambda state: StackedUpdates(rule, state.vector.size))
    )


def rounds_of(outcome: Outcome) -> list[RoundFinished]:
    return [done for done in outcome.rounds if done.server_round <= ROUNDS]


@settings(max_examples=10, deadline=None)
@given(
    names=st.sets(st.sampled_from(NAMES), min_size=1),
    rule=st.sampled_from(["mean", "coordinate-median"]),
)
def test_with_all_sites_in_the_buffer_the_bits_are_those_of_a_synchronous_run(
    names: set[str], rule: str
) -> None:
    """Equal speed and a buffer of all: nothing is late, so nothing is discounted."""
    sites, outcome, reference = honest(sorted(names)), Outcome(), Outcome()
    gather = gather_by(rule)
    buffered(outcome, size=len(sites), gather=gather, weigh=alike).start(grid_of(sites), 3)
    strategy_of(reference, gather=gather, terms=replace(TERMS, weigh=alike)).start(
        grid_of(sites), 3
    )
    assert outcome.model == reference.model
    assert [done.evaluation.tolist() for done in outcome.rounds] == [
        done.evaluation.tolist() for done in reference.rounds
    ]
    assert [done.asked_in for done in outcome.rounds] == [
        *[(number,) * len(sites) for number in (1, 2, 3)],
        (),
    ]


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(4)), size=st.integers(1, 4))
def test_an_update_is_used_once_in_the_round_in_which_it_came(order: list[int], size: int) -> None:
    """Whoever is asked first: each question is answered once, and no site is twice in a buffer."""
    sites, outcome = honest(), Outcome()
    buffered(outcome, size=size).start(grid_of([sites[index] for index in order]), ROUNDS)
    used = [
        (site, asked_in)
        for done in rounds_of(outcome)
        for site, asked_in in zip(done.answered, done.asked_in, strict=True)
    ]
    assert len(used) == len(set(used)) == size * ROUNDS
    for done in rounds_of(outcome):
        assert len(set(done.answered)) == size
        assert max(done.asked_in) <= done.server_round
    asked = {
        (site, event.server_round)
        for event in outcome.events
        if isinstance(event, RoundStarted) and 1 <= event.server_round <= ROUNDS
        for site in event.cohort
    }
    assert set(used) <= asked


@settings(max_examples=10, deadline=None)
@given(size=st.integers(1, 3))
def test_the_model_is_the_discounted_mean_that_the_record_of_rounds_says(size: int) -> None:
    """Computed again here, from nothing but who was used, and from which model."""
    sites, outcome = honest(), Outcome()
    buffered(outcome, size=size).start(grid_of(sites), ROUNDS)
    examples = {site.name: float(site.num_examples) for site in sites}
    states = [np.zeros(LAYOUT.dim)]
    for done in rounds_of(outcome):
        rows = [
            discounted(
                update_of(site, asked_in, states[asked_in - 1]), done.server_round - asked_in
            )
            for site, asked_in in zip(done.answered, done.asked_in, strict=True)
        ]
        weights = [examples[site] for site in done.answered]
        total = sum(weight * row.astype(float) for weight, row in zip(weights, rows, strict=True))
        states.append((states[-1] + total / sum(weights)).astype(np.float32).astype(float))
    np.testing.assert_allclose(outcome.kept[-1].state.vector, states[-1], rtol=1e-6, atol=1e-7)
    assert any(done.server_round > one for done in rounds_of(outcome) for one in done.asked_in)


def test_the_figures_of_a_round_are_of_its_model_alone() -> None:
    """A small site counts the number of the round that it was asked in."""
    outcome = Outcome()
    buffered(outcome, size=3).start(grid_of(honest()), ROUNDS)
    in_time = [done.asked_in.count(done.server_round) for done in rounds_of(outcome)]
    assert min(in_time) < 3
    assert [done.evaluation.tolist() for done in rounds_of(outcome)] == [
        [count * done.server_round] * EVALUATION_SIZE
        for count, done in zip(in_time, rounds_of(outcome), strict=True)
    ]


@dataclass
class HeldBack:
    """A site that answers its first question to train only when it is let go."""

    site: SmallSite
    go_on: Event = field(default_factory=Event)
    seen: list[int] = field(default_factory=list)

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer, the first question to train once the site is let go."""
        if message.metadata.message_type == messages.TRAIN:
            self.seen.append(int(message.metadata.group_id))
            assert self.go_on.wait(60)
        return self.site(message, context)


@pytest.fixture
def side_by_side() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_the_model_moves_on_without_a_slow_site_whose_update_counts_when_it_comes(
    side_by_side: ExitStack,
) -> None:
    """West holds the model of round 1 until three rounds are over, and is not asked in between."""
    *quick, last = honest()
    slow, outcome = HeldBack(last), Outcome()

    def observe(event: RunEvent) -> None:
        outcome.events.append(event)
        if isinstance(event, RoundFinished) and event.server_round == 3:
            slow.go_on.set()

    side_by_side.callback(slow.go_on.set)
    strategy = buffered(outcome, size=3, quorum=3, observe=observe)
    strategy.start(SideBySideGrid([*quick, slow], side_by_side), 12)
    trained = [done for done in outcome.rounds if done.server_round <= 12]
    assert [done.answered for done in trained[:3]] == [("east", "north", "south")] * 3
    late = next(done for done in trained if "west" in done.answered)
    assert late.server_round > 3
    assert dict(zip(late.answered, late.asked_in, strict=True))["west"] == 1
    assert slow.seen[0] == 1
    assert slow.seen[1:2] in ([], [late.server_round + 1])
    assert outcome.quarantined == set()
    west = [e for e in outcome.events if isinstance(e, SiteAnswered) and e.site == "west"]
    told = next(one for one in west if one.asked_in == 1)
    assert told.released is None, "counts of an earlier model are no figures of this one"


def test_who_fails_is_left_out_and_a_buffer_that_cannot_fill_moves_by_the_quorum() -> None:
    """Nobody is waited for who cannot come: three updates move a buffer of four."""
    sites = honest()
    broken = replace(sites[-1], spoil={messages.TRAIN: vanishes})
    outcome = Outcome()
    buffered(outcome, size=4, quorum=3, deadline_s=0.0).start(grid_of([*sites[:3], broken]), 2)
    assert [done.answered for done in outcome.rounds[:2]] == [NAMES[:3]] * 2
    assert outcome.quarantined == {("west", "silent")}


def test_without_the_quorum_a_buffered_run_stops_and_keeps_what_it_reached() -> None:
    sites = [replace(site, spoil={messages.TRAIN: vanishes}) for site in honest()[:2]]
    outcome = Outcome()
    with pytest.raises(QuorumNotReached, match="needs 3 sites, 2 answered"):
        buffered(outcome, size=3, quorum=3, deadline_s=0.0).start(
            grid_of([*sites, *honest()[2:]]), 2
        )
    assert [progress.state.server_round for progress in outcome.kept] == [0]


def test_a_buffered_run_stops_when_fewer_sites_than_the_quorum_are_left() -> None:
    """Two of four leave after the first round; nobody is asked for a second that cannot end."""
    grid, outcome = grid_of(honest()), Outcome()

    def observe(event: RunEvent) -> None:
        outcome.events.append(event)
        if isinstance(event, RoundFinished) and event.server_round == 1:
            grid.remove(0)
            grid.remove(1)

    with pytest.raises(QuorumNotReached, match="needs 3 sites, 2 "):
        buffered(outcome, size=3, quorum=3, observe=observe).start(grid, 3)
    assert outcome.kept[-1].state.server_round == 1


def test_a_resumed_run_asks_for_the_newest_model_and_uses_nothing_of_before() -> None:
    """What was on its way when the coordinator died is of no round of the resumed run."""
    sites, first, second = honest(), Outcome(), Outcome()
    buffered(first, size=3).start(grid_of(sites), 2)
    since = first.kept[-1]
    buffered(second, size=3).start(grid_of(sites), 4, since=since)
    assert second.rounds[0].server_round == 3
    assert second.rounds[0].asked_in == (3, 3, 3)
    assert second.kept[-1].state.server_round == 4


def vanishes(_content: RecordDict) -> RecordDict:
    raise Vanished
