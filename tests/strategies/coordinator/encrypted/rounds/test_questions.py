"""A question is made of what is asked, for those who are there, and signed."""

import pytest

from privacy.protocol.envelope import EVALUATION, TRAINING
from privacy.wire.encrypted_messages import SealedRound
from strategies.coordinator.encrypted.rounds.questions import Questions
from strategies.coordinator.messaging.events import RunEvent
from tests.carrier import roster_of
from tests.small_consortium import (
    COORDINATOR,
    NAMES,
    Consortium,
    Course,
    message,
    read_round,
    rehearsed,
)

ROUND = 2


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Consortium, Course]:
    return rehearsed(tmp_path_factory.mktemp("honest"))


def asked(course: Course) -> SealedRound:
    return read_round(course.moments["east", "train", ROUND].asked.content)


def test_a_question_is_signed_and_goes_to_those_of_its_sites_who_are_there(
    honest: tuple[Consortium, Course],
) -> None:
    consortium, course = honest
    terms, told = consortium.strategy(Course())._terms, list[RunEvent]()
    roster = roster_of(consortium, NAMES[:3])
    questions = Questions(
        terms=terms, roster=roster, keep=lambda _name, _parts: None, observe=told.append
    )
    forms = {
        TRAINING: terms.update_form(roster.layout, ROUND),
        EVALUATION: terms.evaluation_form(roster.layout),
    }
    question = questions.put(asked(course), NAMES[1:], forms)
    assert question.request == asked(course)  # signed alike
    question.request.digests.verify(COORDINATOR.public, question.request.signature)
    assert set(question.nodes) == {"north", "south"}
    slots = {purpose: sums.slot for purpose, sums in question.sums.items()}
    assert {one.server_round for one in slots.values()} == {ROUND}
    assert {purpose: slot.purpose for purpose, slot in slots.items()} == {
        TRAINING: TRAINING,
        EVALUATION: EVALUATION,
    }
    assert all(set(sums.roster) == set(NAMES) for sums in question.sums.values())


def test_a_reply_is_read_with_the_agreed_bounds(honest: tuple[Consortium, Course]) -> None:
    consortium, course = honest
    terms = consortium.strategy(Course())._terms
    questions = Questions(
        terms=terms,
        roster=roster_of(consortium),
        keep=lambda _name, _parts: None,
        observe=lambda _event: None,
    )
    reply = message("train", course.moments["east", "train", ROUND].answer)
    assert len(questions.read(reply.content, ROUND).upload) == (
        terms.updates(roster_of(consortium).layout, ROUND).upload_bytes
    )
