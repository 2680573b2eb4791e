import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.audit.hash_chain import (
    NO_HASH,
    OPENED,
    AuditChainBroken,
    AuditLogUnavailable,
    Chain,
    LogEvent,
    LogHead,
    PublicKeys,
    _hash,
    _parse_line,
    _require_signed,
    verified_entries,
)
from privacy.storage.secret_files import ExposedSecret

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
KEYS = {"north": PUBLIC}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def opened(path: Path, key: Ed25519PrivateKey = KEY, owner: str = "north") -> Chain:
    public = key.public_key().public_bytes_raw()
    return Chain(path, owner=owner, key=public, sign=key.sign, now=lambda: NOON)


def write(path: Path, entries: int, batch: int = 4) -> list[LogHead]:
    """Write a log of so many entries, the opening included; return the head after each batch."""
    chain, heads, number = opened(path), [], 1
    while number < entries:
        size = min(batch, entries - number)
        heads.append(chain.append([LogEvent("sent", {"n": number + i}) for i in range(size)]))
        number += size
    chain.close()
    return heads


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("audit") / "a" / "log.jsonl"
    write(path, 1_000)
    return path.read_bytes()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit" / "log.jsonl"


def verify_chain(path: Path, keys: PublicKeys, *, known: Iterable[LogHead] = ()) -> None:
    """Read a log to its end."""
    for _ in verified_entries(path, keys, known=known):
        pass


def require_found(path: Path, content: bytes, *, known: tuple[LogHead, ...] = ()) -> int:
    """Return the line at which an altered log is found to be one."""
    path.write_bytes(content)
    with pytest.raises(AuditChainBroken) as caught:
        verify_chain(path, KEYS, known=known)
    assert caught.value.counts == {"line": caught.value.line}
    return caught.value.line


def test_what_was_written_is_read_in_order(log: Path) -> None:
    heads = write(log, 11)
    entries = list(verified_entries(log, KEYS, known=heads))
    assert [entry.number for entry in entries] == list(range(1, 12))
    assert entries[0].event.kind == OPENED
    assert [entry.event.facts["n"] for entry in entries[1:]] == list(range(1, 11))
    assert [entry.number for entry in entries if entry.signed] == [5, 9, 11]
    assert heads[-1] == LogHead(11, entries[-1].hash)
    assert entries[0].previous == NO_HASH
    assert entries[3].at.startswith("2026-11-21T12:00:00.000")


