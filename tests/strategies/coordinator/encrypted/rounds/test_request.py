"""One question, and replies that are complete, incomplete, or to another question."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from flwr.app import Message

from privacy.protocol.envelope import EVALUATION, TRAINING, Receipt
from privacy.wire.encrypted_messages import SealedReply
from strategies.coordinator.encrypted.rounds.ciphertext_sums import CiphertextSums
from strategies.coordinator.encrypted.rounds.request import SealedRequest, nodes_of
from strategies.coordinator.messaging.events import (
    RoundStarted,
    RunEvent,
    SiteAnswered,
    SiteQuarantined,
)
from strategies.coordinator.messaging.exchange import Exchange
from strategies.coordinator.messaging.roster import Present, Roster
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    configured,
    message,
    read_reply,
    read_round,
)

Honest = tuple[Consortium, Course]
NODES = {name: 1001 + index for index, name in enumerate(NAMES)}
ROUND = 3


def sent(honest: Honest, name: str) -> SealedReply:
    return read_reply(honest[1].moments[name, "train", ROUND].answer)


def question(
    honest: Honest, told: list[RunEvent], *, sums: Mapping[str, CiphertextSums] | None = None
) -> SealedRequest:
    return SealedRequest(
        request=read_round(honest[1].moments["north", "train", ROUND].asked.content),
        nodes=NODES,
        sums=forms(honest) if sums is None else sums,
        read=read_reply,
        observe=told.append,
    )


def forms(honest: Honest) -> dict[str, CiphertextSums]:
    consortium, course = honest
    terms = consortium.strategy(Course())._terms
    assert course.progress is not None
    layout, reply = course.progress.layout, sent(honest, "east")
    made = {
        TRAINING: (terms.update_form(layout, 2), reply.receipt),
        EVALUATION: (terms.evaluation_form(layout), reply.count_receipt),
    }
    return {
        purpose: CiphertextSums(
            form=form,
            slot=Receipt.decode(encoded).label.slot,
            roster=terms.agreement.roster(consortium.charter.names),
            keep=lambda _name, _parts: None,
        )
        for purpose, (form, encoded) in made.items()
    }


def replied(name: str, reply: SealedReply) -> Message:
    asked = message("train", reply.content())
    asked.metadata.dst_node_id = NODES[name]
    return Message(reply.content(), reply_to=asked)


def test_one_site_is_asked_for_its_state_and_all_for_the_rest(honest: Honest) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    grid = honest[0].bus(Course(), configured({}))
    exchange = Exchange(grid=grid, deadline_s=1.0)
    sent_out = list(asked.messages("train", exchange, reporter="north"))
    assert [one.metadata.dst_node_id for one in sent_out] == list(NODES.values())
    assert {one.metadata.group_id for one in sent_out} == {str(ROUND)}
    requests = [read_round(one.content) for one in sent_out]
    assert [one.report for one in requests] == [False, True, False, False]
    assert len({one.digest for one in requests}) == 1
    assert told == [RoundStarted(server_round=ROUND, cohort=NAMES)]


def test_a_question_that_wants_no_upload_starts_no_round(honest: Honest) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told, sums={})
    grid = honest[0].bus(Course(), configured({}))
    asked.messages("query.release", Exchange(grid=grid, deadline_s=1.0))
    asked.gather([replied("east", SealedReply())])
    assert told == []
    assert set(asked.replies) == {"east"}


def test_replies_are_added_and_let_go_of(honest: Honest) -> None:
    """Of large data, only the state of the one site that was asked for it is held."""
    told: list[RunEvent] = []
    asked = question(honest, told)
    asked.reporter = "north"
    asked.gather(
        replied(name, replace(sent(honest, name), state=b"state", model=bytes(32)))
        for name in NAMES
    )
    assert told == [SiteAnswered(server_round=ROUND, site=name) for name in NAMES]
    for name, reply in asked.replies.items():
        assert (reply.upload, reply.receipt, reply.count_upload, reply.count_receipt) == (b"",) * 4
        assert reply.state == (b"state" if name == "north" else b"")
        assert reply.model == bytes(32)
        assert reply.released is None
    for sums in asked.sums.values():
        assert set(sums.added) == set(NAMES)
    elected = asked.ballot.majority_tally()
    released = sent(honest, "east").released
    assert elected is not None
    assert released is not None
    assert elected.tolist() == released.tolist()


HALVES = ("upload", "receipt", "count_upload", "count_receipt")


@pytest.mark.parametrize("missing", HALVES)
def test_half_a_reply_counts_in_no_sum(honest: Honest, missing: str) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    half = replace(sent(honest, "east"), **{missing: b""})  # type: ignore[arg-type]
    asked.gather([replied("east", half), replied("west", sent(honest, "west"))])
    assert told[0] == SiteQuarantined(server_round=ROUND, site="east", code="nothing-sent")
    assert set(asked.replies) == {"west"}
    assert all(set(sums.added) == {"west"} for sums in asked.sums.values())


@pytest.mark.parametrize("wrong", HALVES)
def test_a_reply_of_which_one_part_is_wrong_counts_in_no_sum(honest: Honest, wrong: str) -> None:
    """Otherwise an update could count without its tally, or a tally without its update."""
    told: list[RunEvent] = []
    asked = question(honest, told)
    theirs = getattr(sent(honest, "west"), wrong)
    mixed = replace(sent(honest, "east"), **{wrong: theirs})
    asked.gather([replied("east", mixed)])
    (event,) = told
    assert isinstance(event, SiteQuarantined)
    assert event.code in {"receipt-altered", "not-in-roster"}
    assert not any(sums.added for sums in asked.sums.values())
    assert not asked.replies


def test_the_nodes_asked_are_of_those_who_are_there(honest: Honest) -> None:
    course = honest[1]
    assert course.progress is not None
    roster = Roster(
        layout=course.progress.layout,
        present={name: Present(node=NODES[name], num_examples=0) for name in NAMES[:3]},
        asked=frozenset(),
    )
    assert nodes_of(roster, ("west", "south", "east")) == {"east": 1001, "south": 1003}
    assert list(nodes_of(roster, NAMES[::-1])) == sorted(NAMES[:3])
