import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from privacy.policy import document as module
from privacy.policy.document import (
    DAYS,
    LEARNERS,
    QUESTIONS,
    Ceiling,
    Pace,
    Policy,
    PolicyUnreadable,
    PrivacyTerms,
    Releases,
    Volume,
    Window,
    read_policy,
)
from privacy.policy.run_request import Asked, AskedPrivacy, check_run_request, violations
from privacy.policy.violations import (
    CrowdTooSmall,
    EpsilonTooLarge,
    OutsideHours,
    PolicyViolation,
    QuestionNotAllowed,
    TooFewExamples,
)

DP = AskedPrivacy(unit="person", epsilon=1.2, delta=1e-7)
OPEN = Policy(
    tasks=("diagnosis",),
    models=("mlp",),
    columns=("age", "ill", "person"),
    layouts=("d" * 64,),
)
ASKED = Asked(
    task="diagnosis",
    learner="gradient",
    model="mlp",
    columns=("age", "ill", "person"),
    dim=1_000,
    layout="d" * 64,
    encrypted=True,
    crowd=4,
    rounds=20,
    evaluations=21,
    message_bytes=10_000,
    privacy=DP,
)


def codes(policy: Policy, asked: Asked) -> list[str]:
    return [violation.code for violation in violations(policy, asked)]


def other(**changes: Any) -> Asked:
    return Asked(**{**vars(ASKED), **changes})


def test_the_strict_default_allows_no_run() -> None:
    """What is not named is not allowed; what is allowed is encrypted, private and rate-limited."""
    assert codes(Policy(), ASKED)[:3] == [
        "task-not-allowed",
        "model-not-allowed",
        "columns-not-allowed",
    ]
    assert codes(OPEN, ASKED) == []
    plain = other(encrypted=False, privacy=None)
    assert codes(OPEN, plain) == ["encryption-required", "privacy-required"]
    assert not Policy().releases.own_figures


CHANGES: dict[str, dict[str, Any]] = {
    "task-not-allowed": {"task": "credit"},
    "learner-not-allowed": {"learner": "glm"},
    "model-not-allowed": {"model": "logistic"},
    "columns-not-allowed": {"columns": ("age", "postcode", "ill", "person")},
    "layout-not-allowed": {"layout": "e" * 64},
    "encryption-required": {"encrypted": False},
    "privacy-required": {"privacy": None},
    "weaker-unit": {"privacy": AskedPrivacy(unit="record", epsilon=1.0, delta=1e-7)},
    "epsilon-too-large": {"privacy": AskedPrivacy(unit="person", epsilon=3.1, delta=1e-7)},
    "crowd-too-small": {"crowd": 2},
    "too-many-rounds": {"rounds": 101},
    "too-many-bytes": {"message_bytes": 2**26 + 1},
}


@pytest.mark.parametrize("code", CHANGES)
def test_each_thing_that_is_not_allowed_is_refused_for_itself(code: str) -> None:
    assert codes(OPEN, other(**CHANGES[code])) == [code]
    with pytest.raises(PolicyViolation) as caught:
        check_run_request(OPEN, other(**CHANGES[code]))
    assert caught.value.code == code


def test_a_policy_that_names_no_learner_allows_training_and_nothing_that_counts() -> None:
    """Whoever wrote it before there was the key never agreed to exact sums."""
    old = json.loads(OPEN.model_dump_json())
    del old["learners"]
    policy = Policy.model_validate(old)
    assert codes(policy, ASKED) == []
    for learner in set(LEARNERS) - {"gradient"}:
        assert codes(policy, other(learner=learner, model="")) == ["learner-not-allowed"]


def test_the_key_leaves_the_digest_of_a_policy_that_does_not_set_it() -> None:
    named = OPEN.model_copy(update={"learners": ("gradient", "glm")})
    assert named.digest != OPEN.digest
    told = OPEN.model_dump_json(exclude={"evaluations_a_run", "learners"})
    assert OPEN.digest == hashlib.sha256(told.encode()).hexdigest()


def test_the_refusal_of_a_learner_says_what_its_operator_can_set() -> None:
    """Also for a task that nothing else can learn."""
    (error,) = violations(OPEN, other(learner="cox", model="", task="diagnosis"))
    assert '"learners": ["gradient", "cox"] in policy.json' in str(error)
    assert "if it can learn the task diagnosis" in str(error)


