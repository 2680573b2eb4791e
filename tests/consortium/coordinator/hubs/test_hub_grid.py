"""Whole runs through hubs: what they end in, who is missing, and what a hub cannot do."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from consortium.audit.cross_check import gather_evidence
from consortium.audit.sum_verification import Auditor, SumCheck
from consortium.charter.document import Floors
from consortium.config import Scalar
from consortium.coordinator.assembly import clear_strategy
from consortium.run.evidence_store import EvidenceStore
from privacy.identity.log_signing_key import SigningKey
from privacy.protocol.receipts import decode_receipts
from privacy.wire.hub_messages import (
    HUB_CARRY,
    HUB_HELLO,
    HubAnswer,
    HubIsHere,
    Passed,
    SignedSum,
)
from scenarios.engines.in_process import SiteApp, Vanished
from tests.hub_consortium import hub_bus, placed_behind, started
from tests.small_consortium import (
    Consortium,
    Course,
    Passing,
    configured,
    read_reply,
    read_round,
)

CLIPPED: Mapping[str, Any] = {"rule.name": "mean", "rule.clip_norm": 10.0}
TWO = {"hub-a": ("east", "west"), "hub-b": ("north", "south")}


def same_as_without(through: Course, flat: Course) -> None:
    """Check that two runs ended in the same model, with the same figures."""
    assert (through.error, through.quarantined) == (None, set())
    assert through.model == flat.model
    for one, other in zip(through.rounds, flat.rounds, strict=True):
        np.testing.assert_array_equal(one.evaluation, other.evaluation)
        assert (one.answered, one.saturated) == (other.answered, other.saturated)


def audited(consortium: Consortium, **overrides: Scalar) -> list[SumCheck]:
    """Return what the keyless auditor says, who has the files of the hubs and of the sites."""
    run = consortium.run
    return [
        *Auditor(
            consortium.charter,
            configured(overrides),
            EvidenceStore(run.vault),
            gather_evidence(sorted(run.path.glob("sites/*")), consortium.charter),
            {hub.name: EvidenceStore(run.hub(hub.name).vault) for hub in consortium.charter.hubs},
        ).check_sums()
    ]


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> tuple[Consortium, Course]:
    """A run through two hubs in which nobody lied, and its uploads are all kept."""
    consortium = placed_behind(tmp_path_factory.mktemp("through"), TWO)
    return consortium, started(consortium, keep_uploads="all")


def require_right(consortium: Consortium, *, masks: bool) -> None:
    """Check that all sums are right, and that the coordinator keeps no upload of a site."""
    for one in audited(consortium, masks=masks, keep_uploads="all"):
        assert (one.deviation, one.undecided) == ("", ""), one
    assert not [*consortium.run.vault.glob("round-*/*/upload-east.bin")]


def test_a_run_through_hubs_ends_in_the_bits_of_the_run_without(
    through: tuple[Consortium, Course], honest: tuple[Consortium, Course]
) -> None:
    consortium, course = through
    same_as_without(course, honest[1])
    require_right(consortium, masks=False)


def test_a_masked_run_through_hubs_ends_in_the_same_bits(
    tmp_path: Path, honest: tuple[Consortium, Course]
) -> None:
    consortium = placed_behind(tmp_path, TWO)
    same_as_without(started(consortium, masks=True, keep_uploads="all"), honest[1])
    require_right(consortium, masks=True)


def test_every_site_is_shown_the_receipt_of_every_other_one(
    through: tuple[Consortium, Course],
) -> None:
    shown = [asked for asked, _ in through[1].answers("train") if asked.number == 2]
    assert len(shown) == 4
    for asked in shown:
        signed = decode_receipts(read_round(asked.content).receipts)
        assert [one.label.site for one in signed] == ["east", "north", "south", "west"]


def test_a_hub_passes_on_sums_and_no_upload(tmp_path: Path) -> None:
    """Two buckets, with a member of each behind every hub: a sum for each bucket and purpose."""
    brought: list[HubAnswer] = []

    def look(_hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        answer = app(asked, context)
        if asked.metadata.message_type == HUB_CARRY:
            passed = Passed.read(asked.content)
            if passed.kind == "train":
                brought.append(HubAnswer.read(answer.content, asked=len(passed.nodes)))
        return answer

    names = [f"site-{at}" for at in range(6)]
    consortium = placed_behind(
        tmp_path,
        {"hub-a": names[::2], "hub-b": names[1::2]},
        floors=Floors(full_class_examples=40, encrypted=True, min_others=2),
    )
    course = started(
        consortium,
        hook=look,
        buckets=2,
        weighting="equal",
        num_server_rounds=1,
        **CLIPPED,
    )
    assert (course.error, course.quarantined) == (None, set())
    assert len(brought) == 2
    for one in brought:
        assert all(answer.summed for answer in one.brought)
        uploads = [read_reply(answer.content).upload for answer in one.brought]
        assert set(uploads) == {b""}
        assert 2 <= len(one.sums) <= 3  # one of the counts, and of the updates one a bucket


def test_a_hub_that_is_away_is_an_absence_of_its_members(tmp_path: Path) -> None:
    """Training goes on without them; exact counts wait until they are back."""

    def away(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        if hub == "hub-b" and asked.metadata.message_type == HUB_CARRY:
            passed = Passed.read(asked.content)
            if (passed.kind, passed.group) == ("train", "2"):
                raise Vanished
        return app(asked, context)

    partition = {"hub-a": ("east", "north", "west"), "hub-b": ("south",)}
    course = started(placed_behind(tmp_path, partition), hook=away, quorum=3)
    assert course.error is None
    assert course.quarantined == {(2, "south", "hub-away")}
    answered = {one.server_round: one.answered for one in course.rounds}
    assert answered[2] == ("east", "north", "west")
    assert answered[3] == ("east", "north", "south", "west")
    counted = {one.server_round: int(one.evaluation.sum()) for one in course.rounds}
    assert counted[2] == 0
    assert counted[3] > 0


def test_a_hub_that_never_came_is_why_its_members_did_not(tmp_path: Path) -> None:
    def gone(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        if hub == "hub-b":
            raise RuntimeError("the hub is down")
        return app(asked, context)

    course = started(placed_behind(tmp_path, TWO), hook=gone, quorum=3)
    assert {(site, code) for _, site, code in course.quarantined} == {
        ("north", "hub-away"),
        ("south", "hub-away"),
    }


def with_sums(answer: HubAnswer, *sums: SignedSum) -> RecordDict:
    return HubAnswer(nodes=answer.nodes, brought=answer.brought, sums=sums).content()


def test_a_sum_that_is_altered_behind_the_hubs_signature_counts_for_none_of_its_members(
    tmp_path: Path,
) -> None:
    def alters(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        answer = app(asked, context)
        if hub == "hub-b" and asked.metadata.message_type == HUB_CARRY:
            passed = Passed.read(asked.content)
            if (passed.kind, passed.group) == ("train", "1"):
                told = HubAnswer.read(answer.content, asked=len(passed.nodes))
                first, *others = told.sums
                flipped = bytes([*first.summed[:-1], first.summed[-1] ^ 1])
                wrong = SignedSum(statement=first.statement, summed=flipped)
                return Message(with_sums(told, wrong, *others), reply_to=asked)
        return answer

    partition = {"hub-a": ("east", "north", "west"), "hub-b": ("south",)}
    course = started(placed_behind(tmp_path, partition), hook=alters, quorum=3)
    assert course.error is None
    # Without masks a site refuses the next sum if its own part is missing in it.
    left_out = {(1, "hub-sum-refused"), (2, "site-refused.receipt-missing")}
    assert course.quarantined == {(number, "south", code) for number, code in left_out}


def test_an_answer_that_a_hub_cannot_add_is_passed_on_and_refused_as_without_hubs(
    tmp_path: Path,
) -> None:
    def short(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind, passing.number) != ("south", "train", 1):
            return passing.content
        sent = read_reply(passing.content)
        return replace(sent, upload=sent.upload[:-8]).content()

    flat = Consortium.placed(tmp_path / "flat").start(up=short, quorum=3)
    through = started(placed_behind(tmp_path / "hubs", TWO), up=short, quorum=3)
    assert through.error is None
    assert through.quarantined == flat.quarantined
    assert (1, "south", "malformed-ciphertext") in flat.quarantined
    assert through.model == flat.model


def test_a_node_that_cannot_sign_for_a_hub_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    consortium = placed_behind(tmp_path, TWO)
    stranger = SigningKey(bytes([9]) * 32)

    def forged(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        answer = app(asked, context)
        if hub == "hub-b" and asked.metadata.message_type != HUB_CARRY:
            said = HubIsHere.read(answer.content)
            other = replace(said, proof=stranger.sign(said.proof))
            return Message(other.content(), reply_to=asked)
        return answer

    grid = hub_bus(consortium, Course(), configured({}), hook=forged)
    assert len([*grid.get_node_ids()]) == 2
    assert grid.away == {"north", "south"}
    grid.get_node_ids()
    (said,) = [one.getMessage() for one in caplog.records if "none of the" in one.getMessage()]
    assert "it named the hub hub-b: bad-signature" in said


def test_a_hub_that_is_not_in_the_charter_is_logged_once_without_what_it_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    consortium = placed_behind(tmp_path, TWO)

    def renamed(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        said = HubIsHere.read(app(asked, context).content)
        other = replace(said, hub="hub-z") if hub == "hub-b" else said
        return Message(other.content(), reply_to=asked)

    grid = hub_bus(consortium, Course(), configured({}), hook=renamed)
    for _ in range(2):
        assert len([*grid.get_node_ids()]) == 2
    (said,) = [one.getMessage() for one in caplog.records if "none of the" in one.getMessage()]
    assert "it named no hub of the charter: unknown-hub" in said
    assert "hub-z" not in said


def test_in_the_clear_hubs_pass_on_and_the_bits_are_the_same(tmp_path: Path) -> None:
    flat = Consortium.placed(tmp_path / "flat", floors=Floors())
    through = placed_behind(tmp_path / "hubs", TWO, floors=Floors())
    config = configured({"aggregation": "clear"})
    states = []
    for consortium, course in ((flat, Course()), (through, Course())):
        bus = (
            hub_bus(consortium, course, config)
            if consortium.charter.hubs
            else consortium.bus(course, config)
        )
        strategy = clear_strategy(
            config,
            consortium.charter,
            "clear-run",
            observe=course.events.append,
            keep=lambda _progress: None,
        )
        states.append(strategy.start(bus, config.num_server_rounds).state.vector.tobytes())
        assert not course.quarantined
    assert states[0] == states[1]


def test_members_of_a_hub_that_began_anew_are_greeted_once_more(tmp_path: Path) -> None:
    """On its SuperLink that is another run of Flower's, with other keys for the digests in logs."""
    consortium, died = placed_behind(tmp_path, TWO), list[str]()

    def dies(hub: str, asked: Message, context: Context, app: SiteApp) -> Message:
        content = asked.content
        trains = asked.metadata.message_type == HUB_CARRY and Passed.read(content).kind == "train"
        if hub == "hub-a" and trains and not died:
            died.append(hub)
            raise RuntimeError("the run of the hub has died")
        answered = app(asked, context)
        if hub == "hub-a" and died and asked.metadata.message_type == HUB_HELLO:
            here = replace(HubIsHere.read(answered.content), session="another")
            return Message(here.content(), reply_to=asked)
        return answered

    course = started(consortium, hook=dies, quorum=4, attempts=3, join_deadline_s=1.0)
    assert course.error is None
    greeted = [asked.site for asked, _ in course.answers("query.hello")]
    assert {name: greeted.count(name) for name in ("east", "west", "north", "south")} == {
        **dict.fromkeys(TWO["hub-a"], 2),
        **dict.fromkeys(TWO["hub-b"], 1),
    }
