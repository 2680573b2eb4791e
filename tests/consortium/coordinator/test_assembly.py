"""Every choice of a run config shows in what the coordinator does with the sites' answers."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message

from consortium.charter.document import BadCharter, Charter, Floors
from consortium.client_app import app as client_app
from consortium.config import BadConfig, RunConfig, Scalar
from consortium.coordinator.assembly import clear_strategy, cohort_for, encrypted_strategy
from consortium.modes.contract import OutsideCharter
from consortium.protocol.parameters import optimizer_for
from consortium.run.directory import RunDirectory
from privacy.errors import ConsortiumError
from privacy.protocol.grouping import weight_class
from privacy.wire import messages
from scenarios.engines.in_process import InProcessGrid
from scenarios.engines.staging import stage
from scenarios.library.registry import scenario_named
from sites.evaluation.contract import evaluation_for
from strategies import model_state
from strategies.coordinator.messaging.cohort import ImpossibleCohort
from strategies.coordinator.messaging.events import RoundStarted, RunEvent, SitesJoined
from strategies.coordinator.plaintext.parameters import Progress
from strategies.rules.registry import RULES, RuleOptions, UnknownRule
from strategies.server_optimizer import OPTIMIZERS

SCENARIO = scenario_named("heart-diagnosis")
NAMES = SCENARIO.sites
EVALUATION = evaluation_for(SCENARIO.table)


@dataclass
class Course:
    """One round, and what the sites sent in it."""

    events: list[RunEvent] = field(default_factory=list)
    kept: list[Progress] = field(default_factory=list)
    sent: dict[str, messages.Contribution] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, int]:
        """What the coordinator makes of each site's examples."""
        (joined,) = [event for event in self.events if isinstance(event, SitesJoined)]
        return dict(joined.weights)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    run = RunDirectory(tmp_path_factory.mktemp("run"))
    stage(run, SCENARIO)
    return run


def one_round(run: RunDirectory, **chosen: Scalar) -> Course:
    config = SCENARIO.config_with({"num-server-rounds": 1, "local-epochs": 1, **chosen})
    course = Course()

    def site(asked: Message, context: Context) -> Message:
        name = NAMES[int(str(context.node_config["partition-id"]))]
        context.node_config["site-dir"] = str(run.site(name))
        reply = client_app(asked, context)
        if asked.metadata.message_type == messages.TRAIN:
            progress = course.kept[-1]
            course.sent[name] = messages.read_contribution(
                reply.content,
                dim=progress.layout.dim,
                tally_size=EVALUATION.layout.size,
                max_examples=10**9,
            )
        return reply

    strategy = clear_strategy(
        config, SCENARIO.charter, "run-1", observe=course.events.append, keep=course.kept.append
    )
    strategy.start(InProcessGrid(site, len(NAMES), config.flat()), config.num_server_rounds)
    return course


@pytest.mark.parametrize("name", sorted(RULES))
def test_the_model_moves_by_the_rule_of_the_config(name: str, staged: RunDirectory) -> None:
    settings: dict[str, Scalar] = {"rule.name": name, "weighting": "equal", "rule.clip-norm": 0.3}
    course = one_round(staged, **settings)
    updates = np.stack([course.sent[site].update for site in sorted(NAMES)]).astype(np.float64)
    rule = RULES[name].build(RuleOptions(clip_norm=0.3), np.zeros(updates.shape[1]))
    np.testing.assert_allclose(
        course.kept[-1].state.vector, rule(updates, np.ones(len(NAMES))), rtol=1e-5, atol=1e-9
    )


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_the_aggregate_moves_the_model_by_the_server_optimizer_of_the_config(
    name: str, staged: RunDirectory
) -> None:
    settings: dict[str, Scalar] = {
        "server-optimizer.name": name,
        "server-optimizer.learning-rate": 0.25,
        "server-optimizer.tau": 0.5,
        "weighting": "equal",
    }
    course = one_round(staged, **settings)
    updates = np.stack([course.sent[site].update for site in sorted(NAMES)]).astype(np.float64)
    optimizer = optimizer_for(SCENARIO.config_with(settings))
    before = model_state.initial_state(updates.shape[1], optimizer)
    expected = model_state.advance_with(before, updates.mean(axis=0), optimizer)
    np.testing.assert_allclose(course.kept[-1].state.vector, expected.vector, rtol=1e-5, atol=1e-9)
    assert len(course.kept[-1].state.moments) == len(expected.moments)


