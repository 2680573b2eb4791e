"""The digests that name a message in both logs, and the entries of a log."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st

from consortium.audit import journal as audit
from consortium.audit.journal import (
    OWNER,
    content_digest,
    link_digest,
    open_journal,
    read_public_keys,
)
from consortium.charter.document import Charter
from consortium.coordinator.audit_trail import AuditedGrid, CoordinatorAuditTrail
from consortium.run.directory import RunDirectory
from privacy.audit.hash_chain import Fact, verified_entries
from privacy.secrets.keys import Identity
from privacy.wire import flower_records as wire
from privacy.wire import messages
from privacy.wire.encrypted_messages import SealedReply, SealedRound
from scenarios.engines.in_process import InProcessGrid
from strategies.coordinator.messaging.events import RoundFinished, SiteAnswered, SiteQuarantined
from tests.small_consortium import Consortium, configured
from tests.small_site import LAYOUT

NORTH = Identity.generate("north")


def content(update: np.ndarray, **facts: str | int | float | bytes) -> RecordDict:
    return wire.content({"update": wire.vector_array(update)}, facts)


VECTORS = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=6).map(np.asarray)
FACTS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.integers(-9, 9) | st.text(max_size=4), max_size=3
)


@given(first=VECTORS, second=VECTORS, facts=FACTS, others=FACTS)
def test_two_messages_have_one_name_if_they_hold_the_same(
    first: np.ndarray, second: np.ndarray, facts: dict[str, int], others: dict[str, int]
) -> None:
    mine, theirs = content(first, **facts), content(second, **others)
    same = np.asarray(first, "<f4").tobytes() == np.asarray(second, "<f4").tobytes()
    equal = same and facts == others
    assert (content_digest("train", mine) == content_digest("train", theirs)) == equal
    assert content_digest("train", mine) != content_digest("evaluate", mine)


def test_everything_in_a_message_counts() -> None:
    base = wire.tally_array(np.arange(4))
    digests = {
        content_digest("train", RecordDict({"arrays": ArrayRecord({"a": array})}))
        for array in (
            base,
            Array(dtype="int32", shape=base.shape, stype=base.stype, data=base.data),
            Array(dtype=base.dtype, shape=(2, 2), stype=base.stype, data=base.data),
            Array(dtype=base.dtype, shape=base.shape, stype="other", data=base.data),
        )
    }
    assert len(digests) == 4
    assert content_digest("train", RecordDict({})) != content_digest(
        "train", RecordDict({"facts": ConfigRecord({})})
    )
    content_digest("train", RecordDict({"metrics": MetricRecord({"a": 1})}))


def test_a_sealed_upload_is_named_by_its_receipt() -> None:
    """A signed receipt holds its SHA-256; without a receipt every byte is hashed."""
    with_receipt = [SealedReply(upload=data, receipt=b"r").content() for data in (b"one", b"two")]
    assert len({content_digest("train", one) for one in with_receipt}) == 1
    other = SealedReply(upload=b"one", receipt=b"other").content()
    assert content_digest("train", other) != content_digest("train", with_receipt[0])
    bare = [SealedReply(upload=data).content() for data in (b"one", b"two")]
    assert len({content_digest("train", one) for one in bare}) == 2


def test_every_byte_of_a_signed_question_counts() -> None:
    """Its parts enter by their digests; that of the signature is one of them."""
    asked = SealedRound(
        charter="c" * 64, server_round=2, attempt=1, opening=b"o", sums=b"sums", signature=b"s"
    )
    others = [
        replace(asked, sums=b"other"),
        replace(asked, signature=b"t"),
        replace(asked, server_round=3),
        replace(asked, signature=b""),
    ]
    names = {content_digest("train", one.content()) for one in [asked, *others]}
    assert len(names) == len(others) + 1


def test_without_the_key_of_the_run_a_name_is_no_test_of_a_guess() -> None:
    digest = content_digest("train", content(np.ones(3)))
    names = {link_digest(link, digest) for link in (b"", b"a" * 32, b"b" * 32)}
    assert len(names) == 3
    assert digest.hex() not in names


def test_what_is_noted_is_written_with_the_next_commit(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, owner="north", key=NORTH.public.signing, sign=NORTH.sign)
    log = tmp_path / "audit" / audit.LOG
    journal.note(audit.REFUSED, code="stopped")
    assert log.read_bytes() == b""
    head = journal.commit()
    assert journal.commit() == head
    journal.chain.close()
    keys = read_public_keys(log)
    assert keys == {"north": NORTH.public.signing}
    assert [one.event.kind for one in verified_entries(log, keys)] == ["opened", "refused"]


def test_what_is_waiting_does_not_grow_with_what_is_noted(tmp_path: Path) -> None:
    """A coordinator notes a line per site between two commits, so most are written earlier."""
    journal = open_journal(tmp_path, owner="north", key=NORTH.public.signing, sign=NORTH.sign)
    log = tmp_path / "audit" / audit.LOG
    for number in range(1_000):
        journal.note(audit.REFUSED, code=f"stopped-{number}")
    written = [one.event for one in verified_entries(log, read_public_keys(log))]
    assert 800 < len(written) < 1_001
    journal.commit()
    journal.chain.close()
    told = [dict(one.event.facts) for one in verified_entries(log, read_public_keys(log))][1:]
    assert told == [{"code": f"stopped-{number}"} for number in range(1_000)]


@pytest.fixture
def consortium(tmp_path: Path) -> Consortium:
    return Consortium.placed(tmp_path / "run")


def entries(run: RunDirectory) -> list[tuple[str, dict[str, Fact]]]:
    log = run.coordinator / "audit" / audit.LOG
    return [
        (one.event.kind, dict(one.event.facts))
        for one in verified_entries(log, read_public_keys(log))
    ][2:]


def witness_of(consortium: Consortium) -> CoordinatorAuditTrail:
    return CoordinatorAuditTrail.open_for(consortium.run, consortium.charter, configured({}))


def hello(charter: Charter) -> Message:
    InProcessGrid({}, 0, {})
    return Message(messages.greeting(charter.fingerprint, b"c" * 32), 1001, messages.HELLO)


@pytest.mark.parametrize("anchor", [b"", b"no anchor", b"consortium.anchor/1\n" + bytes(268)])
def test_who_says_nothing_of_its_evidence_is_written_down_by_its_node(
    consortium: Consortium, anchor: bytes
) -> None:
    witness = witness_of(consortium)
    said = messages.Introduction(
        site="north", charter="c" * 64, layout=LAYOUT, num_examples=1, anchor=anchor
    )
    reply = Message(messages.introduction(said), reply_to=hello(consortium.charter))
    witness.note_received(reply)
    witness.close()
    kinds = [kind for kind, _ in entries(consortium.run)]
    assert kinds == ["received"]
    assert str(entries(consortium.run)[0][1]["site"]).startswith("node ")


def test_errors_events_and_the_end_are_written_down_without_a_figure(
    consortium: Consortium,
) -> None:
    witness = witness_of(consortium)
    asked = hello(consortium.charter)
    witness.note_received(Message(Error(2, "patient 17"), reply_to=asked))
    witness.note_received(Message(RecordDict({}), reply_to=asked))
    tally = np.arange(3)
    witness.note_event(SiteAnswered(server_round=1, site="north", released=tally))
    witness.note_event(
        SiteQuarantined(server_round=1, site="north", code="silent", counts={"rows": 61})
    )
    witness.note_event(
        RoundFinished(
            server_round=1,
            answered=("east", "north"),
            evaluation=tally,
            bytes_down=1,
            bytes_up=1,
            seconds=0.5,
        )
    )
    witness.note_end("finished", "d" * 64)
    witness.close()
    told = entries(consortium.run)
    assert [kind for kind, _ in told] == [
        "refused", "received", "quarantined", "round", "ended",
    ]  # fmt: skip
    assert told[2][1] == {"round": 1, "site": "north", "code": "silent"}
    assert told[3][1] == {"round": 1, "sites": "east,north"}
    log = consortium.run.coordinator / "audit" / audit.LOG
    assert "patient" not in log.read_text()
    assert OWNER in log.read_text()


def test_a_witnessed_bus_is_a_bus(consortium: Consortium) -> None:
    def site(message: Message, _context: object) -> Message:
        return Message(wire.content({}, {"a": 1}), reply_to=message)

    grid = InProcessGrid(site, 2, {})
    witness = witness_of(consortium)
    bus = AuditedGrid(grid, witness)
    bus.set_run(None)
    assert bus.run is None
    assert list(bus.get_node_ids()) == list(grid.get_node_ids())
    question = wire.content({}, {"q": 1})
    asked = [bus.create_message(question, "train", node, "1") for node in bus.get_node_ids()]
    assert len(list(bus.pull_messages(bus.push_messages(asked)))) == 2
    assert len(list(bus.send_and_receive(asked))) == 2
    witness.close()
    kinds = [kind for kind, _ in entries(consortium.run)]
    assert kinds == ["sent", "sent", "received", "received"] * 2


@pytest.mark.parametrize("how", ["kept", "asked"])
def test_an_answer_is_on_the_disk_before_anything_follows_from_it(
    consortium: Consortium, how: str
) -> None:
    """Before the next request or the record of the round, and no sooner: each sync takes time."""

    def site(message: Message, _context: object) -> Message:
        return Message(wire.content({}, {"a": 1}), reply_to=message)

    witness = witness_of(consortium)
    bus = AuditedGrid(InProcessGrid(site, 1, {}), witness)
    (node,) = bus.get_node_ids()
    asked = bus.create_message(wire.content({}, {"q": 1}), "train", node, "1")
    list(bus.pull_messages(bus.push_messages([asked])))
    assert [kind for kind, _ in entries(consortium.run)] == ["sent"]
    if how == "kept":
        witness.commit()
    else:
        bus.push_messages([asked])
    assert [kind for kind, _ in entries(consortium.run)][:2] == ["sent", "received"]
    witness.close()
