"""What a masked site opens: one set of a round, once a quorum confirmed it with its sums."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from consortium.audit.cross_check import read_log
from consortium.audit.journal import LEFT_OUT
from privacy.protocol.envelope import Receipt
from privacy.protocol.masks.bundles import ShareBundle
from privacy.protocol.masks.confirmations import Confirmation
from privacy.secrets.masks.share_bundles import open_shares, seal_shares
from privacy.storage.sqlite import SiteDatabase
from tests.consortium.client.masked.conftest import Standing
from tests.masked_by_hand import ByHand, Gathered, memory_of, session_at
from tests.small_consortium import forget_processes


def refused(run: ByHand, name: str, before: Gathered, confirmations: Sequence[Confirmation]) -> str:
    """Return why a site does not train in round 2 from what was gathered in round 1."""
    question = run.question(2, before=before, confirmations=confirmations)
    return run.refusal(name, "train", question.content())


def altered(summed: bytes) -> bytes:
    """Return a sum of which one bit is another."""
    return summed[:-1] + bytes([summed[-1] ^ 1])


def test_fewer_than_a_quorum_open_nothing_and_the_key_is_not_burned(trained: Standing) -> None:
    run, gathered = trained
    said = run.confirm(gathered)
    assert run.needed == 3
    assert refused(run, "north", gathered, said[:2]) == "too-few-confirmations"
    assert refused(run, "north", gathered, [*said[:2], said[0]]) == "confirmed-twice"
    assert refused(run, "north", gathered, ()) == "too-few-confirmations"
    assert refused(run, "north", gathered, said[:3]) == ""


def test_a_quorum_is_enough_whoever_is_away(trained: Standing) -> None:
    """The witness that did not confirm opens the sum as well, and computes the same state."""
    run, gathered = trained
    said = run.confirm(gathered, run.witnesses[1:])
    after = run.train(2, gathered, confirmations=said)
    states = {Receipt.decode(one.receipt).label.state for one in after.replies.values()}
    assert len(states) == 1


def test_a_sum_that_was_forged_after_the_confirmations_is_not_decrypted(trained: Standing) -> None:
    run, gathered = trained
    said = run.confirm(gathered)
    forged = replace(gathered, sums={0: altered(gathered.sums[0])})
    assert refused(run, "north", forged, said) == "another-set-confirmed"
    counts = replace(gathered, count_sum=altered(gathered.count_sum))
    assert refused(run, "north", counts, said) == "another-set-confirmed"
    assert refused(run, "north", gathered, said) == ""


def test_a_site_that_confirmed_one_set_opens_no_other(trained: Standing) -> None:
    """Three witnesses confirm another sum, which holds garbage, and show it to the fourth."""
    run, gathered = trained
    run.confirm(gathered, ["north"])
    other = replace(gathered, sums={0: altered(gathered.sums[0])})
    said = run.confirm(other, ["east", "south", "west"])
    assert refused(run, "north", other, said) == "round-confirmed"
    assert refused(run, "north", gathered, said) == "another-set-confirmed"


def test_what_it_opened_in_a_round_is_the_one_set_of_that_round(trained: Standing) -> None:
    run, gathered = trained
    said = run.confirm(gathered, ["east", "south", "west"])
    assert refused(run, "north", gathered, said) == ""
    forget_processes()
    other = replace(gathered, sums={0: altered(gathered.sums[0])})
    asked = run.confirmation_request(other, "north").content()
    assert run.refusal("north", "query.confirm", asked) == "round-confirmed"


def test_terms_of_another_upload_are_refused(trained: Standing) -> None:
    run, gathered = trained
    said = run.confirm(gathered)
    replies = dict(gathered.replies)
    replies["east"] = replace(replies["east"], terms=replies["west"].terms)
    swapped = replace(gathered, replies=replies)
    assert refused(run, "north", swapped, said) == "terms-altered"


def revealed(run: ByHand, gathered: Gathered, said: Confirmation, shift: int) -> Confirmation:
    """Return a confirmation whose witness altered its first share; signed by it."""
    name = said.witness
    key, digest = (
        session_at(run.places[name], run.opening).terms.opened.keys.reveal,
        said.set_digest,
    )
    count = len(gathered.updating) + len(gathered.counting)
    first, *rest = open_shares(said.shares, count=count, key=key, set_digest=digest, witness=name)
    assert first is not None
    sealed = seal_shares([first + shift, *rest], key=key, set_digest=digest, witness=name)
    identity = run.consortium.identity(name)
    return Confirmation.sign(said.set_digest, witness=name, shares=sealed, sign=identity.sign)


def test_a_witness_that_alters_a_share_stops_nobody_if_the_others_suffice(
    trained: Standing,
) -> None:
    run, gathered = trained
    said = run.confirm(gathered)
    lied = [revealed(run, gathered, said[0], 1), *said[1:]]
    assert refused(run, "north", gathered, lied[:3]) == "mask-not-joined"
    after = run.train(2, gathered, confirmations=lied)
    honest = {Receipt.decode(one.receipt).label.state for one in after.replies.values()}
    assert len(honest) == 1


def test_a_witness_whose_shares_nobody_can_read_stops_nobody(trained: Standing) -> None:
    run, gathered = trained
    said = run.confirm(gathered)
    identity = run.consortium.identity(said[0].witness)
    garbled = Confirmation.sign(
        said[0].set_digest, witness=said[0].witness, shares=b"garbage", sign=identity.sign
    )
    assert refused(run, "north", gathered, [garbled, *said[1:3]]) == "mask-not-joined"
    assert refused(run, "north", gathered, [garbled, *said[1:]]) == ""


def test_the_bundle_that_was_signed_tells_whose_share_is_wrong(trained: Standing) -> None:
    """Its digest is in the terms, so the dealer cannot take it back."""
    _, gathered = trained
    for reply in gathered.replies.values():
        assert len(ShareBundle.decode(reply.bundle).entries) == 4


def noted(run: ByHand, name: str, kind: str) -> list[dict[str, object]]:
    """Return what a site's log says of a kind."""
    forget_processes()
    log = read_log(run.places[name].directory / "audit" / "log.jsonl", run.consortium.charter)
    return [dict(entry.event.facts) for entry in log.entries if entry.event.kind == kind]


