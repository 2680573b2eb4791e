"""A question of a masked run, and replies whose masks are not those that were asked for."""

from dataclasses import replace

import pytest
from flwr.app import Message

from privacy.protocol.envelope import EVALUATION, TRAINING
from privacy.protocol.key_messages import Opening
from privacy.protocol.masks.bundles import ShareBundle
from privacy.protocol.masks.mask_terms import MaskTerms
from privacy.wire.encrypted_messages import SealedReply
from strategies.coordinator.masked.parameters import MaskedTerms
from strategies.coordinator.masked.rounds.request import MaskedQuestions, MaskedRequest
from strategies.coordinator.messaging.events import RunEvent, SiteAnswered, SiteQuarantined
from strategies.coordinator.messaging.exchange import Exchange
from tests.carrier import roster_of
from tests.masked_runs import placed
from tests.small_consortium import (
    NAMES,
    Consortium,
    Course,
    configured,
    message,
    read_reply,
    read_round,
    refusal,
)

ROUND = 2
Run = tuple[Consortium, Course]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Run:
    consortium = placed(tmp_path_factory.mktemp("honest") / "run")
    course = consortium.start(masks=True, num_server_rounds=ROUND)
    assert course.error is None, course.error
    return consortium, course


def sent(honest: Run, name: str, number: int = ROUND) -> SealedReply:
    for asked, answer in honest[1].answers("train"):
        if (asked.site, asked.number) == (name, number) and not refusal(answer):
            return read_reply(answer)
    raise LookupError(name)


def question(honest: Run, told: list[RunEvent]) -> MaskedRequest:
    """Return the question of the round, as it was put."""
    consortium, course = honest
    terms = consortium.strategy(Course(), masks=True, num_server_rounds=ROUND)._terms
    assert isinstance(terms, MaskedTerms)
    asked = (read_round(one.content) for one, _ in course.answers("train"))
    request = next(one for one in asked if one.server_round == ROUND)
    roster = roster_of(consortium)
    questions = MaskedQuestions(
        terms=terms, roster=roster, keep=lambda _name, _parts: None, observe=told.append
    )
    forms = {
        TRAINING: terms.update_form(roster.layout, ROUND),
        EVALUATION: terms.evaluation_form(roster.layout),
    }
    made = questions.put(request, NAMES, forms)
    assert made.request == request  # signed alike
    opening = Opening.decode(request.opening)
    assert made.num_witnesses == len(terms.witnesses(opening.terms.roster))
    return made


def replied(asked: MaskedRequest, name: str, reply: SealedReply) -> Message:
    question_of = message("train", reply.content())
    question_of.metadata.dst_node_id = asked.nodes[name]
    return Message(reply.content(), reply_to=question_of)


def codes(told: list[RunEvent]) -> list[str]:
    return [event.code for event in told if isinstance(event, SiteQuarantined)]


def test_what_comes_beside_each_upload_is_held(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    asked.gather(replied(asked, name, sent(honest, name)) for name in NAMES)
    assert told == [SiteAnswered(server_round=ROUND, site=name) for name in NAMES]
    assert set(asked.masks) == {TRAINING, EVALUATION}
    for name in NAMES:
        came = sent(honest, name)
        held = {purpose: asked.masks[purpose][name] for purpose in asked.masks}
        assert held[TRAINING].terms.encode() == came.terms
        assert held[TRAINING].bundle.encode() == came.bundle
        assert held[EVALUATION].terms.encode() == came.count_terms
        assert held[EVALUATION].bundle.encode() == came.count_bundle


@pytest.mark.parametrize("part", ["terms", "bundle", "count_terms", "count_bundle", "receipt"])
def test_an_upload_without_its_masks_is_not_added(honest: Run, part: str) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    lacking = replace(sent(honest, "east"), **{part: b""})  # type: ignore[arg-type]
    asked.gather([replied(asked, "east", lacking)])
    assert codes(told) == ["nothing-sent"]
    assert not asked.masks
    assert not any(sums.added for sums in asked.sums.values())


def shortened(reply: SealedReply) -> SealedReply:
    """Return a reply whose bundle lacks the last witness, with terms that name this bundle."""
    bundle = ShareBundle(entries=ShareBundle.decode(reply.bundle).entries[:-1])
    terms = replace(MaskTerms.decode(reply.terms), bundle=bundle.digest)
    return replace(reply, bundle=bundle.encode(), terms=terms.encode())


def test_terms_that_the_receipt_does_not_sign_are_refused(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    own, other = sent(honest, "east"), sent(honest, "west")
    asked.gather([replied(asked, "east", replace(own, terms=other.terms, bundle=other.bundle))])
    asked.gather([replied(asked, "east", shortened(own))])
    assert codes(told) == ["terms-altered"] * 2
    assert not asked.masks


def test_another_bundle_than_the_terms_name_is_refused(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    own, other = sent(honest, "east"), sent(honest, "west")
    asked.gather([replied(asked, "east", replace(own, bundle=other.bundle))])
    assert codes(told) == ["wrong-bundle"]


def test_a_bundle_that_lacks_a_witness_is_refused(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    asked.num_witnesses += 1
    asked.gather([replied(asked, "east", sent(honest, "east"))])
    assert codes(told) == ["wrong-bundle"]


def test_masks_for_other_sites_than_were_asked_together_are_refused(honest: Run) -> None:
    """They would not cancel."""
    told: list[RunEvent] = []
    asked = question(honest, told)
    part = replace(asked.request.mask_part, asked=NAMES[:3])
    asked.request = replace(asked.request, masks=part.encode())
    asked.gather([replied(asked, "east", sent(honest, "east"))])
    assert codes(told) == ["another-cohort"]


def test_a_site_is_asked_the_same_once_more_under_its_new_node(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    exchange = Exchange(grid=honest[0].bus(Course(), configured({})), deadline_s=0.0)
    lacking = replace(sent(honest, "east"), upload=b"")
    asked.gather([replied(asked, "east", lacking)])
    assert set(asked.left_out) == {"east"}
    again = list(asked.messages_again("train", exchange, {"east": 77}))
    assert [one.metadata.dst_node_id for one in again] == [77]
    assert read_round(again[0].content) == asked.request
    asked.gather([replied(asked, "east", sent(honest, "east"))])
    assert not asked.left_out
    assert set(asked.replies) == {"east"}
    assert list(asked.nodes) == list(NAMES)


def test_an_answer_that_comes_twice_is_added_once(honest: Run) -> None:
    told: list[RunEvent] = []
    asked = question(honest, told)
    reply = sent(honest, NAMES[0])
    asked.gather([replied(asked, NAMES[0], reply)])
    once = {purpose: dict(sums.added) for purpose, sums in asked.sums.items()}
    asked.gather([replied(asked, NAMES[0], reply)] * 5)  # more than a sum of these sites can hold
    assert not codes(told)
    assert {purpose: dict(sums.added) for purpose, sums in asked.sums.items()} == once