def test_a_run_that_trains_no_model_is_not_asked_for_one() -> None:
    counting = OPEN.model_copy(update={"learners": ("glm",), "models": ()})
    assert codes(counting, other(learner="glm", model="")) == []
    assert codes(counting, other(model="mlp")) == ["learner-not-allowed", "model-not-allowed"]


def test_a_learner_that_is_mistyped_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / module.FILE).write_text('{"learners": ["gradient", "score-card"]}')
    with pytest.raises(PolicyUnreadable, match="no learner 'score-card': did you mean 'scorecard'"):
        read_policy(tmp_path)
    (tmp_path / module.FILE).write_text('{"learner": ["gradient"]}')
    with pytest.raises(PolicyUnreadable, match="no key 'learner': did you mean 'learners'"):
        read_policy(tmp_path)


def test_more_numbers_than_allowed_are_refused_before_layouts_are_compared() -> None:
    assert codes(OPEN, other(dim=10**6 + 1, layout="e" * 64)) == ["layout-not-allowed"]


def test_a_larger_delta_buys_no_smaller_epsilon() -> None:
    asked = AskedPrivacy(unit="person", epsilon=0.1, delta=1e-3)
    assert codes(OPEN, other(privacy=asked)) == ["epsilon-too-large"]


def test_what_the_site_computes_itself_or_set_no_ceiling_for_is_left_to_the_ledger() -> None:
    assert codes(OPEN, other(privacy=AskedPrivacy(unit="person"))) == []
    free = OPEN.model_copy(update={"privacy": PrivacyTerms(ceilings={})})
    assert codes(free, other(privacy=AskedPrivacy(unit="person", epsilon=99.0))) == []
    assert free.privacy.ceiling() is None


def test_a_refusal_carries_its_numbers() -> None:
    (error,) = violations(OPEN, other(privacy=AskedPrivacy(unit="person", epsilon=4.5)))
    assert isinstance(error, EpsilonTooLarge)
    assert error.counts == {"asked_milli": 4500, "allowed_milli": 3000}
    (error,) = violations(OPEN, other(crowd=2))
    assert isinstance(error, CrowdTooSmall)
    assert error.counts == {"needed": 3, "asked": 2}


def test_a_data_set_goes_by_its_own_ceiling_if_it_has_one() -> None:
    own = Ceiling(epsilon=0.5, delta=1e-7)
    terms = PrivacyTerms(ceilings={"ward": own, "*": Ceiling(epsilon=2.0, delta=1e-6)})
    assert terms.ceiling("ward") == own
    assert terms.ceiling("other") == terms.ceiling() == Ceiling(epsilon=2.0, delta=1e-6)


ASKS = st.builds(
    Asked,
    task=st.sampled_from(["diagnosis", "credit"]),
    learner=st.sampled_from(["gradient", "glm"]),
    model=st.sampled_from(["mlp", "logistic", ""]),
    columns=st.lists(st.sampled_from(["age", "ill", "person", "postcode"]), unique=True).map(tuple),
    dim=st.integers(1, 2_000_000),
    layout=st.sampled_from(["d" * 64, "e" * 64]),
    encrypted=st.booleans(),
    crowd=st.integers(1, 9),
    rounds=st.integers(1, 300),
    message_bytes=st.integers(1, 2**28),
    privacy=st.none()
    | st.builds(
        AskedPrivacy,
        unit=st.sampled_from(["person", "record"]),
        epsilon=st.none() | st.floats(0.01, 10),
        delta=st.none() | st.floats(1e-9, 1e-3),
    ),
)
POLICIES = st.builds(
    Policy,
    tasks=st.sampled_from([(), ("diagnosis",), ("diagnosis", "credit")]),
    models=st.sampled_from([("mlp",), ("mlp", "logistic")]),
    learners=st.sampled_from([("gradient",), ("glm",), ("gradient", "glm")]),
    columns=st.sampled_from([("age", "ill", "person"), ("age", "ill", "person", "postcode")]),
    max_dim=st.integers(1, 2_000_000),
    require_encryption=st.booleans(),
    privacy=st.builds(
        PrivacyTerms, required=st.booleans(), unit=st.sampled_from(["person", "record"])
    ),
    min_sites=st.integers(1, 9),
    pace=st.builds(Pace, rounds_per_run=st.integers(1, 300), rounds_per_day=st.integers(1, 300)),
    volume=st.builds(Volume, per_message=st.integers(1, 2**28), per_round=st.integers(1, 2**28)),
)


