"""A coordinator that lies, against the code of a real site, message by message.

Each site is put back as it was just before round 3 of a run in which nobody lied; then it is
shown something else than it was shown then.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from flwr.app import RecordDict

from consortium.client.encrypted.session import Session
from consortium.protocol.run_state import RunState
from privacy.protocol.envelope import Receipt, SealedState
from privacy.protocol.receipts import decode_receipts
from privacy.secrets.state_encryption import seal_state
from privacy.wire.encrypted_messages import SealedRound
from tests.receipts import encode_receipts
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    Moment,
    Place,
    altered,
    forget_processes,
    read_reply,
    receipts_of,
    signed,
    with_receipts,
)
from tests.tampering import added, combined, relabelled, scaled, with_constant

Honest = tuple[Consortium, Course]
ROUND = 3
MISSING = "receipt-missing"


def test_a_sum_that_is_not_that_of_the_receipts_is_refused_and_the_key_burned(
    honest: Honest, place: Place, moment: Moment, session: Session, uploads: dict[str, bytes]
) -> None:
    """Whatever was done to it; and it is refused under any key of the run from then on."""
    placement, request = session.terms.updates, moment.request
    others = [uploads[name] for name in ("east", "south", "west")]
    tampered = {
        "a constant in one coefficient": with_constant(request.sums, placement),
        "a small one, taken away": with_constant(request.sums, placement, amount=-1),
        "scaled": scaled(request.sums, placement, 2),
        "negated": scaled(request.sums, placement, -1),
        "one upload twice": added(placement, [uploads["east"], uploads["east"], *others[1:]]),
        "one left out": added(placement, others),
        "another round's": honest[1].moments["north", "train", 2].request.sums,
    }
    for name, sums in tampered.items():
        folder = place.directory.with_name(name.replace(" ", "-").replace(",", ""))
        again = moment.again(folder)
        assert again.refusal("train", altered(moment.asked.content, sums=sums)) == (
            "checksum-failed"
        ), name
        forget_processes()
        for kind, number in (("train", ROUND), ("evaluate", ROUND + 1)):
            asked = altered(moment.asked.content, server_round=number)
            assert again.refusal(kind, asked) == "key-burned", name


def test_two_uploads_of_one_site_do_not_combine_to_another(
    honest: Honest, tmp_path: Path, place: Place, moment: Moment, session: Session
) -> None:
    """2A - A' holds what A holds, and A does pass: but each upload has a pad of its own."""
    before = honest[1].moments["east", "train", 2]
    east = before.again(tmp_path / "east")
    first, second = (
        read_reply(east.ask("train", altered(before.asked.content, attempt=attempt)))
        for attempt in (1, 2)
    )
    rest = {name: one for name, one in receipts_of(moment.request).items() if name != "east"}
    others = [read_reply(honest[1].moments[name, "train", 2].answer).upload for name in rest]
    receipts = encode_receipts([Receipt.decode(first.receipt), *rest.values()])

    def asked(*parts: tuple[int, bytes]) -> RecordDict:
        sums = combined(session.terms.updates, *parts, *((1, one) for one in others))
        return altered(moment.asked.content, receipts=receipts, sums=sums)

    assert moment.again(tmp_path / "as-agreed").refusal("train", asked((1, first.upload))) == ""
    forged = asked((2, first.upload), (-1, second.upload))
    assert place.refusal("train", forged) == "checksum-failed"


def test_sums_that_are_not_one_a_bucket_are_refused_before_anything_is_opened(
    place: Place, moment: Moment
) -> None:
    whole = moment.request.sums
    wrong = {b"": "sums-missing", whole[:-1]: "sums-missing", whole * 2: "malformed-record"}
    for sums, code in wrong.items():
        assert place.refusal("train", altered(moment.asked.content, sums=sums)) == code
    assert place.refusal("train", moment.asked.content) == ""