def altered_bytes(honest: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    for place in range(0, len(honest), step):
        yield (
            place,
            honest[:place] + bytes([honest[place] ^ (1 << place % 8)]) + honest[place + 1 :],
        )


def line_of(content: bytes, place: int) -> int:
    return content[:place].count(b"\n") + 1


def test_a_flipped_bit_anywhere_is_found_at_its_line(honest: bytes, tmp_path: Path) -> None:
    """A sample of positions in 1,000 entries; the slow test tries every one in a smaller log."""
    for place, content in altered_bytes(honest, 9_973):
        assert require_found(tmp_path / "log", content) == line_of(honest, place)


def test_any_byte_of_a_short_log_counts(tmp_path: Path, log: Path) -> None:
    write(log, 3, batch=2)
    content = log.read_bytes()
    for place, altered in altered_bytes(content, 1):
        assert require_found(tmp_path / "log", altered) == line_of(content, place)


@pytest.mark.slow
def test_every_single_byte_of_a_thousand_entries_counts(honest: bytes) -> None:
    """A line with a changed byte does not parse, has a wrong hash, or a wrong signature."""
    for number, line in enumerate(honest.splitlines(), start=1):
        for place in range(len(line)):
            altered = line[:place] + bytes([line[place] ^ (1 << place % 8)]) + line[place + 1 :]
            with pytest.raises(AuditChainBroken):
                require_whole(altered, line=number)


def require_whole(raw: bytes, *, line: int) -> None:
    entry, signature = _parse_line(raw, line=line)
    if signature is not None:
        _require_signed(entry, signature, KEY.public_key())


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_a_removed_entry_is_found(honest: bytes, tmp_path: Path, step: int) -> None:
    lines = honest.splitlines(keepends=True)
    for number in range(0, len(lines) - 1, step):
        content = b"".join(lines[:number] + lines[number + 1 :])
        assert require_found(tmp_path / "log", content) == number + 1


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_two_entries_that_changed_places_are_found(
    honest: bytes, tmp_path: Path, step: int
) -> None:
    lines = honest.splitlines(keepends=True)
    for number in range(0, len(lines) - 1, step):
        order = [*lines]
        order[number], order[number + 1] = order[number + 1], order[number]
        assert require_found(tmp_path / "log", b"".join(order)) == number + 1


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_an_entry_put_in_twice_is_found(honest: bytes, tmp_path: Path, step: int) -> None:
    lines = honest.splitlines(keepends=True)
    for number in range(0, len(lines), step):
        content = b"".join([*lines[: number + 1], lines[number], *lines[number + 1 :]])
        assert require_found(tmp_path / "log", content) == number + 2


@pytest.mark.parametrize("step", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_an_end_that_was_cut_off_is_found_by_who_knows_a_later_head(
    honest: bytes, tmp_path: Path, step: int
) -> None:
    """Cut inside a batch, nobody need know anything: the last line is not signed."""
    lines = honest.splitlines(keepends=True)
    last = json.loads(lines[-1])["hash"]
    for number in range(1, len(lines), step):
        cut = b"".join(lines[:number])
        assert require_found(tmp_path / "log", cut, known=(LogHead(1_000, last),)) <= number + 1
        if b'"signature"' not in lines[number - 1]:
            assert require_found(tmp_path / "log", cut) == number
        else:
            verify_chain(tmp_path / "log", KEYS)


def test_a_line_cut_in_the_middle_is_found(honest: bytes, tmp_path: Path) -> None:
    for cut in (1, 2, 100, 500):
        line = require_found(tmp_path / "log", honest[:-cut])
        assert line == line_of(honest, len(honest) - cut)


def test_no_log_is_no_log(tmp_path: Path) -> None:
    assert require_found(tmp_path / "log", b"") == 1
    assert require_found(tmp_path / "log", b"\n") == 1
    with pytest.raises(AuditLogUnavailable):
        verify_chain(tmp_path / "none", KEYS)


def test_a_fork_is_found_by_a_peer_that_knows_the_other_branch(tmp_path: Path) -> None:
    """The owner goes back to an earlier state of its log and goes on from there: both are whole."""
    path = tmp_path / "a" / "log.jsonl"
    write(path, 9)
    common = path.read_bytes()
    chain = opened(path)
    told = chain.append([LogEvent("sent", {"n": 100})])
    chain.close()
    path.write_bytes(common)
    chain = opened(path)
    chain.append([LogEvent("sent", {"n": 200}), LogEvent("sent", {"n": 201})])
    chain.close()
    verify_chain(path, KEYS)
    with pytest.raises(AuditChainBroken, match="told another hash") as caught:
        verify_chain(path, KEYS, known=[told])
    assert caught.value.line == 10


def hashed(body: bytes) -> bytes:
    """A line whose hash is right: anybody can compute one."""
    return b'{"entry":%b,"hash":"%b"}\n' % (body, _hash(body).encode())


def entry_with(**changes: object) -> bytes:
    told = {"at": "", "facts": {}, "kind": OPENED, "n": 1, "previous": NO_HASH, "v": 1}
    return json.dumps({**told, **changes}, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"{no entry}",
        b'{"n":' + b"[" * 100_000 + b"}",
        b"{}",
        entry_with(v=2),
        entry_with(facts=7),
        entry_with(more=1),
        entry_with(n=2),
        entry_with(previous="1" * 64),
        entry_with(kind="sent"),
    ],
)
def test_a_right_hash_does_not_make_an_entry(log: Path, body: bytes) -> None:
    log.parent.mkdir()
    assert require_found(log, hashed(body)) == 1


def test_a_log_is_opened_once(log: Path) -> None:
    write(log, 3)
    whole = log.read_bytes()
    last = json.loads(whole.splitlines()[-1])
    again = entry_with(n=4, previous=last["hash"])
    assert require_found(log, whole + hashed(again)) == 4


def test_only_the_owner_signs(log: Path, tmp_path: Path) -> None:
    """Somebody rewrites the log from its first line on, with whatever key."""
    other = Ed25519PrivateKey.generate()
    chain = opened(log, other)
    chain.append([LogEvent("sent", {"n": 1})])
    chain.close()
    with pytest.raises(AuditChainBroken, match="not the log of any"):
        verify_chain(log, KEYS)
    forged = tmp_path / "b" / "log.jsonl"
    chain = Chain(forged, owner="north", key=PUBLIC, sign=other.sign)
    chain.append([LogEvent("sent", {"n": 1})])
    chain.close()
    with pytest.raises(AuditChainBroken, match="not its owner"):
        verify_chain(forged, KEYS)
    with pytest.raises(AuditChainBroken, match="not the log of any"):
        verify_chain(forged, {"south": PUBLIC})


FACTS = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.text(max_size=20) | st.integers(-(2**63), 2**63) | st.booleans(),
    max_size=4,
)


