"""What a witness confirms, and what it refuses to confirm."""

from dataclasses import replace

import pytest

from privacy.protocol.masks.confirmations import Confirmation
from privacy.wire import mask_messages
from privacy.wire.mask_messages import SetToConfirm
from tests.consortium.client.masked.conftest import Standing
from tests.masked_by_hand import Gathered, signed_request
from tests.small_consortium import forget_processes, refusal


def confirmed(standing: Standing, name: str) -> Confirmation:
    """Return the confirmation of a site."""
    run, gathered = standing
    answer = run.answer(name, "query.confirm", run.confirmation_request(gathered, name).content())
    return Confirmation.decode(mask_messages.read_confirmation(answer))


def refused(standing: Standing, name: str, **changes: object) -> str:
    """Return why a site does not confirm a set with some of its parts changed; signed anew."""
    run, gathered = standing
    asked = run.confirmation_request(gathered, name)
    of_set = {part: changes.pop(part) for part in [*changes] if part in SetToConfirm.forms}
    shown = replace(asked.shown, **of_set)  # type: ignore[arg-type]
    asked = replace(asked, shown=shown, **changes)  # type: ignore[arg-type]
    return run.refusal(name, "query.confirm", signed_request(asked).content())


def test_asked_again_after_a_restart_it_confirms_with_the_same_bytes(trained: Standing) -> None:
    first = confirmed(trained, "north")
    forget_processes()
    assert confirmed(trained, "north") == first
    assert first.unreadable == ()
    assert first.set_digest == trained[1].sum_set.digest


def test_asked_after_it_opened_the_set_it_confirms_that_one_and_no_other(trained: Standing) -> None:
    """As a witness that was slower than the others, which nobody waited for."""
    run, gathered = trained
    later = run.confirmation_request(gathered, "west").content()
    confirming = run.confirm(gathered)
    first = next(one for one in confirming if one.witness == "west")
    question = run.question(2, before=gathered, confirmations=confirming, asked=run.names)
    run.answer("west", "train", question.content())
    answer = run.answer("west", "query.confirm", later)
    assert Confirmation.decode(mask_messages.read_confirmation(answer)) == first
    assert refused(trained, "west", sums=((0, bytes(32)),)) == "round-confirmed"


def test_it_confirms_one_set_of_a_round(trained: Standing) -> None:
    other = ((0, bytes(32)),)
    assert refused(trained, "north", sums=other) == ""
    forget_processes()
    run, gathered = trained
    asked = run.confirmation_request(gathered, "north").content()
    assert run.refusal("north", "query.confirm", asked) == "round-confirmed"
    assert refused(trained, "north", sums=other) == ""


def test_what_the_coordinator_did_not_sign_is_not_confirmed(trained: Standing) -> None:
    run, gathered = trained
    asked = run.confirmation_request(gathered, "north")
    for shown in (
        replace(asked.shown, sums=((0, bytes(32)),)),
        replace(asked.shown, signature=b""),
    ):
        unsigned = replace(asked, shown=shown).content()
        assert run.refusal("north", "query.confirm", unsigned) == "bad-signature"


def without(gathered: Gathered, name: str) -> Gathered:
    """Return what was gathered, without the answer of one site."""
    left = {one: reply for one, reply in gathered.replies.items() if one != name}
    return replace(gathered, replies=left)


def test_a_set_that_lacks_a_site_that_was_asked_is_not_confirmed(trained: Standing) -> None:
    """Its masks would not cancel; and if they did, two sums would differ by that site."""
    run, gathered = trained
    question = run.question(1)
    less = run.gather("training", question, without(gathered, "west").replies, cohort=run.names)
    assert refused((run, less), "north") == "another-cohort"
    claimed = replace(less, cohort=("east", "north", "south"))
    assert refused((run, claimed), "north") == "another-cohort"
    assert refused((run, less), "west") in {"receipt-missing", "another-cohort"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"terms": b""}, "terms-altered"),
        ({"receipts": b""}, "set-altered"),
        ({"cohort": ("east", "north", "south")}, "another-cohort"),
        ({"server_round": 2}, "wrong-round"),
        ({"attempt": 2}, "wrong-attempt"),
        ({"purpose": "evaluation"}, "set-altered"),
        ({"sums": ((1, bytes(32)),)}, "set-altered"),
        ({"charter": "c" * 64}, "other-charter"),
    ],
)
def test_a_set_with_an_altered_part_is_not_confirmed(
    trained: Standing, changes: dict[str, object], code: str
) -> None:
    assert refused(trained, "south", **changes) == code


def test_a_share_that_does_not_open_is_named_by_its_dealer(trained: Standing) -> None:
    run, gathered = trained
    asked = run.confirmation_request(gathered, "north")
    spoiled = replace(asked, entries={**asked.entries, "south": asked.entries["east"]})
    answer = run.answer("north", "query.confirm", spoiled.content())
    said = Confirmation.decode(mask_messages.read_confirmation(answer))
    assert said.unreadable == ("south",)


def test_after_its_answer_to_a_later_attempt_it_confirms_no_earlier_one(
    trained: Standing, counted_run: Standing
) -> None:
    run, gathered = trained
    before = counted_run[1]
    question = run.question(
        1, before=before, confirmations=run.confirm(before), asked=run.names, attempt=2
    )
    run.answer("north", "train", question.content())
    assert refused((run, gathered), "north") == "wrong-attempt"
    answer = run.places["south"].ask(
        "query.confirm", run.confirmation_request(gathered, "south").content()
    )
    assert refusal(answer) == ""
