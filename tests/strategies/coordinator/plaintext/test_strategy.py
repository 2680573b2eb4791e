import gc
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp.strategy import Strategy
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.charter.document import Floors
from privacy.contribution import ExactTally
from privacy.layout import Tally, Vector
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp, Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import (
    RoundStarted,
    SiteAnswered,
    SitesJoined,
    StatisticsPooled,
)
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.plaintext.aggregation_buffer import ExactSum, Gather, StackedUpdates
from strategies.coordinator.plaintext.strategy import Synchronous
from strategies.model_state import State, TallyStep
from strategies.rules.inputs import TooFewSites
from strategies.rules.mean import StreamingMean
from strategies.rules.registry import RULES, RuleOptions
from strategies.server_optimizer import StepOverflow
from tests.clear_consortium import clear_run
from tests.grids import CountingGrid, EagerGrid, KeepingGrid, Traced, traced
from tests.small_consortium import NAMES as MEMBERS
from tests.small_consortium import Consortium, forget_processes
from tests.small_site import (
    CHARTER,
    EVALUATION_SIZE,
    LAYOUT,
    NAMES,
    STATISTICS_SIZE,
    TERMS,
    Outcome,
    SmallSite,
    Spoil,
    cohort_of,
    grid_of,
    honest,
    run,
    strategy_of,
    update_of,
)

DIM = LAYOUT.dim
EQUAL = replace(TERMS, weigh=lambda _examples: 1.0)


def vanishes(_content: RecordDict) -> RecordDict:
    raise Vanished


def sends(*values: float) -> Mapping[str, Spoil]:
    """Return a spoil that replaces the update by these values and zeros."""

    def spoil(content: RecordDict) -> RecordDict:
        arrays, facts = wire.arrays_and_facts(content)
        update = np.zeros(DIM)
        update[: len(values)] = values
        return wire.content({**arrays, "update": wire.vector_array(update)}, dict(facts))  # type: ignore[arg-type]

    return {messages.TRAIN: spoil}


def gather_by(name: str, *, num_byzantine: int = 0) -> Gather:
    spec, options = RULES[name], RuleOptions(num_byzantine=num_byzantine, clip_norm=1.0)
    return Gather(
        begin=lambda state: StackedUpdates(spec.build(options, state.memory), state.vector.size)
    )


def test_fedavg_is_the_weighted_mean_of_the_updates_added_to_the_state() -> None:
    """Computed here in numpy, for three rounds, with one site twice as large."""
    sites = [SmallSite(name="east", num_examples=200), SmallSite(name="west", num_examples=100)]
    state = np.zeros(DIM)
    for server_round in (1, 2, 3):
        east, west = (update_of(name, server_round, state) for name in ("east", "west"))
        moved = (200.0 * east.astype(float) + 100.0 * west.astype(float)) / 300.0
        state = (state + moved).astype(np.float32).astype(float)
    outcome = run(sites, rounds=3)
    assert outcome.kept[-1].state.vector.tolist() == state.tolist()
    assert outcome.kept[-1].state.server_round == 3
    assert outcome.kept[-1].layout == LAYOUT


@settings(max_examples=24)
@given(order=st.permutations(range(4)), eager=st.permutations(range(4)))
def test_neither_node_ids_nor_arrival_change_the_model(order: list[int], eager: list[int]) -> None:
    """The bytes are the same whichever node a site has and whoever answers first."""
    sites, outcome = honest(), Outcome()
    strategy_of(outcome).start(EagerGrid([sites[index] for index in order], eager), 2)
    reference = run(sites)
    assert outcome.model == reference.model
    assert [r.answered for r in outcome.rounds] == [r.answered for r in reference.rounds]
    assert [r.evaluation.tolist() for r in outcome.rounds] == [
        r.evaluation.tolist() for r in reference.rounds
    ]


def test_one_reply_is_in_memory_at_a_time() -> None:
    """A refused upload takes no more bytes than an accepted one, in every exchange of a run."""
    bad = [
        SmallSite(name="east", spoil=sends(float("nan"))),
        SmallSite(name="north", spoil=sends(float("inf"))),
    ]
    grid = CountingGrid([traced(site) for site in [*bad, *honest(["south", "west"])]])
    strategy_of(Outcome()).start(grid, 2)
    assert grid.held == [0] * (4 * 5)
    assert Traced.alive == 0