@settings(max_examples=25)
@given(batches=st.lists(st.lists(FACTS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_whatever_is_said_is_read_again(
    batches: list[list[dict[str, str | int | bool]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("audit") / "a" / "log.jsonl"
    chain = opened(path)
    for batch in batches:
        chain.append([LogEvent("said", facts) for facts in batch])
    chain.close()
    told = [entry.event.facts for entry in verified_entries(path, KEYS)][1:]
    assert told == [facts for batch in batches for facts in batch]


def test_several_writers_make_one_chain(log: Path) -> None:
    """As two processes of one site do: each first reads what the other wrote."""

    def work() -> None:
        chain = opened(log)
        for number in range(20):
            chain.append([LogEvent("sent", {"n": number}), LogEvent("sent", {"n": number})])
        chain.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for _ in verified_entries(log, KEYS)) == 161


def test_a_head_is_where_the_log_ends_now(log: Path) -> None:
    chain, other = opened(log), opened(log)
    assert chain.head() == LogHead()
    told = other.append([LogEvent("sent")])
    assert chain.head() == told == other.head()
    chain.close()
    other.close()


def test_a_writer_that_died_in_a_line_leaves_a_log_that_goes_on(log: Path) -> None:
    """Whole entries are kept, and the log records that a part was cut off."""
    write(log, 9)
    whole = log.read_bytes()
    for left in (b'{"entry":{"at":"20', whole.splitlines(keepends=True)[-1][:-1]):
        log.write_bytes(whole + left)
        with pytest.raises(AuditChainBroken) as caught:
            verify_chain(log, KEYS)
        assert caught.value.line == 10
        chain = opened(log)
        chain.append([LogEvent("sent", {"n": 10})])
        chain.close()
        events = [entry.event for entry in verified_entries(log, KEYS)]
        assert events[9:] == [
            LogEvent("recovered", {"bytes": len(left)}),
            LogEvent("sent", {"n": 10}),
        ]


def test_entries_without_their_signature_are_signed_by_the_next_batch(log: Path) -> None:
    """A process died between the lines of a batch, so none of the batch was told to a peer."""
    write(log, 9)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:7]))
    with pytest.raises(AuditChainBroken, match="not signed"):
        verify_chain(log, KEYS)
    chain = opened(log)
    chain.append([LogEvent("sent", {"n": 10})])
    chain.close()
    verify_chain(log, KEYS)


@pytest.mark.parametrize("spoilt", [b"nonsense\n", b'{"entry":{},"hash":"' + b"0" * 64 + b'"}\n'])
def test_nobody_goes_on_from_a_last_line_that_is_none(log: Path, spoilt: bytes) -> None:
    write(log, 5)
    log.write_bytes(log.read_bytes() + spoilt)
    chain = opened(log)
    with pytest.raises(AuditChainBroken):
        chain.append([LogEvent("sent")])
    chain.close()


def test_a_line_without_end_is_not_gone_on_from(log: Path) -> None:
    write(log, 3)
    log.write_bytes(b"x" * 100_000)
    chain = opened(log)
    with pytest.raises(AuditChainBroken, match="no end"):
        chain.head()
    chain.close()


def test_a_log_that_cannot_be_opened_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a" / "log.jsonl").mkdir()
    with pytest.raises(AuditLogUnavailable):
        opened(tmp_path / "a" / "log.jsonl")
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ExposedSecret):
        opened(tmp_path / "open" / "log.jsonl")


def test_a_full_disk_is_said(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(log, 3)
    chain, real = opened(log), os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:-5]))
    with pytest.raises(AuditLogUnavailable, match="whole"):
        chain.append([LogEvent("sent")])
    monkeypatch.undo()
    chain.append([LogEvent("sent")])
    chain.close()
    assert [one.event.kind for one in verified_entries(log, KEYS)][-2:] == ["recovered", "sent"]


WRITER = """
import sys
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from privacy.audit.hash_chain import Chain, LogEvent
key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
public = key.public_key().public_bytes_raw()
chain = Chain(Path(sys.argv[1]), owner="north", key=public, sign=key.sign)
while True:
    head = chain.append([LogEvent("sent", {"text": "x" * 200})] * 20)
    print(head.entries, flush=True)
"""


@pytest.mark.parametrize("kills", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing_it_reported(kills: int, log: Path) -> None:
    """Kill -9 at whatever moment: what `append` returned for is there, and the log goes on."""
    reported = 0
    for turn in range(kills):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(log)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(1 + turn % 7):
            reported = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().splitlines()
        writer.wait()
        writer.stdout.close()
        reported = int(rest[-1]) if rest and log.stat().st_size else reported
        seen = 0
        with suppress(AuditChainBroken):  # the line it died in
            for entry in verified_entries(log, KEYS):
                seen = entry.number
        assert seen >= reported
    chain = opened(log)
    chain.append([LogEvent("sent")])
    chain.close()
    verify_chain(log, KEYS)


def test_a_broken_log_is_named_where_several_are_read() -> None:
    broken = AuditChainBroken("its hash does not match its entry", line=7)
    named = broken.named("the log of north")
    assert str(broken) == "line 7: its hash does not match its entry"
    assert str(named) == "the log of north, line 7: its hash does not match its entry"
    assert (named.line, named.counts) == (broken.line, broken.counts)