def test_receipts_that_are_not_right_are_refused_before_anything_is_opened(
    honest: Honest, place: Place, moment: Moment
) -> None:
    """And nothing is lost by it: the honest message is answered after all of them."""
    theirs = receipts_of(moment.request)
    east, rest = theirs["east"], [theirs[name] for name in ("north", "south", "west")]
    first = receipts_of(honest[1].moments["north", "train", 2].request)
    sign = honest[0].identity("east").sign
    wrong: dict[str, tuple[list[Receipt], str]] = {
        "none": ([], "too-few-others"),
        "one twice": ([east, east, *rest], "duplicate-member"),
        "below the floor": ([theirs["north"], theirs["west"]], "too-few-others"),
        "not this site's own": ([east, theirs["south"], theirs["west"]], MISSING),
        "of the round before": (list(first.values()), "wrong-round"),
        "not signed": ([replace(east, signature=bytes(64)), *rest], "bad-signature"),
        "another upload": ([replace(east, upload=bytes(32)), *rest], "bad-signature"),
        "another bucket": ([relabelled(east, sign, bucket=1), *rest], "wrong-bucket"),
        "signed by another": ([relabelled(theirs["west"], sign), east, *rest[:2]], "bad-signature"),
        "of a stranger": ([relabelled(east, sign, site="stranger"), *rest], "not-in-roster"),
    }
    for name, (receipts, code) in wrong.items():
        assert place.refusal("train", with_receipts(moment.request, receipts)) == code, name
    assert place.refusal("train", moment.asked.content) == ""


def test_a_receipt_in_this_sites_name_that_it_never_gave_is_refused(
    honest: Honest, place: Place, moment: Moment
) -> None:
    """Only who has its key could sign one; and even then the site knows what it gave."""
    theirs = receipts_of(moment.request)
    forged = relabelled(theirs["north"], honest[0].identity("north").sign, nonce=bytes(32))
    receipts = [forged, *(theirs[name] for name in NAMES if name != "north")]
    asked = with_receipts(moment.request, receipts)
    assert place.refusal("train", asked) == "receipt-altered"


def test_an_earlier_attempt_is_not_shown_to_who_took_part_in_a_later_one(
    honest: Honest, tmp_path: Path
) -> None:
    """Else a site could be dropped from a round without seeing it."""
    before = honest[1].moments["north", "train", 2]
    north = before.again(tmp_path / "later")
    assert north.refusal("train", altered(before.asked.content, attempt=2)) == ""
    after = honest[1].moments["north", "train", ROUND].asked.content
    assert north.refusal("train", after) == "wrong-attempt"


def test_another_state_than_most_signed_is_refused(
    honest: Honest, place: Place, moment: Moment
) -> None:
    sealed = SealedState.decode(moment.request.state)
    earlier = honest[1].moments["north", "train", 2].request.state
    flipped = replace(sealed, body=sealed.body[:-1] + bytes([sealed.body[-1] ^ 1])).encode()
    other_run = replace(sealed, context=replace(sealed.context, run="other-run")).encode()
    for state, code in {
        earlier: "wrong-round",
        flipped: "wrong-state",
        other_run: "wrong-run",
        b"": "malformed-envelope",
    }.items():
        assert place.refusal("train", altered(moment.asked.content, state=state)) == code
    assert place.refusal("train", moment.asked.content) == ""


def test_a_state_without_a_majority_is_refused(
    honest: Honest, place: Place, moment: Moment
) -> None:
    theirs = receipts_of(moment.request)
    liars = [
        relabelled(theirs[name], honest[0].identity(name).sign, state=bytes(32))
        for name in ("east", "south")
    ]
    asked = with_receipts(moment.request, [*liars, theirs["north"], theirs["west"]])
    assert place.refusal("train", asked) == "no-majority"