def test_no_array_of_a_round_waits_for_the_garbage_collector() -> None:
    """A reference cycle around a content would keep a model in memory for many rounds."""
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        run(honest())
        gc.collect()
        assert not any(isinstance(item, Array | np.ndarray) for item in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_no_reply_is_changed() -> None:
    """Flower's FedMedian pops the arrays out of the replies it is given."""
    grid = KeepingGrid(honest())
    median = gather_by("coordinate-median")
    strategy_of(Outcome(), gather=median, terms=EQUAL).start(grid, 2)
    assert len(grid.delivered) == 4 * 5
    assert all(delivered == copy for delivered, copy in grid.delivered)


@pytest.mark.parametrize("rule", RULES)
def test_an_update_of_zero_is_an_update(rule: str) -> None:
    """No rule divides by its norm; if all are zero, the model stays where it is."""
    still = [replace(site, spoil=sends(0.0)) for site in honest()]
    for sites in (still, [*still[:1], *honest()[1:]]):
        outcome = Outcome()
        strategy = strategy_of(
            outcome,
            gather=gather_by(rule),
            terms=EQUAL,
            needs_memory=RULES[rule].needs_memory,
        )
        strategy.start(grid_of(sites), 2)
        assert outcome.quarantined == set()
        assert outcome.rounds[0].answered == NAMES
        assert sites is not still or not outcome.kept[-1].state.vector.any()


def test_the_last_aggregate_is_handed_to_a_gathering_that_needs_it() -> None:
    seen: list[Vector | None] = []

    def begin(state: State) -> StreamingMean:
        seen.append(state.memory)
        return StreamingMean(state.vector.size)

    outcome = Outcome()
    strategy = strategy_of(outcome, gather=Gather(begin=begin), needs_memory=True)
    strategy.start(grid_of(honest()), 2)
    assert seen[0] is not None
    assert seen[1] is not None
    assert seen[0].tolist() == [0.0] * DIM
    assert seen[1].tolist() == outcome.kept[1].state.vector.tolist()  # FedAvg from zero
    seen.clear()
    strategy_of(outcome, gather=Gather(begin=begin)).start(grid_of(honest()), 2)
    assert seen == [None, None]


def test_every_round_asks_the_cohort_of_its_number() -> None:
    cohort = cohort_of(fraction=0.5)
    outcome = run(honest(), cohort=cohort, rounds=5)
    started = [event for event in outcome.events if isinstance(event, RoundStarted)]
    assert [event.server_round for event in started] == [0, 1, 2, 3, 4, 5, 6]
    assert started[0].cohort == started[-1].cohort == NAMES
    for event in started[1:-1]:
        assert event.cohort == cohort.sample(event.server_round, NAMES)
        assert len(event.cohort) == 2


def test_events_say_who_is_there_and_what_was_counted() -> None:
    sites = [*honest(["east", "north"]), SmallSite(name="south", num_examples=0)]
    outcome = run(sites, rounds=0)
    joined, pooled = (
        next(event for event in outcome.events if isinstance(event, kind))
        for kind in (SitesJoined, StatisticsPooled)
    )
    assert joined == SitesJoined(
        sites=("east", "north", "south"),
        absent=("west",),
        weights={"east": 140, "north": 150, "south": 0},
        dim=DIM,
    )
    assert isinstance(pooled, StatisticsPooled)
    assert pooled.pooled.tolist() == [290] * STATISTICS_SIZE
    assert [event.site for event in outcome.events if isinstance(event, SiteAnswered)] == [
        *("east", "north", "south"),
        *("east", "north", "south"),
    ]


def test_figures_of_one_site_are_reported_only_if_it_releases_them() -> None:
    outcome = run([*honest(["east"]), SmallSite(name="north", released=False)])
    assert set(outcome.released(0)) == {"east"}
    for done in outcome.rounds:
        assert outcome.released(done.server_round) == {
            "east": [done.server_round] * EVALUATION_SIZE
        }
        assert done.evaluation.tolist() == [2 * done.server_round] * EVALUATION_SIZE


class EveryOther(SmallSite):
    """A site that counts in rounds of odd numbers, and in the last evaluation."""

    def answer(self, kind: str, content: RecordDict) -> RecordDict:
        """Return an answer without counts in a round of an even number."""
        answer = super().answer(kind, content)
        number = wire.arrays_and_facts(content)[1].get("round", 1)
        if kind != messages.TRAIN or number in (1, 3):
            return answer
        arrays, facts = wire.arrays_and_facts(answer)
        none = wire.tally_array(np.zeros(0, np.int64))
        # What it says that it releases is nothing.
        return wire.content({**arrays, "tally": none}, dict(facts))  # type: ignore[arg-type]


def test_a_round_that_asks_for_no_counts_has_no_figures_and_moves_the_same_model() -> None:
    terms, outcome = replace(TERMS, asks_for_counts=lambda number: number % 2 == 1), Outcome()
    strategy_of(outcome, terms=terms).start(grid_of([EveryOther(name=name) for name in NAMES]), 3)
    every = run([SmallSite(name=name) for name in NAMES], rounds=3)
    assert not outcome.quarantined
    assert outcome.model == every.model
    counted = {one.server_round: one.evaluation.tolist() for one in every.rounds}
    assert {one.server_round: one.evaluation.tolist() for one in outcome.rounds} == {
        **counted,
        2: [0] * EVALUATION_SIZE,
    }
    assert not outcome.released(2)
    assert [one.counted for one in outcome.rounds] == [True, False, True, True]


def test_counts_that_nobody_asked_for_leave_their_site_out() -> None:
    terms, outcome = replace(TERMS, asks_for_counts=lambda number: number != 2), Outcome()
    sites = [SmallSite(name=NAMES[0]), *(EveryOther(name=name) for name in NAMES[1:])]
    strategy_of(outcome, terms=terms).start(grid_of(sites), 2)
    assert outcome.quarantined == {(NAMES[0], "malformed-record")}


def test_traffic_is_counted_by_round_for_refused_replies_too() -> None:
    outcome = run([SmallSite(name="east", spoil=sends(float("nan"))), *honest(["north"])])
    position = 4 * DIM + 8 * STATISTICS_SIZE
    contribution, counts = 4 * DIM + 8 * EVALUATION_SIZE, 8 * EVALUATION_SIZE
    assert [done.bytes_down for done in outcome.rounds] == [2 * position] * 3
    assert [done.bytes_up for done in outcome.rounds] == [2 * contribution] * 2 + [2 * counts]
    assert all(done.seconds >= 0 for done in outcome.rounds)


def test_how_far_the_run_is_is_kept_before_the_first_round_and_after_each() -> None:
    outcome = run(honest(), rounds=3)
    assert [progress.state.server_round for progress in outcome.kept] == [0, 1, 2, 3]
    assert {progress.statistics.tolist()[0] for progress in outcome.kept} == {580}
    assert outcome.kept[0].state.vector.tolist() == [0.0] * DIM


NOBODY_LEFT = {
    "join": (messages.HELLO, 0, None, "east, north, south, west"),
    "statistics": (messages.STATISTICS, 0, None, "east, north, south, west"),
    "training": (messages.TRAIN, 0, 0, "east, north, south, west"),
    "evaluation": (messages.EVALUATE, 0, 2, "east, north, south, west"),
    "one short in training": (messages.TRAIN, 2, 0, "south, west"),
    "one short in evaluation": (messages.EVALUATE, 2, 2, "south, west"),
}


@pytest.mark.parametrize(
    ("kind", "answering", "rounds_kept", "missing"), NOBODY_LEFT.values(), ids=NOBODY_LEFT
)
def test_a_run_without_its_quorum_stops_with_names_after_keeping_what_it_reached(
    kind: str, answering: int, rounds_kept: int | None, missing: str
) -> None:
    """Whether all replies are refused or the quorum is missed by one."""
    sites = [
        site if index < answering else replace(site, spoil={kind: vanishes})
        for index, site in enumerate(honest())
    ]
    outcome = Outcome()
    with pytest.raises(QuorumNotReached, match=f"needs 3 sites, .*missing: {missing}\\."):
        strategy_of(outcome, cohort=cohort_of(quorum=3)).start(grid_of(sites), 2)
    kept = [progress.state.server_round for progress in outcome.kept]
    assert kept == ([] if rounds_kept is None else list(range(rounds_kept + 1)))


def test_a_rule_with_too_few_sites_stops_the_run_after_keeping_what_it_reached() -> None:
    sites = [*honest(NAMES[:3]), SmallSite(name="west", spoil={messages.TRAIN: vanishes})]
    krum = gather_by("krum", num_byzantine=1)
    outcome = Outcome()
    with pytest.raises(TooFewSites):
        strategy_of(outcome, gather=krum, terms=EQUAL).start(grid_of(sites), 2)
    assert [progress.state.server_round for progress in outcome.kept] == [0]


def test_a_step_out_of_float32_stops_the_run_after_keeping_what_it_reached() -> None:
    """The mean survives no liar: 3e38 is a number. But the model never becomes infinite."""
    outcome = Outcome()
    sites = [SmallSite(name="east", spoil=sends(3e38))]
    with pytest.raises(StepOverflow):
        strategy_of(outcome).start(grid_of(sites), 2)
    assert [progress.state.server_round for progress in outcome.kept] == [0, 1]
    assert np.isfinite(outcome.kept[-1].state.vector).all()


class ScheduledGrid(InProcessGrid):
    """A bus on which some sites are there only from, or until, a look for nodes."""

    def __init__(self, sites: list[SiteApp], here: list[set[int]]) -> None:
        super().__init__(dict(enumerate(sites)), len(sites), {})
        self._here = here
        self._looks = -1

    def get_node_ids(self) -> Iterable[int]:
        """Return who is there at this look: the first is that of joining."""
        self._looks += 1
        return [1001 + index for index in self._here[self._looks]]


def test_sites_leave_come_back_and_join_late() -> None:
    """No site leaves without a word: the round that it misses names it."""
    here = [{0, 1, 2}, {0, 1, 2}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}, {0, 1, 2, 3}]
    outcome = Outcome()
    strategy_of(outcome).start(ScheduledGrid(list(honest()), here), 3)
    assert [done.answered for done in outcome.rounds] == [
        ("east", "north"),
        ("east", "north", "south"),
        NAMES,
        NAMES,
    ]
    assert outcome.quarantined == {("south", "node-gone")}