def tightened(policy: Policy) -> list[Policy]:
    """Return stricter forms of a policy, one decision each."""
    half = {"max_dim": max(policy.max_dim // 2, 1), "min_sites": policy.min_sites + 1}
    parts: list[dict[str, Any]] = [
        {"tasks": ()},
        {"columns": policy.columns[:-1]},
        {"learners": policy.learners[:-1]},
        {"require_encryption": True},
        {"privacy": policy.privacy.model_copy(update={"required": True, "unit": "person"})},
        {"pace": policy.pace.model_copy(update={"rounds_per_run": 1})},
        *({key: value} for key, value in half.items()),
    ]
    return [policy.model_copy(update=part) for part in parts]


@given(policy=POLICIES, asked=ASKS)
def test_a_stricter_policy_never_allows_more(policy: Policy, asked: Asked) -> None:
    refused = set(codes(policy, asked))
    for stricter in tightened(policy):
        assert refused <= set(codes(stricter, asked))


@given(policy=POLICIES)
def test_a_policy_is_the_same_after_a_round_trip(policy: Policy) -> None:
    again = Policy.model_validate_json(policy.model_dump_json())
    assert again == policy
    assert again.digest == policy.digest


@given(examples=st.integers(0, 10_000), step=st.integers(1, 500))
def test_a_number_that_leaves_is_rounded_down_and_never_up(examples: int, step: int) -> None:
    releases = Releases(examples_rounded_to=step)
    told = releases.rounded_examples(examples)
    assert told <= examples
    assert told % step == 0 or told == 1
    assert releases.rounded_examples(told) == told
    assert examples - told < step
    assert (told == 0) == (examples == 0)


def test_a_question_is_answered_if_it_is_named() -> None:
    quiet = Policy(questions=("hello",))
    quiet.require_question("hello")
    for question in (*QUESTIONS[1:], "train.default", ""):
        with pytest.raises(QuestionNotAllowed):
            quiet.require_question(question)


def test_hours_are_those_of_a_window() -> None:
    night = Policy(windows=(Window(days=("sat",), opens="22:30", closes="24:00"),))
    night.require_hours(datetime(2026, 11, 21, 23, 59, tzinfo=UTC))
    for moment in (
        datetime(2026, 11, 21, 22, 29, tzinfo=UTC),
        datetime(2026, 11, 22, 0, 0, tzinfo=UTC),
        datetime(2026, 11, 20, 23, 0, tzinfo=UTC),
    ):
        with pytest.raises(OutsideHours):
            night.require_hours(moment)
    Policy().require_hours(datetime(2026, 11, 21, tzinfo=UTC))
    assert DAYS[datetime(2026, 11, 21, tzinfo=UTC).weekday()] == "sat"


def test_too_few_records_are_refused_without_telling_how_many_there_are() -> None:
    Policy().require_examples(100)
    with pytest.raises(TooFewExamples) as caught:
        Policy().require_examples(99)
    assert caught.value.counts == {"needed": 100}
    assert "99" not in str(caught.value)


def test_a_policy_is_read_as_it_is_now(tmp_path: Path) -> None:
    OPEN.write(tmp_path)
    assert read_policy(tmp_path) == OPEN
    assert read_policy(tmp_path) is read_policy(tmp_path)
    later = OPEN.model_copy(update={"min_sites": 5})
    later.write(tmp_path)
    os.utime(tmp_path / module.FILE, ns=(1, 1))
    assert read_policy(tmp_path) == later


def garbled(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        garbled("{"),
        garbled('{"tasks": ["diagnosis"], "taskz": []}'),
        garbled('{"version": 2}'),
        garbled('{"privacy": {"ceilings": {"*": {"epsilon": 0, "delta": 1e-6}}}}'),
        garbled('{"windows": [{"opens": "8:00", "closes": "09:00"}]}'),
    ],
)
def test_without_a_policy_that_can_be_read_nothing_is_answered(
    spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    OPEN.write(tmp_path)
    spoil(tmp_path / module.FILE)
    with pytest.raises(PolicyUnreadable):
        read_policy(tmp_path)


def test_a_ceiling_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        Ceiling(epsilon=float("inf"), delta=1e-6)
