"""Cross-checks of logs from a run between real sites, honest and tampered with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.app import RecordDict
from typer.testing import CliRunner

from consortium.audit import journal as audit
from consortium.audit.cross_check import (
    LogsDiffer,
    NoLog,
    ReadLog,
    contradictions,
    decode_ledger_head,
    find_logs,
    ledger_heads,
    read_log,
    require_agreement,
)
from consortium.audit.receipt import Attendance, attendances, receipt_page
from consortium.cli import main as cli
from consortium.client.audit_trail import journal_of
from consortium.client.site_ledger import ledger_of
from consortium.coordinator.audit_trail import AuditedGrid, CoordinatorAuditTrail
from consortium.site.directory import SiteDirectory
from privacy.audit.hash_chain import AuditChainBroken, AuditLogUnavailable, LogEvent
from privacy.audit.log_tail import LogTail
from privacy.audit.signed_head import Anchor
from privacy.differential.ledger import Ledger
from privacy.differential.ledger_entries import Budget, DataSet
from privacy.differential.ledger_entries import LedgerHead as LedgerHead
from privacy.differential.mechanisms import SampledGaussian
from privacy.protocol.receipts import decode_receipts
from privacy.protocol.signed_question import PARTS
from privacy.secrets.replay_guard import SiteMemory
from privacy.storage.site_process import SITE_PROCESS
from privacy.wire import encrypted_messages as sealed_messages
from privacy.wire import flower_records as wire
from privacy.wire import messages
from tests.small_consortium import NAMES, Consortium, Course, Passing, as_it_is, configured


def witnessed(
    folder: Path,
    up: Callable[[Passing], RecordDict] = as_it_is,
    down: Callable[[Passing], RecordDict] = as_it_is,
) -> Consortium:
    """Run to the end, with audit logs at both ends."""
    return witnessed_in(Consortium.placed(folder / "run"), up)


def witnessed_in(
    consortium: Consortium, up: Callable[[Passing], RecordDict] = as_it_is
) -> Consortium:
    course, config = Course(), configured({})
    consortium.charter.write(consortium.run.charter)
    grid = consortium.bus(course, config, up=up)
    witness = CoordinatorAuditTrail.open_for(consortium.run, consortium.charter, config)
    strategy = consortium.strategy(course)
    progress = strategy.start(AuditedGrid(grid, witness), config.num_server_rounds)
    for event in course.events:
        witness.note_event(event)
    witness.note_end("finished", progress.model_digest)
    witness.close()
    return consortium


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Consortium:
    return witnessed(tmp_path_factory.mktemp("honest"))


@pytest.fixture
def run(honest: Consortium, tmp_path: Path) -> Consortium:
    """A copy of the honest run, for a test to tamper with."""
    folder = tmp_path / "copy"
    shutil.copytree(honest.run.path, folder)
    return Consortium(run=type(honest.run)(folder), charter=honest.charter)


def read(at: Consortium) -> list[ReadLog]:
    return [read_log(path, at.charter) for path in find_logs(at.run.path)]


def log_of(at: Consortium, name: str) -> Path:
    part = at.run.coordinator if name == "coordinator" else at.run.site(name)
    return part / "audit" / audit.LOG


def cut_to(path: Path, kept: int) -> None:
    """Cut a log off after a signed line, so that the rest is a valid chain."""
    lines = path.read_bytes().splitlines(keepends=True)
    while b'"signature"' not in lines[kept - 1]:
        kept -= 1
    path.write_bytes(b"".join(lines[:kept]))


def test_the_logs_of_an_honest_run_are_whole_and_agree(honest: Consortium) -> None:
    logs = read(honest)
    assert [log.owner for log in logs] == ["coordinator", *NAMES]
    assert [log.key_from_charter for log in logs] == [False, True, True, True, True]
    require_agreement(logs)
    coordinator = logs[0]
    assert [one.event.facts["site"] for one in coordinator.entries_of(audit.JOINED)] == list(NAMES)
    assert len(list(coordinator.entries_of(audit.ROUND))) == 4
    for site in logs[1:]:
        sent = site.digests[audit.SENT]
        assert sent == {
            one.event.facts["digest"]
            for one in coordinator.entries_of(audit.RECEIVED)
            if one.event.facts["site"] == site.owner
        }
        (terms,) = site.entries_of(audit.RUN)
        assert terms.event.facts["charter"] == honest.charter.fingerprint
        sealed = [one.event.facts["what"] for one in site.entries_of(audit.SEALED)]
        assert sealed.count("update") == 3
        assert sealed.count("counts") == 5


def test_no_entry_names_a_value_computed_from_records(honest: Consortium) -> None:
    """The list of facts is closed: identities, kinds, sizes, rounds and digests."""
    known = {
        "owner", "key", "log", "run", "charter", "config", "policy", "program", "aggregation",
        "privacy", "kind", "bytes", "digest", "what", "round", "attempt", "upload", "state",
        "site", "entries", "head", "ledger", "signature", "sites", "status", "model",
        "signed", *PARTS,
    }  # fmt: skip
    for log in read(honest):
        for entry in log.entries:
            assert set(entry.event.facts) <= known


def test_what_a_site_signed_is_what_its_log_says_it_sealed(honest: Consortium) -> None:
    receipts = decode_receipts(
        (honest.run.vault / "round-3" / "updates" / "receipts.bin").read_bytes()
    )
    for one in receipts:
        site = read_log(log_of(honest, one.label.site), honest.charter)
        uploads = {entry.event.facts["upload"] for entry in site.entries_of(audit.SEALED)}
        assert one.upload.hex() in uploads


@pytest.mark.parametrize("name", ["north", "coordinator"])
def test_an_end_that_was_cut_off_is_found_by_the_other_end(name: str, run: Consortium) -> None:
    path = log_of(run, name)
    kept = len(path.read_bytes().splitlines()) * 2 // 3
    cut_to(path, kept)
    read_log(path, run.charter)  # by itself it is whole
    found = contradictions(read(run))
    assert found
    assert all("cut off" in text for text in found)
    with pytest.raises(LogsDiffer) as caught:
        require_agreement(read(run))
    assert caught.value.counts == {"differences": len(found)}


def test_a_log_that_was_put_back_before_the_next_run_is_found(run: Consortium) -> None:
    """The site joins again with an earlier log, so it reports a head other than the first one."""
    path = log_of(run, "north")
    cut_to(path, 1 + 3)
    SITE_PROCESS.clear()
    journal = journal_of(run.run.site("north"), "north")
    journal.note("sent", run="7", kind="train", bytes=1, digest="00")
    journal.commit()
    assert any("is not in the" in text for text in contradictions(read(run)))


def test_an_anchor_that_is_not_in_the_log_is_found(run: Consortium) -> None:
    """In a second run, the anchor from the site's joining is checked against its present log."""
    logs = read(run)
    coordinator = logs[0]
    (joined, *_) = (
        one for one in coordinator.entries_of(audit.JOINED) if one.event.facts["site"] == "north"
    )
    site = next(log for log in logs if log.owner == "north")
    assert joined.event.facts["entries"] == 0
    forged = {**joined.event.facts, "entries": len(site.entries), "head": "0" * 64}
    told = [
        *(one for one in coordinator.entries if one is not joined),
        type(joined)(1, "", LogEvent(audit.JOINED, forged), "", "", signed=True),
    ]
    accused = ReadLog(coordinator.path, coordinator.owner, tuple(told), key_from_charter=False)
    assert contradictions([accused, site]) == [
        "the coordinator's log has an anchor (line 1) that north did not sign"
    ]


