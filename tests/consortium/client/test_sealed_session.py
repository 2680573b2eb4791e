"""What a site answers, and how often: asked again, asked twice, asked for another run."""

from dataclasses import replace
from pathlib import Path

import pytest

from consortium.client.encrypted.session import Session
from privacy.protocol.envelope import Receipt, SealedState
from privacy.protocol.key_messages import Opening
from privacy.protocol.receipts import decode_receipts
from privacy.secrets.key_exchange import RunPlan, make_opening
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire.encrypted_messages import SealedRound, opening_request, read_opening
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Moment,
    Place,
    altered,
    configured,
    forget_processes,
    read_reply,
    signed,
    with_receipts,
)

Honest = tuple[Consortium, Course]
ROUND = 3


def test_the_same_message_gets_the_answer_it_got_then_but_for_what_is_random(
    place: Place, moment: Moment
) -> None:
    """The nonce, and the randomness of encryption: everything else is computed alike."""
    then, now = read_reply(moment.answer), read_reply(place.ask("train", moment.asked.content))
    assert now.released is not None
    assert then.released is not None
    assert now.released.tolist() == then.released.tolist()
    first, second = Receipt.decode(then.receipt), Receipt.decode(now.receipt)
    assert replace(second.label, nonce=first.label.nonce) == first.label
    assert second.label.nonce != first.label.nonce
    assert now.upload != then.upload


@pytest.mark.parametrize("kind", ["train", "evaluate", "query.statistics"])
def test_asked_again_a_site_sends_the_same_bytes_and_does_nothing_anew(
    honest: Honest, kind: str, tmp_path: Path, trainings: list[int]
) -> None:
    number = {"train": ROUND, "evaluate": ROUND + 1, "query.statistics": 0}[kind]
    moment = honest[1].moments["north", kind, number]
    place = moment.again(tmp_path / "north")
    first = place.ask(kind, moment.asked.content)
    done = len(trainings)
    forget_processes()
    assert place.ask(kind, moment.asked.content) == first
    assert len(trainings) == done == int(kind == "train")


def test_asked_for_its_state_as_well_it_is_the_same_question(
    place: Place, moment: Moment, trainings: list[int]
) -> None:
    quiet = read_reply(place.ask("train", moment.asked.content))
    loud = read_reply(place.ask("train", altered(moment.asked.content, report=True)))
    assert loud.upload == quiet.upload
    assert SealedState.decode(loud.state).digest == Receipt.decode(loud.receipt).label.state
    assert len(trainings) == 1


def test_another_attempt_seals_the_same_update_anew(
    place: Place, moment: Moment, session: Session, trainings: list[int]
) -> None:
    """No new training, so no new privacy cost: only the label differs."""
    receipts, updates = [], []
    for attempt in (1, 2, 3, 4):
        reply = read_reply(place.ask("train", altered(moment.asked.content, attempt=attempt)))
        receipts.append(Receipt.decode(reply.receipt))
        given = session.answers.contribution(moment.request)
        updates.append(given.encode() if given else b"")
    assert len(trainings) == 1
    assert len(set(updates)) == 1
    assert updates[0]
    assert [one.label.slot.attempt for one in receipts] == [1, 2, 3, 4]
    assert len({one.upload for one in receipts}) == 4
    assert {one.label.state for one in receipts} == {receipts[0].label.state}


def test_a_round_is_not_replayed(honest: Honest, place: Place) -> None:
    """Neither the message of an earlier round, nor another attempt at it."""
    earlier = honest[1].moments["north", "train", 2].asked.content
    assert place.refusal("train", earlier) == ""
    assert place.refusal("train", honest[1].moments["north", "train", 1].asked.content) == (
        "answer-forgotten"
    )
    asked = honest[1].moments["north", "train", ROUND].asked.content
    assert place.refusal("train", asked) == ""
    for attempt in (1, 2):
        assert place.refusal("train", altered(earlier, attempt=attempt)) == "answer-forgotten"


def test_a_question_that_was_answered_is_not_asked_with_other_content(
    place: Place, moment: Moment, trainings: list[int]
) -> None:
    place.ask("train", moment.asked.content)
    receipts = decode_receipts(moment.request.receipts)
    asked = with_receipts(moment.request, list(reversed(receipts)))
    assert place.refusal("train", asked) == "already-answered"
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("train", 0),
        ("train", ROUND + 1),
        ("train", 2**31 - 1),
        ("evaluate", ROUND),
        ("evaluate", ROUND + 2),
        ("query.statistics", 1),
        ("query.release", ROUND),
        ("query.release", 0),
    ],
)
def test_a_run_has_no_other_rounds_than_its_config_says(
    place: Place, moment: Moment, trainings: list[int], kind: str, number: int
) -> None:
    """A coordinator cannot train a site further than was agreed, nor count twice."""
    asked = altered(moment.asked.content, server_round=number)
    assert place.refusal(kind, asked) == "wrong-round"
    assert not trainings