def by_a_majority(
    consortium: Consortium, request: SealedRound, session: Session, state: RunState
) -> RecordDict:
    """Return a message in which all sites but this one vouch for another state than they had."""
    sealed = seal_state(
        state.encode(),
        keys=session.terms.opened.keys,
        server_round=request.server_round - 2,
        previous=SealedState.decode(request.state).context.previous,
    )
    theirs = receipts_of(request)
    liars = [
        relabelled(theirs[name], consortium.identity(name).sign, state=sealed.digest)
        for name in ("east", "south", "west")
    ]
    receipts = encode_receipts([*liars, theirs["north"]])
    return signed(replace(request, state=sealed.encode(), receipts=receipts))


def opened(session: Session, request: SealedRound) -> RunState:
    """Return the state in a message."""
    agreed = SealedState.decode(request.state).digest
    return session._opened_state(request.state, request.server_round - 2, agreed)


def test_a_run_that_was_rolled_back_by_all_the_others_is_refused(
    honest: Honest, place: Place, moment: Moment, session: Session
) -> None:
    """The site remembers the state it trained from: no majority talks it into another one."""
    state = opened(session, moment.request)
    elsewhere = replace(state, scales=state.scales * 2)
    asked = by_a_majority(honest[0], moment.request, session, elsewhere)
    assert place.refusal("train", asked) == "rolled-back"


def test_a_planted_start_is_refused_even_by_a_site_that_was_not_there(
    honest: Honest, tmp_path: Path
) -> None:
    """South answers the statistics, is away in round 1, and is shown S(0) in round 2."""
    newcomer = honest[1].moments["south", "train", 1].again(tmp_path / "south")
    request = honest[1].moments["north", "train", 2].request
    theirs = [one for name, one in receipts_of(request).items() if name != "south"]
    session = newcomer.session(request)
    state = opened(session, request)
    planted = replace(state, model=replace(state.model, vector=state.model.vector + 1.0))
    sealed = seal_state(
        planted.encode(),
        keys=session.terms.opened.keys,
        server_round=0,
        previous=SealedState.decode(request.state).context.previous,
    )
    theirs = [
        relabelled(one, honest[0].identity(one.label.site).sign, state=sealed.digest)
        for one in theirs
    ]
    asked = replace(request, state=sealed.encode(), receipts=encode_receipts(theirs))
    assert newcomer.refusal("train", signed(asked)) == "bad-run-state"


@pytest.mark.parametrize(
    ("number", "left_out"), [(1, "west"), (1, "north"), (ROUND, "west"), (ROUND, "north")]
)
def test_no_tally_is_opened_over_fewer_sites_than_the_roster(
    honest: Honest, tmp_path: Path, trainings: list[int], number: int, left_out: str
) -> None:
    """Else two of them, one site apart, would say what that site counted."""
    consortium, course = honest
    moment = course.moments["north", "train", number]
    place = moment.again(tmp_path / "north")
    session = place.session(moment.request)
    kind, before = ("query.statistics", 0) if number == 1 else ("train", number - 1)
    names = [name for name in NAMES if name != left_out]
    receipts = [
        one for one in decode_receipts(moment.request.count_receipts) if one.label.site in names
    ]
    purpose = receipts[0].label.slot.purpose
    uploads = [read_reply(course.moments[n, kind, before].answer).count_upload for n in names]
    asked = altered(
        moment.asked.content,
        count_receipts=encode_receipts(receipts),
        count_sum=added(session.terms.counts(purpose), uploads),
    )
    missing = left_out == "north"
    assert place.refusal("train", asked) == (MISSING if missing else "roster-incomplete")
    assert not trainings
    assert consortium.charter.release_pooled


def test_a_tally_that_was_altered_burns_the_key_before_anything_is_trained(
    place: Place, moment: Moment, session: Session, trainings: list[int]
) -> None:
    placement = session.terms.counts("evaluation")
    sums = with_constant(moment.request.count_sum, placement)
    assert place.refusal("train", altered(moment.asked.content, count_sum=sums)) == (
        "checksum-failed"
    )
    assert place.refusal("train", moment.asked.content) == "key-burned"
    assert not trainings
