"""A triggered run: "nothing new" is an answer and no fault, and moves nothing by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.wire import flower_records as wire
from privacy.wire import messages
from scenarios.engines.in_process import Vanished
from strategies.coordinator.messaging.cohort import QuorumNotReached
from strategies.coordinator.messaging.events import SiteUnchanged
from strategies.coordinator.plaintext.triggered import Triggered
from strategies.model_state import OptimizerStep
from strategies.server_optimizer import OptimizerOptions, sgd
from tests.small_site import (
    LAYOUT,
    MEAN,
    NAMES,
    STATISTICS_SIZE,
    TERMS,
    Outcome,
    SmallSite,
    cohort_of,
    grid_of,
    honest,
    run,
    update_of,
)


def vanishes(_content: RecordDict) -> RecordDict:
    raise Vanished


@dataclass
class Quiet:
    """A site that has nothing new in some rounds, unless it is asked to train all the same."""

    site: SmallSite
    quiet: frozenset[int]
    says: str = "nothing-new"
    insisted: list[int] = field(default_factory=list)

    def __call__(self, message: Message, context: Context) -> Message:
        """Answer, or say that there is nothing new."""
        if message.metadata.message_type == messages.TRAIN:
            stands = messages.read_position(
                message.content, dim=LAYOUT.dim, statistics_size=STATISTICS_SIZE
            )
            if stands.insists:
                self.insisted.append(stands.server_round)
            elif stands.server_round in self.quiet:
                said = wire.refusal_of(self.says, {}, site=self.site.name)
                return Message(said, reply_to=message)
        return self.site(message, context)


def consortium(quiet: Mapping[str, set[int]]) -> list[Quiet]:
    return [Quiet(site, frozenset(quiet.get(site.name, ()))) for site in honest()]


def start(sites: list[Quiet], *, quorum: int = 2, rounds: int = 3) -> Outcome:
    outcome = Outcome()
    Triggered(
        gather=MEAN,
        step=OptimizerStep(optimizer=sgd(OptimizerOptions())),
        cohort=cohort_of(quorum=quorum),
        terms=TERMS,
        observe=outcome.events.append,
        keep=outcome.kept.append,
    ).start(grid_of(sites), rounds)
    return outcome


def unchanged_in(outcome: Outcome) -> list[tuple[str, ...]]:
    return [done.unchanged for done in outcome.rounds]


@settings(max_examples=5, deadline=None)
@given(names=st.sets(st.sampled_from(NAMES), min_size=2))
def test_if_all_have_something_new_the_bits_are_those_of_a_synchronous_run(names: set[str]) -> None:
    sites = [site for site in consortium({}) if site.site.name in names]
    assert start(sites).model == run([site.site for site in sites], rounds=3).model


def test_nothing_new_counts_as_an_update_of_zero_with_the_weight_of_its_site() -> None:
    """Computed here: east and south say so, and the mean is over all four."""
    outcome = start(consortium({"east": {1}, "south": {1}}), rounds=1)
    examples = {site.name: site.num_examples for site in honest()}
    moved = sum(
        examples[name] * update_of(name, 1, np.zeros(LAYOUT.dim)).astype(float)
        for name in ("north", "west")
    ) / sum(examples.values())
    np.testing.assert_allclose(outcome.kept[-1].state.vector, moved, rtol=1e-6)
    assert outcome.rounds[0].answered == ("north", "west")
    assert outcome.rounds[0].unchanged == ("east", "south")


def test_who_has_nothing_new_is_not_left_out_and_is_told_apart() -> None:
    outcome = start(consortium({"east": {1, 2, 3}}))
    assert outcome.quarantined == set()
    told = [event for event in outcome.events if isinstance(event, SiteUnchanged)]
    assert [(one.server_round, one.site) for one in told] == [(n, "east") for n in (1, 2, 3)]
    assert "east" in outcome.rounds[-1].answered, "it evaluates like any other"


def test_where_nobody_has_something_new_the_model_stands_and_the_run_goes_on() -> None:
    """The quorum is there: all have answered."""
    outcome = start(consortium({name: {2} for name in NAMES}))
    vectors = [progress.state.vector.tolist() for progress in outcome.kept]
    assert vectors[1] == vectors[2] != vectors[3]
    assert [progress.state.server_round for progress in outcome.kept] == [0, 1, 2, 3]
    assert unchanged_in(outcome) == [(), NAMES, (), ()]


def test_too_few_updates_move_no_model_so_the_others_are_asked_once_more() -> None:
    """The model of one update alone would show it to every member."""
    sites = consortium({"east": {2}, "north": {2}, "south": {2}})
    outcome = start(sites, quorum=2)
    assert [site.insisted for site in sites] == [[2], [2], [2], []]
    assert sorted(outcome.rounds[1].answered) == list(NAMES)
    assert unchanged_in(outcome) == [(), (), (), ()]


def test_a_site_that_is_silent_is_no_site_with_nothing_new() -> None:
    """Two say so and two are gone: that is fewer than the quorum."""
    sites = consortium({"east": {1}, "north": {1}})
    for gone in sites[2:]:
        gone.site = replace(gone.site, spoil={messages.TRAIN: vanishes})
    with pytest.raises(QuorumNotReached, match="needs 3 sites, 2 answered; missing: south, west"):
        start(sites, quorum=3)


def test_a_refusal_for_another_reason_leaves_a_site_out() -> None:
    sites = consortium({"east": {1}})
    sites[NAMES.index("east")].says = "outside-hours"
    outcome = start(sites, rounds=1)
    assert outcome.quarantined == {("east", "site-refused.outside-hours")}
    assert outcome.rounds[0].unchanged == ()


def test_an_insistent_question_is_told_on_the_wire_and_any_other_is_as_before() -> None:
    stands = messages.Position(
        charter="c" * 64,
        run="run-1",
        server_round=1,
        state=np.zeros(LAYOUT.dim),
        statistics=np.zeros(STATISTICS_SIZE, np.int64),
    )

    def facts_of(position: messages.Position) -> dict[str, object]:
        return dict(wire.arrays_and_facts(messages.position(position))[1])

    assert set(facts_of(stands)) == {"charter", "run", "round"}
    insistent = facts_of(replace(stands, insists=True))
    assert insistent == {**facts_of(stands), "insists": 1}