def test_a_run_whose_sites_leave_stops_with_their_names() -> None:
    outcome = Outcome()
    grid = ScheduledGrid(list(honest()), [{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, {1}])
    with pytest.raises(QuorumNotReached, match="missing: east, south, west"):
        strategy_of(outcome, cohort=cohort_of(quorum=2)).start(grid, 5)
    assert [progress.state.server_round for progress in outcome.kept] == [0, 1]


def test_flower_could_drive_the_round_itself() -> None:
    """The ABC's methods take and return what Flower's own loop passes between them."""
    outcome, grid = Outcome(), grid_of(honest())
    started = strategy_of(outcome)
    started.start(grid, 0)
    strategy: Strategy = started
    content = messages.position(
        messages.Position(
            charter=CHARTER,
            run=TERMS.run,
            server_round=1,
            state=np.zeros(DIM),
            statistics=outcome.kept[-1].statistics,
        )
    )
    arrays, config = wire.arrays_and_facts(content)
    asked = strategy.configure_train(1, arrays, config, grid)
    replies = Exchange(grid=grid, deadline_s=0.0).replies(asked)
    moved, metrics = strategy.aggregate_train(1, replies)
    assert isinstance(moved, ArrayRecord)
    state = wire.read_vector(moved["state"], dim=DIM)
    assert state.tolist() == outcome.kept[-1].state.vector.tolist()
    assert metrics == {"num-sites": 4}
    asked = strategy.configure_evaluate(2, moved, ConfigRecord({**config, "round": 2}), grid)
    counted = strategy.aggregate_evaluate(2, Exchange(grid=grid, deadline_s=0.0).replies(asked))
    assert counted == {"num-sites": 4}
    strategy.summary()
    assert outcome.model == run(honest(), rounds=1).model


def test_ledgers_are_compared_once_for_the_sites_of_a_private_run(tmp_path: Path) -> None:
    """In the clear too, if the members have keys; each site is asked before the first round."""
    forget_processes()
    consortium = Consortium.placed(tmp_path / "run", floors=Floors(full_class_examples=40))
    private = {"dp.unit": "person", "dp.epsilon": 0.5, "dp.delta": 1e-6, "dp.steps": 1}
    course = clear_run(consortium, {"num_server_rounds": 2, **private})
    assert course.error is None, course.error
    for kind in ("query.attest", "query.compare"):
        assert {asked.site for asked, _ in course.answers(kind)} == set(MEMBERS)
        assert len(course.answers(kind)) == len(MEMBERS)


COUNTING = replace(TERMS, contribution=ExactTally(size=2, bounds=(0, 1_000)), attempts=2)


def counting(seen: list[str], *, silent: Mapping[str, tuple[int, ...]]) -> list[SmallSite]:
    """Return sites that send their number of examples twice, and what they are not asked for."""

    def spoil_of(name: str) -> Spoil:
        asked: list[int] = []

        def spoil(content: RecordDict) -> RecordDict:
            asked.append(1)
            if len(asked) in silent.get(name, ()):
                raise Vanished
            seen.append(name)
            arrays, facts = wire.arrays_and_facts(content)
            summed = wire.tally_array(np.full(2, int(facts["num-examples"])))  # type: ignore[arg-type]
            return wire.content({"tally": arrays["tally"], "summed": summed}, dict(facts))  # type: ignore[arg-type]

        return spoil

    return [
        SmallSite(name=name, num_examples=100, spoil={messages.TRAIN: spoil_of(name)})
        for name in NAMES
    ]


def sums_of(sites: list[SmallSite], outcome: Outcome) -> Synchronous:
    def move(vector: Vector, statistics: Tally, pooled: Tally) -> Vector:
        return vector + float(pooled[0])

    return Synchronous(
        gather=Gather(begin=lambda _state: ExactSum(2)),
        step=TallyStep(move),
        cohort=cohort_of(),
        terms=COUNTING,
        observe=outcome.events.append,
        keep=outcome.kept.append,
    )


def test_every_exact_sum_is_over_the_sites_of_the_first() -> None:
    """Who misses the first is in none of them; who misses a later one is asked again."""
    first, second = NAMES[0], NAMES[1]
    seen: list[str] = []
    outcome, sites = Outcome(), counting(seen, silent={first: (1,), second: (2,)})
    sums_of(sites, outcome).start(grid_of(sites), 3)
    others = tuple(sorted(NAMES[1:]))
    assert [one.summed for one in outcome.kept] == [(), others, others, others]
    assert first not in seen
    moves = np.diff([one.state.vector[0] for one in outcome.kept])
    assert moves.tolist() == [100.0 * len(others)] * 3


def test_a_run_of_exact_sums_stops_where_a_site_of_the_first_stays_away() -> None:
    gone = NAMES[1]
    outcome, sites = Outcome(), counting([], silent={gone: (2, 3)})
    with pytest.raises(QuorumNotReached, match=f"the same sites, and {gone} did not answer"):
        sums_of(sites, outcome).start(grid_of(sites), 3)
    assert outcome.kept[-1].state.server_round == 1
    again = sums_of(sites, outcome).start(grid_of(sites), 3, since=outcome.kept[-1])
    assert again.state.server_round == 3


def test_a_run_of_exact_sums_asks_nobody_while_a_site_of_the_first_is_absent() -> None:
    seen: list[str] = []
    outcome, sites = Outcome(), counting(seen, silent={})
    sums_of(sites, outcome).start(grid_of(sites), 1)
    before = len(seen)
    with pytest.raises(QuorumNotReached, match=f"and {NAMES[-1]} did not answer") as refused:
        sums_of(sites, outcome).start(grid_of(sites[:-1]), 2, since=outcome.kept[-1])
    assert refused.value.missing == (NAMES[-1],)
    assert len(seen) == before
