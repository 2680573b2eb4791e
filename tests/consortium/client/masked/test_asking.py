"""For whom a masked site seals: who is asked together, in which attempt."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from privacy.protocol.envelope import Receipt
from privacy.protocol.grouping import WITHHELD
from privacy.protocol.masks.mask_terms import MaskTerms
from tests.consortium.client.masked.conftest import Standing
from tests.masked_by_hand import ByHand, Gathered, signed
from tests.small_consortium import Consortium, forget_processes, read_reply


def refused(
    standing: Standing, name: str, asked: Sequence[str] | None = None, attempt: int = 1
) -> str:
    """Return why a site does not train in round 1 with these others."""
    run, counted = standing
    question = run.question(
        1, before=counted, confirmations=run.confirm(counted), asked=asked, attempt=attempt
    )
    return run.refusal(name, "train", question.content())


def test_it_seals_for_no_fewer_than_three_sites(counted: Standing) -> None:
    """Of two, one may be in league with the coordinator."""
    assert refused(counted, "north", ["east", "north"]) == "too-few-others"
    assert refused(counted, "north", ["east", "south", "west"]) == "not-in-roster"
    assert refused(counted, "north", ["east", "north", "stranger"]) == "not-in-roster"
    assert refused(counted, "north", ["east", "north", "west"]) == ""


def test_statistics_are_counted_for_everybody_or_for_nobody(counted: Standing) -> None:
    run, _ = counted
    other = run.question(0, asked=["east", "north", "west"], attempt=2)
    assert run.refusal("north", "query.statistics", other.content()) == "roster-incomplete"


def test_counts_are_withheld_where_not_everybody_is_asked(counted: Standing) -> None:
    run, before = counted
    few = ["east", "north", "west"]
    question = run.question(1, before=before, confirmations=run.confirm(before), asked=few)
    reply = read_reply(run.answer("north", "train", question.content()))
    assert Receipt.decode(reply.count_receipt).label.weight_class == WITHHELD
    assert Receipt.decode(reply.receipt).label.weight_class != WITHHELD


def test_asked_again_after_a_restart_it_sends_the_same_bytes(counted: Standing) -> None:
    run, before = counted
    question = run.question(1, before=before, confirmations=run.confirm(before)).content()
    first = run.answer("north", "train", question)
    forget_processes()
    assert run.answer("north", "train", question) == first
    said = run.confirm(before, ["east", "north", "west"])
    other = run.question(1, before=before, confirmations=said).content()
    assert run.answer("north", "train", other) == first


def test_each_upload_has_a_mask_of_its_own(counted: Standing) -> None:
    """Of each attempt, and of update and counts: what one opens says nothing of another."""
    run, before = counted
    said = run.confirm(before)
    terms = set[bytes]()
    for attempt in (1, 2):
        question = run.question(1, before=before, confirmations=said, attempt=attempt)
        reply = read_reply(run.answer("north", "train", question.content()))
        for receipt, one in (
            (reply.receipt, reply.terms),
            (reply.count_receipt, reply.count_terms),
        ):
            made = MaskTerms.decode(one)
            assert Receipt.decode(receipt).label.nonce == made.nonce
            terms.add(made.commitment)
    assert len(terms) == 4


def test_after_its_confirmation_it_seals_in_no_other_attempt(
    trained: Standing, counted_run: Standing
) -> None:
    (run, gathered), before = trained, counted_run[1]
    run.confirm(gathered, ["north"])
    forget_processes()
    question = run.question(
        1, before=before, confirmations=run.confirm(before), asked=run.names, attempt=2
    )
    assert run.refusal("north", "train", question.content()) == "round-confirmed"
    assert run.refusal("south", "train", question.content()) == ""
    again = run.question(1, before=before, confirmations=run.confirm(before))
    reply = read_reply(run.answer("north", "train", again.content()))
    assert reply.upload == gathered.replies["north"].upload


def test_after_it_confirmed_the_others_set_a_late_site_does_not_even_train_for_another(
    counted: Standing, trainings: list[int]
) -> None:
    """Training costs time and, with noise, privacy."""
    run, before = counted
    first = run.train(1, before, asked=["east", "north", "south"])
    run.confirm(first, ["west"])
    done = len(trainings)
    question = run.question(1, before=before, confirmations=run.confirm(before), attempt=2)
    assert run.refusal("west", "train", question.content()) == "round-confirmed"
    assert len(trainings) == done == 3


def test_the_same_attempt_is_not_sealed_for_others(
    trained: Standing, counted_run: Standing
) -> None:
    (run, _), before = trained, counted_run[1]
    question = run.question(
        1, before=before, confirmations=run.confirm(before), asked=["east", "north", "south"]
    )
    assert run.refusal("north", "train", question.content()) == "already-answered"


def test_a_masked_run_takes_no_question_without_masks_and_no_other_run_takes_one_with_them(
    counted: Standing,
) -> None:
    run, _ = counted
    bare = signed(replace(run.question(0), masks=b""))
    assert run.refusal("north", "query.statistics", bare.content()) == "malformed-record"
    plain = run.consortium.place("north")
    assert plain.refusal("query.statistics", run.question(0).content()) == "malformed-record"
    assert plain.refusal("query.pair", run.pair_request()) == "question-not-allowed"


@pytest.fixture
def one_set(tmp_path: Path) -> ByHand:
    """A run in which a bucket sums one set of sites: what a charter without noise says."""
    run = ByHand(Consortium.placed(tmp_path))
    run.set_up()
    return run


def test_where_one_set_is_allowed_no_later_round_is_sealed_for_others(one_set: ByHand) -> None:
    """The difference of two rounds' sums would be close to one site's update."""
    gathered: Gathered = one_set.train(1, one_set.statistics())
    said = one_set.confirm(gathered)
    question = one_set.question(
        2, before=gathered, confirmations=said, asked=["east", "north", "south"]
    )
    assert one_set.refusal("north", "train", question.content()) == "other-set-confirmed"
    one_set.train(2, gathered, confirmations=said)