def test_a_site_says_where_its_log_stands_when_it_joins_again(
    honest: Consortium, run: Consortium
) -> None:
    place = run.place("east")
    before = read_log(log_of(run, "east"), run.charter).head
    answer = place.ask(messages.HELLO, messages.greeting(run.charter.fingerprint, b"c" * 32))
    anchor = Anchor.decode(wire.arrays_and_facts(answer)[0]["anchor"].data)
    anchor.verify()
    assert anchor.head == before
    assert anchor.key == honest.identity("east").public.signing


def test_two_logs_of_one_site_are_two_too_many(honest: Consortium) -> None:
    logs = read(honest)
    assert contradictions([*logs, logs[1]]) == ["there are two logs of east"]


def test_what_was_altered_on_the_way_is_in_neither_others_log(tmp_path: Path) -> None:
    """The coordinator's Grid changes an answer, so the site's log does not have it."""
    altered: list[str] = []

    def up(passing: Passing) -> RecordDict:
        if (passing.site, passing.kind) == ("north", "query.epoch") and not altered:
            altered.append(passing.site)
            return sealed_messages.held_epoch(3, b"e" * 32)
        return passing.content

    run = witnessed(tmp_path, up=up)
    found = contradictions(read(run))
    assert altered == ["north"]
    assert any("is not in the log of north" in text for text in found)