@pytest.mark.parametrize("weighting", ["classes", "examples", "equal"])
def test_a_site_counts_as_the_config_says(weighting: str, staged: RunDirectory) -> None:
    """And the mean is weighted by just that."""
    course = one_round(staged, weighting=weighting)
    examples = {site: sent.num_examples for site, sent in course.sent.items()}
    full = SCENARIO.floors.full_class_examples
    expected = {
        "classes": {s: weight_class(n, full_class_examples=full) for s, n in examples.items()},
        "examples": examples,
        "equal": dict.fromkeys(NAMES, 1),
    }[weighting]
    assert course.weights == expected
    moved = np.average(
        np.stack([course.sent[site].update for site in NAMES]).astype(np.float64),
        axis=0,
        weights=[expected[site] for site in NAMES],
    )
    np.testing.assert_allclose(course.kept[-1].state.vector, moved, rtol=1e-5, atol=1e-9)


def test_a_fraction_of_the_sites_is_asked_and_the_quorum_at_least(staged: RunDirectory) -> None:
    for fraction, quorum, asked in [(0.5, 2, 2), (0.5, 3, 3), (0.75, 2, 3), (1.0, 2, 4)]:
        course = one_round(staged, fraction=fraction, quorum=quorum)
        cohorts = {e.server_round: e.cohort for e in course.events if isinstance(e, RoundStarted)}
        assert len(cohorts[1]) == asked


def built(charter: Charter = SCENARIO.charter, **chosen: Scalar) -> Any:
    config = SCENARIO.config_with(chosen)
    if config.aggregation == "encrypted":
        return encrypted_strategy(
            config,
            charter,
            observe=lambda _event: None,
            keep=lambda _name, _parts: None,
            reach=lambda _progress: None,
        )
    return clear_strategy(config, charter, "run-1", observe=lambda _e: None, keep=lambda _p: None)


MODES: list[dict[str, Scalar]] = [{"aggregation": "clear"}, {"aggregation": "encrypted"}]


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: str(mode["aggregation"]))
@pytest.mark.parametrize(
    ("chosen", "error", "said"),
    [
        ({"quorum": 5}, ImpossibleCohort, "quorum=5 can never be reached by 4 members"),
        ({"quorum": 1}, BadConfig, "below the charter's floor of 2"),
        ({"rule.name": "mediann"}, UnknownRule, "there is no rule 'mediann'"),
        ({"rule.num-byzantine": 1}, ConsortiumError, "does not survive 1 liars"),
    ],
)
def test_an_impossible_run_is_refused_before_anybody_is_asked(
    mode: dict[str, Scalar],
    chosen: dict[str, Scalar],
    error: type[ConsortiumError],
    said: str,
    keyed: Charter,
) -> None:
    with pytest.raises(error, match=said):
        built(keyed if mode["aggregation"] == "encrypted" else SCENARIO.charter, **mode, **chosen)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Charter:
    run = RunDirectory(tmp_path_factory.mktemp("keyed"))
    stage(run, SCENARIO, config=SCENARIO.config_with({"aggregation": "encrypted"}))
    return Charter.read(run.charter)


