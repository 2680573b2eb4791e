"""A run in the clear that was interrupted ends as if it had not been."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from flwr.app import Context, Message
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.layout import Field, Layout
from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid, SiteApp, Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import RoundFinished, RoundStarted
from strategies.coordinator.messaging.roster import OtherLayout
from strategies.coordinator.plaintext.parameters import Progress
from tests.small_site import (
    NAMES,
    TERMS,
    Outcome,
    SmallSite,
    Spoil,
    cohort_of,
    grid_of,
    honest,
    run,
    strategy_of,
)

ROUNDS = 4


@settings(max_examples=10)
@given(done=st.integers(0, ROUNDS))
def test_a_run_that_goes_on_ends_in_the_model_of_one_that_never_stopped(done: int) -> None:
    """It resumes from what was stored last; finished rounds are not run again."""
    whole, later = run(honest(), rounds=ROUNDS), Outcome()
    strategy_of(later).start(grid_of(honest()), ROUNDS, since=whole.kept[done])
    assert [one.server_round for one in later.rounds] == list(range(done + 1, ROUNDS + 2))
    ended = later.kept[-1] if later.kept else whole.kept[done]
    assert ended.state.vector.tolist() == whole.kept[-1].state.vector.tolist()
    assert {one.run for one in (*whole.kept, *later.kept)} == {TERMS.run}


def test_a_round_is_stored_after_all_its_events_were_observed() -> None:
    """So a run that dies in between repeats the round and loses none."""
    outcome, told = Outcome(), []

    def keep(progress: Progress) -> None:
        told.append(sum(isinstance(event, RoundFinished) for event in outcome.events))
        outcome.kept.append(progress)

    strategy = strategy_of(outcome)
    strategy._keep = keep
    strategy.start(grid_of(honest()), 2)
    assert told == [0, 1, 2]


def test_a_run_does_not_go_on_with_another_vector() -> None:
    since = run(honest()).kept[-1]
    other = Layout(fields=(Field("w", (2,)),), start="seed 7")
    sites = [replace(site, layout=other) for site in honest()]
    with pytest.raises(OtherLayout, match="start a new run"):
        strategy_of(Outcome()).start(grid_of(sites), 4, since=since)


def forgetful(site: SiteApp) -> SiteApp:
    """Return the site, silent the first time it is asked in a round of training."""
    asked = set()

    def app(message: Message, context: Context) -> Message:
        turn = message.metadata.group_id
        if message.metadata.message_type == messages.TRAIN and turn not in asked:
            asked.add(turn)
            raise Vanished
        return site(message, context)

    return app


def two_forget() -> list[SiteApp]:
    return [*map(forgetful, honest(NAMES[:2])), *honest(NAMES[2:])]


def test_a_round_below_its_quorum_is_tried_again() -> None:
    outcome, terms = Outcome(), replace(TERMS, attempts=2)
    cohort = cohort_of(quorum=3)
    strategy_of(outcome, cohort=cohort, terms=terms).start(grid_of(two_forget()), 2)
    started = [e.server_round for e in outcome.events if isinstance(e, RoundStarted)]
    assert started == [0, 1, 1, 2, 2, 3]
    assert [one.answered for one in outcome.rounds] == [NAMES] * 3
    with pytest.raises(QuorumNotReached):
        strategy_of(Outcome(), cohort=cohort).start(grid_of(two_forget()), 2)


@pytest.mark.parametrize(
    ("codes", "tries"),
    [
        (("budget-exhausted", "epsilon-too-large"), 1),
        (("budget-exhausted", "too-often"), 3),
        (("outside-hours", "too-often"), 3),
    ],
)
def test_a_round_is_not_tried_again_for_who_would_refuse_again(
    codes: tuple[str, ...], tries: int
) -> None:
    """Three of four sites are needed; a refusal for the hour or the rate may pass."""

    def refusing(code: str) -> Mapping[str, Spoil]:
        return {messages.TRAIN: lambda _content: wire.refusal_of(code, {"left_milli": 5})}

    told = zip(NAMES[:2], codes, strict=True)
    sites = [SmallSite(name=name, spoil=refusing(code)) for name, code in told]
    sites += honest(NAMES[2:])
    outcome, terms = Outcome(), replace(TERMS, attempts=3)
    with pytest.raises(QuorumNotReached) as ended:
        strategy_of(outcome, cohort=cohort_of(quorum=3), terms=terms).start(grid_of(sites), 2)
    assert ended.value.missing == NAMES[:2]
    started = [e.server_round for e in outcome.events if isinstance(e, RoundStarted)]
    assert started == [0, *[1] * tries]


def test_a_run_waits_for_sites_that_are_gone_until_the_join_deadline() -> None:
    class Returning(InProcessGrid):
        looks = 0

        def get_node_ids(self) -> list[int]:
            self.looks += 1
            away = 3 <= self.looks <= 5
            return [] if away else list(super().get_node_ids())

    grid = Returning(dict(enumerate(honest())), len(NAMES), {})
    cohort = replace(cohort_of(quorum=4), join_deadline_s=30.0)
    outcome = Outcome()
    strategy_of(outcome, cohort=cohort).start(grid, 2)
    assert [one.answered for one in outcome.rounds] == [NAMES] * 3
    assert grid.looks > 5