def test_another_opening_is_another_run(
    honest: Honest, place: Place, moment: Moment, tmp_path: Path
) -> None:
    """Receipts and sums of one are nothing in the other, within one start."""
    east = honest[1].moments["east", "train", ROUND].again(tmp_path / "east")
    first = Opening.decode(moment.request.opening).run
    content = opening_request(honest[0].charter.fingerprint, "small", NAMES, first)
    encoded = read_opening(east.ask("query.open", content))
    assert Opening.decode(encoded).run != first
    asked = altered(moment.asked.content, opening=encoded)
    assert place.refusal("train", asked) == "wrong-run"


def test_a_run_is_opened_again_three_times_at_most(
    honest: Honest, place: Place, moment: Moment, tmp_path: Path
) -> None:
    """Of one lineage; then people decide."""
    east = honest[1].moments["east", "train", ROUND].again(tmp_path / "east")
    first = Opening.decode(moment.request.opening).run
    codes = []
    for _ in range(4):
        content = opening_request(honest[0].charter.fingerprint, "small", NAMES, first)
        encoded = read_opening(east.ask("query.open", content))
        question = SealedRound(
            charter=moment.request.charter, server_round=0, attempt=1, opening=encoded
        )
        codes.append(place.refusal("query.statistics", signed(question)))
    assert codes == ["", "", "", "too-many-openings"]


def test_an_opening_for_other_terms_is_refused(
    honest: Honest, place: Place, moment: Moment
) -> None:
    consortium, _ = honest
    session = place.session(moment.request)
    right = Opening.decode(moment.request.opening)
    epoch = session.terms.member.epoch()

    def opened_for(agreement: object = consortium.charter.agreement, **changes: object) -> bytes:
        plan = {"label": "small", "descriptor": right.terms.descriptor, "roster": NAMES}
        return make_opening(
            RunPlan(**{**plan, **changes}),  # type: ignore[arg-type]
            session.terms.opened.scheme_secret,
            opener=consortium.identity("east"),
            agreement=agreement,  # type: ignore[arg-type]
            secret=epoch,
        ).encode()

    lax = replace(consortium.charter.agreement, min_others=1)
    elsewhere = replace(consortium.charter.agreement, charter=bytes(32))
    unsigned = replace(right, signature=bytes(64)).encode()
    for encoded, code in {
        opened_for(elsewhere): "wrong-charter",
        opened_for(descriptor=bytes(32)): "wrong-descriptor",
        opened_for(roster=("east", "south", "west")): "not-in-roster",
        opened_for(lax, roster=("east", "north")): "too-few-others",
        unsigned: "bad-signature",
        b"no opening": "malformed-envelope",
    }.items():
        assert place.refusal("train", altered(moment.asked.content, opening=encoded)) == code
    assert place.refusal("train", moment.asked.content) == ""


def test_no_run_is_opened_for_fewer_sites_than_the_floor(honest: Honest, place: Place) -> None:
    content = opening_request(honest[0].charter.fingerprint, "small", ("east", "north"), "")
    assert place.refusal("query.open", content) == "too-few-others"


@pytest.mark.parametrize("kind", ["train", "evaluate", "query.statistics", "query.release"])
def test_another_charter_is_refused(place: Place, moment: Moment, kind: str) -> None:
    number = {"train": 3, "evaluate": 4, "query.statistics": 0, "query.release": 5}[kind]
    asked = altered(moment.asked.content, charter="c" * 64, server_round=number)
    assert place.refusal(kind, asked) == "other-charter"


def test_another_run_config_is_not_the_one_the_run_was_opened_for(
    moment: Moment, tmp_path: Path, trainings: list[int]
) -> None:
    """The coordinator asks for more passes over the records than the opener signed."""
    place = moment.again(tmp_path / "north")
    greedy = Place(place.directory, configured({"local-epochs": 50}))
    assert greedy.refusal("train", moment.asked.content) == "wrong-descriptor"
    assert not trainings


def test_nothing_of_a_session_is_secret_in_its_text(session: Session) -> None:
    text = repr(session) + str(session.terms.member) + repr(session.terms.opened)
    assert session.terms.opened.keys.state.hex() not in text
    assert "scheme_secret" not in text


def test_a_process_derives_a_session_once_and_forgets_it(place: Place, moment: Moment) -> None:
    session = place.session(moment.request)
    assert place.session(moment.request) is session
    forget_processes()
    assert not SITE_PROCESS.sizes["sessions"]
    assert place.session(moment.request) is not session