def test_a_charter_of_others_keys_does_not_take_a_log(honest: Consortium) -> None:
    east, north, *rest = honest.charter.members
    swapped = honest.charter.model_copy(
        update={
            "members": (
                east.model_copy(update={"signing": north.signing}),
                north.model_copy(update={"signing": east.signing}),
                *rest,
            )
        }
    )
    with pytest.raises(AuditChainBroken):
        read_log(log_of(honest, "east"), swapped)


def test_a_place_without_a_log_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoLog):
        find_logs(tmp_path)


def test_a_ledgers_head_survives_an_anchor(honest: Consortium) -> None:
    head = LedgerHead(entries=17, digest=bytes(range(32)))
    assert decode_ledger_head((17).to_bytes(8, "big") + head.digest) == head
    heads = ledger_heads("east", read(honest))
    assert [one.entries for one in heads] == sorted({one.entries for one in heads})
    with ledger_of(honest.run.site("east")) as ledger:
        assert ledger.head() == heads[-1]


def test_a_ledger_that_was_rolled_back_is_found_by_what_a_coordinator_was_told(
    tmp_path: Path,
) -> None:
    """Even if the site's own log is rolled back with it, the other side's log shows it."""
    consortium = Consortium.placed(tmp_path / "run")
    folder = consortium.run.site("north") / "ledger"
    event = SampledGaussian(
        noise_multiplier=4.0, sampling_rate=0.01, steps=10, clip_norm=1.0, unit="person"
    )
    data_set = DataSet(name="patients", fingerprint="a" * 64)
    budget = Budget(epsilon=20.0, delta=1e-6)
    with Ledger(folder) as ledger:
        ledger.reserve(event, data_set=data_set, run="first", budget=budget)
    before = shutil.copytree(folder, tmp_path / "before")
    with Ledger(folder) as ledger:
        ledger.reserve(event, data_set=data_set, run="second", budget=budget)
    witnessed_in(consortium)
    code, told = typed(
        "audit", "verify", consortium.run.path, "--ledger", consortium.run.site("north")
    )
    assert code == 0, told
    assert "continues all" in told
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    code, told = typed(
        "audit", "verify", consortium.run.coordinator, "--ledger", consortium.run.site("north")
    )
    assert code == 1
    assert "LedgerRolledBack" in told


# What people type.

RUNNER = CliRunner()


def typed(*words: object) -> tuple[int, str]:
    told = RUNNER.invoke(cli.app, [str(word) for word in words], env={"COLUMNS": "200"})
    return told.exit_code, told.output + repr(told.exception or "")


def test_verify_says_what_is_whole(honest: Consortium) -> None:
    code, told = typed("audit", "verify", honest.run.path)
    assert code == 0, told
    assert "in the charter" in told
    code, told = typed("audit", "verify", honest.run.site("north"))
    assert code == 0, told
    assert "one side only" in told


def test_what_a_log_lost_with_the_machine_is_put_back_before_it_is_verified(
    run: Consortium,
) -> None:
    log = log_of(run, "north")
    whole = log.read_bytes()
    with SiteMemory(SiteDirectory(run.run.site("north")).memory) as memory:
        memory.tails.carry(LogTail(log))
    log.write_bytes(whole[:-20])
    code, told = typed("audit", "verify", run.run.path)
    assert code == 0, told
    assert log.read_bytes() == whole