@pytest.fixture
def second_attempt(trained: Standing, counted_run: Standing) -> tuple[ByHand, Gathered]:
    """Attempt 2 at round 1 asks all but west, who answered the first one."""
    run, _ = trained
    return run, run.train(
        1,
        counted_run[1],
        asked=["east", "north", "south"],
        attempt=2,
    )


def test_who_was_left_out_accepts_the_sum_and_notes_it_in_its_log(
    second_attempt: tuple[ByHand, Gathered],
) -> None:
    run, gathered = second_attempt
    assert gathered.cohort == ("east", "north", "south")
    assert {one.count_receipt != b"" for one in gathered.replies.values()} == {True}
    after = run.train(2, gathered)
    assert {*after.replies} == {*run.names}
    assert [one["round"] for one in noted(run, "west", LEFT_OUT)] == [1]
    assert not noted(run, "north", LEFT_OUT)
    states = {Receipt.decode(one.receipt).label.state for one in after.replies.values()}
    assert len(states) == 1


def test_the_first_attempt_is_not_opened_after_the_second(
    trained: Standing, second_attempt: tuple[ByHand, Gathered]
) -> None:
    """The two sums would differ by west's update."""
    run, first = trained
    said = run.confirm(second_attempt[1])
    asked = run.confirmation_request(first, "west").content()
    assert run.refusal("west", "query.confirm", asked) == "round-confirmed"
    question = run.question(2, before=first, confirmations=said)
    assert run.refusal("west", "train", question.content()) == "another-set-confirmed"
    assert run.refusal("north", "train", question.content()) == "wrong-attempt"


def test_shares_and_uploads_of_a_round_are_deleted_when_the_next_one_is_opened(
    trained: Standing,
) -> None:
    run, gathered = trained
    after = run.train(2, gathered)
    memory = memory_of(run.places["north"])
    assert memory.masks.own_share(gathered.slot) is not None
    run.train(3, after)
    assert memory.masks.own_share(gathered.slot) is None
    assert memory.masks.own_share(after.slot) is not None


def test_no_share_of_a_mask_stays_in_memory_after_the_answer(trained: Standing) -> None:
    """A process may be hundreds of sites, which hold the shares of hundreds."""
    run, gathered = trained
    run.train(2, gathered)
    for place in run.places.values():
        assert not session_at(place, run.opening)._confirmed


def test_a_round_is_answered_without_emptying_the_memorys_log(
    trained: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes syncs of its own, and an answer takes one; the end of a run does it."""
    run, gathered = trained
    emptied: list[int] = []
    empty = SiteDatabase.empty_log

    def counting(database: SiteDatabase) -> bool:
        emptied.append(1)
        return empty(database)

    monkeypatch.setattr(SiteDatabase, "empty_log", counting)
    run.train(3, run.train(2, gathered))
    assert not emptied
