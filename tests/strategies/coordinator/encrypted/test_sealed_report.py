"""One site reports the sealed state."""

from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.client.encrypted.session import Session
from privacy.protocol.envelope import Receipt
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from tests.small_consortium import NAMES, Consortium, Passing, read_round, spoiled
from tests.tampering import Liar, signed_by


@pytest.mark.parametrize("shy", [1, 2])
def test_a_reporter_that_sends_no_state_is_passed_over_for_the_next(
    shy: int, tmp_path: Path
) -> None:
    """It is asked once more, and then the next one that signed the same state."""

    def without_state(passing: Passing) -> RecordDict:
        quiet = passing.kind == "train" and passing.site in NAMES[:shy]
        return spoiled(passing.content, state=b"") if quiet else passing.content

    consortium = Consortium.placed(tmp_path / "run", NAMES[:4])
    course = consortium.start(up=without_state, num_server_rounds=1)
    assert course.error is None, course.error
    asked = [one.site for one, _ in course.answers("train") if read_round(one.content).report]
    assert set(asked) == set(NAMES[: shy + 1])
    assert {site for _, site, _ in course.quarantined} == set(NAMES[:shy])


def test_who_signed_another_state_is_named_and_not_asked_for_it(tmp_path: Path) -> None:
    """Even though it would be the first to be asked."""

    def elsewhere(session: Session, _request: SealedRound, sent: SealedReply) -> SealedReply:
        said = replace(Receipt.decode(sent.receipt).label, state=bytes(32))
        return replace(sent, receipt=signed_by(session, said, sent.upload).encode())

    consortium = Consortium.placed(tmp_path / "run", NAMES[:4])
    first = NAMES[0]
    course = Liar(consortium, first, "train", elsewhere, {"num-server-rounds": 1}).run()
    assert (1, first, "state-disputed") in course.quarantined
    asked = [one.site for one, _ in course.answers("train") if read_round(one.content).report]
    assert asked == [first, NAMES[1]]