def test_verify_says_whose_log_is_broken_and_which_are_whole(run: Consortium) -> None:
    for name in ("north", "west"):
        path = log_of(run, name)
        path.write_bytes(path.read_bytes().replace(b'"round":2', b'"round":3', 1))
    code, told = typed("audit", "verify", run.run.path)
    assert code == 1
    for name in ("north", "west"):
        assert f"the log of {name}, {log_of(run, name)}, line " in told.replace("\n", "")
    whole = len(find_logs(run.run.path)) - 2
    assert f"{whole} of {whole + 2} logs intact" in told
    assert "coordinator" in told.partition("audit-chain-broken")[0]


def test_a_key_beside_a_log_that_cannot_be_read_is_named(run: Consortium) -> None:
    public = log_of(run, "north").with_name(audit.PUBLIC)
    for content in (b"\xff", b"[]", b'{"north": 1}', b'{"north": "no hexadecimal"}'):
        public.write_bytes(content)
        with pytest.raises(AuditLogUnavailable, match=r"public\.json, which holds its owner's key"):
            read_log(log_of(run, "north"))


@pytest.mark.parametrize("verb", ["verify", "show"])
def test_what_the_audit_tells_fits_on_80_columns(verb: str, honest: Consortium) -> None:
    told = RUNNER.invoke(cli.app, ["audit", verb, str(honest.run.path)], env={"COLUMNS": "80"})
    assert told.exit_code == 0, told.output
    assert max(map(len, told.output.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in told.output


def test_verify_ends_with_1_where_anything_is_wrong(run: Consortium) -> None:
    path = log_of(run, "north")
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"round":2', b'"round":3', 1))
    code, told = typed("audit", "verify", run.run.path)
    assert code == 1
    assert "AuditChainBroken" in told
    path.write_bytes(content)
    cut_to(path, 20)
    code, told = typed("audit", "verify", run.run.path)
    assert code == 1
    assert "LogsDiffer" in told


def test_show_tells_every_entry(honest: Consortium) -> None:
    code, told = typed("audit", "show", log_of(honest, "north"))
    assert code == 0
    for kind in (audit.RUN, audit.RECEIVED, audit.SENT, audit.SEALED):
        assert kind in told


def test_a_receipt_says_of_each_member_whether_it_joined_and_whether_its_log_is_here(
    run: Consortium,
) -> None:
    logs = read(run)
    without = attendances([log for log in logs if log.owner != "north"], run.charter)
    assert Attendance("north", "joined", "not here") in without
    alone = attendances([log for log in logs if log.owner == "north"], run.charter)
    assert Attendance("north", "no coordinator's log is here", "checked") in alone
    assert Attendance("west", "no coordinator's log is here", "not here") in alone
    joining = run.charter.model_copy(
        update={
            "members": (
                *run.charter.members,
                run.charter.members[0].model_copy(update={"name": "new"}),
            )
        }
    )
    assert Attendance("new", "did not join", "not here") in attendances(logs, joining)
    assert [one.name for one in attendances(logs, None)] == sorted(run.charter.names)


def test_a_receipt_is_one_page_that_asks_for_nothing(run: Consortium, tmp_path: Path) -> None:
    code, _ = typed("audit", "receipt", run.run.path, "--out", tmp_path / "receipt.html")
    assert code == 0
    page = (tmp_path / "receipt.html").read_text()
    assert "The logs are intact" in page
    assert run.charter.fingerprint in page
    assert "http://" not in page
    assert "<script" not in page
    assert f"run {run.run.path.name}" in page
    assert run.charter.name in page
    attended = attendances(read(run), run.charter)
    assert attended == [Attendance(name, "joined", "checked") for name in run.charter.names]
    for name in run.charter.names:
        assert f'<th scope="row">{name}</th>' in page
    cut_to(log_of(run, "north"), 20)
    assert "contradict" in receipt_page(read(run))
    assert "as far as one side can tell" in receipt_page(read(run)[1:2])
    assert json.loads(log_of(run, "north").read_text().splitlines()[0])["entry"]["n"] == 1