SCHEDULED: dict[str, tuple[str, dict[str, Scalar], str]] = {
    "a buffer of more than there are": (
        "heart-diagnosis",
        {"schedule": "buffered", "buffer-size": 5},
        "buffer-size=5 would never be reached: 4 sites take part.*Lower buffer-size to 4",
    ),
    "a buffer too small for the rule": (
        "heart-diagnosis",
        {
            "schedule": "buffered",
            "buffer-size": 2,
            "rule.name": "coordinate-median",
            "rule.num-byzantine": 1,
            "weighting": "equal",
        },
        "survives 1 liar among 3 sites or more, got 2",
    ),
    "a late sum": ("heart-odds", {"schedule": "buffered"}, "Set schedule to synchronous"),
    "a sum without a site": (
        "heart-odds",
        {"schedule": "triggered"},
        "Set schedule to synchronous",
    ),
}


@pytest.mark.parametrize(("name", "chosen", "said"), SCHEDULED.values(), ids=SCHEDULED)
def test_a_schedule_that_does_not_fit_the_run_is_refused_before_anybody_is_asked(
    name: str, chosen: dict[str, Scalar], said: str
) -> None:
    scenario = scenario_named(name)
    config = scenario.config_with({"aggregation": "clear", **chosen})
    with pytest.raises(ConsortiumError, match=said):
        clear_strategy(
            config, scenario.charter, "run-1", observe=lambda _e: None, keep=lambda _p: None
        )


@pytest.mark.parametrize("schedule", ["buffered", "triggered"])
@pytest.mark.parametrize("masks", [True, False])
def test_encrypted_rounds_are_in_lockstep(schedule: str, masks: bool) -> None:
    with pytest.raises(BadConfig, match=f"schedule={schedule} runs in the clear only"):
        SCENARIO.config_with({"aggregation": "encrypted", "schedule": schedule, "masks": masks})


def test_noise_takes_a_buffer_and_no_trigger() -> None:
    noise: dict[str, Scalar] = {"dp.unit": "person", "dp.epsilon": 8.0, "weighting": "equal"}
    assert SCENARIO.config_with({**noise, "schedule": "buffered"}).schedule.name == "buffered"
    with pytest.raises(BadConfig, match="depends on its records and has no noise"):
        SCENARIO.config_with({**noise, "schedule": "triggered"})


def test_an_encrypted_run_needs_the_keys_of_all_members(keyed: Charter) -> None:
    assert built(keyed, aggregation="encrypted")
    with pytest.raises(BadCharter, match="public keys of all members"):
        built(aggregation="encrypted")


def test_members_who_agreed_on_encryption_are_never_asked_in_the_clear(keyed: Charter) -> None:
    with pytest.raises(OutsideCharter, match="set aggregation to encrypted"):
        built(keyed, aggregation="clear")


def test_a_scale_beyond_the_charter_is_refused(keyed: Charter) -> None:
    narrow = keyed.model_copy(update={"floors": Floors(largest_scale=0.5)})
    with pytest.raises(OutsideCharter, match=r"first-scale=1\.0 is not between"):
        built(narrow, aggregation="encrypted")


def test_a_cohort_is_what_the_config_and_the_charter_say() -> None:
    config = RunConfig.parse(
        {"quorum": 3, "fraction": 0.5, "deadline-s": 7.0, "join-deadline-s": 9.0, "seed": 11}
    )
    cohort = cohort_for(config, SCENARIO.charter)
    assert cohort.members == NAMES
    assert (cohort.quorum, cohort.fraction, cohort.seed) == (3, 0.5, 11)
    assert (cohort.deadline_s, cohort.join_deadline_s) == (7.0, 9.0)


def test_an_encrypted_run_and_one_in_the_clear_have_the_same_cohort(keyed: Charter) -> None:
    """Sampling depends on members and seed, not on who can read what."""
    ours = cohort_for(SCENARIO.config_with({}), SCENARIO.charter)
    theirs = cohort_for(SCENARIO.config_with({"aggregation": "encrypted"}), keyed)
    assert ours == replace(theirs, identities={})
