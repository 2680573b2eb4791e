"""A run goes on from the state that a site reached last, under one charter, and is then over."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.protocol.envelope import EVALUATION
from privacy.protocol.masks.groups import confirmations_needed, witnesses
from privacy.secrets.answer_memory import Answer
from privacy.secrets.masked_runs.pair_memory import RunForgotten
from privacy.secrets.masked_runs.reached_states import (
    ContinuedElsewhere,
    ReachedState,
    RunWentOn,
    StateNotHeld,
    TooFewRemain,
)
from privacy.secrets.replay_guard import RUNS_KEPT, KeyBurned, SiteMemory
from tests.masked_sites import CHARTER, RUN, begin, no_claim, slot_of

NEXT, OTHER = "1" * 64, "2" * 64
NAMES = tuple("abcde")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SiteMemory]:
    with SiteMemory(tmp_path / "memory") as memory:
        begin(memory)
        yield memory


def reached(server_round: int) -> ReachedState:
    return ReachedState(
        state=bytes([server_round]) * 32,
        settings=bytes(32),
        roster=NAMES,
        needed=4,
        content=b"state %d" % server_round,
    )


def go(memory: SiteMemory, server_round: int) -> ReachedState:
    """Let the site answer a round from a state."""
    state = reached(server_round)
    memory.reached.keep(RUN, server_round, state)
    memory.answers.remember_reply(
        Answer(
            slot=slot_of(server_round=server_round),
            request=bytes(32),
            state=state.state,
            receipt=b"receipt",
            reply=b"upload",
        )
    )
    return state


def test_the_last_state_is_held_and_no_earlier_one(memory: SiteMemory) -> None:
    first, second = go(memory, 1), go(memory, 2)
    assert memory.reached.held(RUN, second.state) == second
    memory.reached.keep(RUN, 2, replace(second, content=b"another"))
    assert memory.reached.held(RUN, second.state) == second
    for state in (first.state, bytes(32)):
        with pytest.raises(StateNotHeld):
            memory.reached.held(RUN, state)
    with pytest.raises(StateNotHeld):
        memory.reached.held("other-run", second.state)


def test_a_state_from_which_nothing_was_answered_is_not_held(memory: SiteMemory) -> None:
    first = go(memory, 1)
    memory.reached.keep(RUN, 2, reached(2))
    with pytest.raises(StateNotHeld):
        memory.reached.held(RUN, first.state)


def test_a_run_goes_on_under_one_charter_and_is_over(memory: SiteMemory) -> None:
    """Claimed again, nothing changes; its secrets serve nothing from then on."""
    state = go(memory, 2)
    for _ in range(2):
        memory.reached.claim(RUN, NEXT, state)
    assert memory.reached.continued() == (RUN,)
    assert memory.reached.held(RUN, state.state) == state
    with pytest.raises(ContinuedElsewhere):
        memory.reached.claim(RUN, OTHER, state)
    with pytest.raises(ContinuedElsewhere):
        memory.reached.claim(RUN, NEXT, reached(1))
    with pytest.raises(KeyBurned):
        memory.require_unburned(RUN)
    with pytest.raises(RunForgotten):
        memory.masks.confirm(slot_of(server_round=2), bytes(32), only_sites={}, claim=no_claim)
    assert RUN not in memory.pairs.open_runs(CHARTER)


def test_what_was_sealed_from_the_state_is_let_go(memory: SiteMemory, tmp_path: Path) -> None:
    state = go(memory, 2)
    memory.reached.claim(RUN, NEXT, state)
    memory.pairs.forget_run(RUN)
    kept = b"".join(path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file())
    assert b"upload" not in kept
    assert b"private " + RUN.encode() not in kept


@pytest.mark.parametrize("purpose", ["training", EVALUATION])
def test_who_confirmed_a_sum_from_the_state_does_not_go_on_from_it(
    memory: SiteMemory, purpose: str
) -> None:
    state = go(memory, 2)
    slot = replace(slot_of(server_round=2), purpose=purpose)
    memory.masks.confirm(slot, bytes(32), only_sites={}, claim=no_claim)
    with pytest.raises(RunWentOn, match="round 2"):
        memory.reached.claim(RUN, NEXT, state)
    memory.require_unburned(RUN)


def test_a_sum_of_the_round_before_is_what_the_state_was_made_from(memory: SiteMemory) -> None:
    go(memory, 1)
    memory.masks.confirm(slot_of(server_round=1), bytes(32), only_sites={}, claim=no_claim)
    memory.reached.claim(RUN, NEXT, go(memory, 2))


def test_the_state_outlives_the_openings_of_other_runs(memory: SiteMemory) -> None:
    """Until the run that went on from it comes to its end."""
    state = go(memory, 2)
    for number in range(RUNS_KEPT + 2):
        memory.accept_opening(f"run-{number}", bytes(32))
    assert memory.reached.held(RUN, state.state) == state
    memory.reached.claim(RUN, NEXT, state)
    memory.pairs.forget_run(RUN)
    for number in range(RUNS_KEPT + 2):
        memory.accept_opening(f"later-{number}", bytes(32))
    assert memory.reached.held(RUN, state.state) == state
    memory.answers.finish_run(RUN)
    with pytest.raises(StateNotHeld):
        memory.reached.held(RUN, state.state)


def test_a_run_that_was_forgotten_does_not_go_on_for_ever(memory: SiteMemory) -> None:
    state = go(memory, 2)
    memory.pairs.forget_run(RUN)
    for number in range(RUNS_KEPT):
        memory.accept_opening(f"run-{number}", bytes(32))
    with pytest.raises(StateNotHeld):
        memory.reached.held(RUN, state.state)


@given(size=st.integers(3, 40), colluders=st.integers(0, 4), data=st.data())
def test_of_those_who_remain_an_honest_one_knows_each_sum(
    size: int, colluders: int, data: st.DataObject
) -> None:
    """Whoever confirmed a sum: more of them remain than are in league."""
    roster = tuple(sorted(f"s{number:02}" for number in range(size)))
    confirming = witnesses(roster)
    needed = confirmations_needed(len(confirming), colluders)
    one = replace(reached(1), roster=roster, needed=max(needed, 1))
    remaining = tuple(sorted(data.draw(st.sets(st.sampled_from(roster), min_size=1))))
    signed = data.draw(st.permutations(confirming))[:needed]
    try:
        one.require_enough(remaining)
    except TooFewRemain:
        few = len({*confirming}.intersection(remaining)) < needed
        assert few or 2 * len(remaining) <= size
    else:
        assert 2 * len(remaining) > size
        if needed <= len(confirming):
            assert len({*signed}.intersection(remaining)) > colluders
