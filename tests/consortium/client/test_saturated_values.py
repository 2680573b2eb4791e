"""Sites count what they cut off; the number travels sealed, and is released as a pooled figure."""

from pathlib import Path

import numpy as np
import pytest
from flwr.app import RecordDict

from consortium.client.policy_gate import gate_of
from consortium.protocol.parameters import planes
from privacy.encryption.quantisation import saturated_values
from privacy.policy.violations import NotReleased
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedRound
from privacy.wire.flower_records import tally_array
from tests.decisions import decide
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Passing,
    Place,
    forget_processes,
    read_reply,
    read_round,
)

TOO_SMALL = 1e-5  # a first scale


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    forget_processes()
    return Consortium.placed(tmp_path / "run")


def run_of(
    consortium: Consortium, rounds: int, *, first_scale: float = 1.0, rule: str = "following"
) -> Course:
    course = consortium.start(num_server_rounds=rounds, first_scale=first_scale, scale_rule=rule)
    assert course.error is None, course.error
    return course


def beyond_the_scales(place: Place, request: SealedRound) -> int:
    """Return how many values of the update that a site has just sealed are beyond the scales."""
    session = place.session(request)
    kept = session.answers.contribution(request)
    assert kept is not None
    return saturated_values(
        np.asarray(kept.update, np.float64),
        weight_class=session.terms.weight_class(kept.num_examples),
        scales=session.terms.step.scales(session.standing(request).state),
        parameters=session.terms.updates.parameters,
        planes=planes(place.config, request.server_round),
    )


def test_the_released_number_is_that_of_all_sites_together(consortium: Consortium) -> None:
    by_hand: list[int] = []
    asked: dict[str, SealedRound] = {}

    def down(passing: Passing) -> RecordDict:
        if passing.kind == "train":
            asked[passing.site] = read_round(passing.content)
        return passing.content

    def up(passing: Passing) -> RecordDict:
        if passing.kind == "train":
            place = consortium.place(
                passing.site, scale_rule="following", first_scale=TOO_SMALL, num_server_rounds=1
            )
            by_hand.append(beyond_the_scales(place, asked[passing.site]))
        return passing.content

    course = consortium.start(
        down=down, up=up, scale_rule="following", first_scale=TOO_SMALL, num_server_rounds=1
    )
    assert len(by_hand) == len(NAMES)
    assert min(by_hand) > 0
    # Nothing is trained in the last question.
    assert [one.saturated for one in course.rounds] == [sum(by_hand), 0]


@pytest.mark.parametrize("every", [1, 2])
def test_a_round_without_counts_tells_no_number(consortium: Consortium, *, every: int) -> None:
    """And no later round tells it instead."""
    course = consortium.start(
        num_server_rounds=2,
        first_scale=TOO_SMALL / 64,
        scale_rule="following",
        evaluate_every=every,
    )
    assert course.error is None, course.error
    numbers = [one.saturated for one in course.rounds]
    assert numbers[0]
    assert numbers[2] == 0
    assert numbers[1] is None if every == 2 else numbers[1]
    assert [one.counted for one in course.rounds] == [True, every == 1, True]


def test_nothing_is_cut_off_with_the_settings_of_a_new_run(consortium: Consortium) -> None:
    course = run_of(consortium, 3)
    assert [one.saturated for one in course.rounds] == [0] * 4
    evaluated = [bool(one.evaluation.any()) for one in course.rounds]
    assert evaluated == [False, True, True, True]  # nobody evaluates the start


def test_the_model_is_the_same_whether_the_number_is_released(tmp_path: Path) -> None:
    """Who releases no pooled figures releases not this one either."""
    models = []
    for number in range(2):
        forget_processes()
        consortium = Consortium.placed(tmp_path / str(number))
        for name in NAMES[:2] if number else ():
            decide(consortium.run.site(name), releases={"pooled_figures": False})
        course = run_of(consortium, 2, first_scale=TOO_SMALL)
        told = [one.saturated for one in course.rounds]
        assert told == [None] * 3 if number else told[0]
        models.append(course.model)
    assert models[0] == models[1]


def test_where_too_few_persons_are_evaluated_the_number_leaves_alone(
    consortium: Consortium,
) -> None:
    """It says nothing of persons; in the place of the evaluation stand zeros."""
    for name in NAMES:
        decide(consortium.run.site(name), releases={"minimum_count": 10**6})
    course = run_of(consortium, 1, first_scale=TOO_SMALL)
    assert [bool(one.saturated) for one in course.rounds] == [True, False]
    assert not any(one.evaluation.any() for one in course.rounds)


def test_a_run_of_version_0_1_0_counts_none(consortium: Consortium) -> None:
    course = run_of(consortium, 1, rule="doubling")
    assert [one.saturated for one in course.rounds] == [None, None]
    assert [bool(one.evaluation.any()) for one in course.rounds] == [False, True]


def test_only_the_agreed_counts_leave_and_only_in_their_place(consortium: Consortium) -> None:
    """One number more or fewer behind the evaluation is refused at the site's last gate."""
    course = run_of(consortium, 2)
    released = [
        (asked, answer)
        for asked, answer in course.seen
        if asked.kind != messages.HELLO and "tally" in wire.arrays_and_facts(answer)[0]
    ]
    assert len(released) == 3 * len(NAMES)
    for asked, answer in released:
        place = consortium.place(asked.site, scale_rule="following", num_server_rounds=2)
        form = gate_of(place.site).reply_forms[asked.kind]
        form.require(answer)
        tally = read_reply(answer).released
        assert tally is not None
        assert tally.size == place.site.task.evaluation.layout.size + 1
        for other in (tally[:-1], np.append(tally, 0)):
            with pytest.raises(NotReleased):
                form.require(with_tally(answer, other))


def with_tally(answer: RecordDict, tally: np.ndarray) -> RecordDict:
    arrays, facts = wire.arrays_and_facts(answer)
    return RecordDict(
        {
            wire.ARRAYS: type(arrays)({**arrays, "tally": tally_array(tally)}),
            wire.FACTS: facts,
        }
    )
