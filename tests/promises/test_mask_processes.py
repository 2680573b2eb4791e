"""Of two processes of a site that decide at once, one decision stands: in its real memory."""

import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

from privacy.errors import ConsortiumError
from privacy.secrets.answer_memory import Answer
from privacy.secrets.masked_runs.mask_memory import ConfirmedSet
from privacy.secrets.masked_runs.pair_memory import KeptPairKey, KeptPairSecret
from privacy.secrets.replay_guard import SiteMemory
from tests.carrier import staged
from tests.masked_sites import CHARTER, RUN, begin, no_claim, slot_of

TIMES = 10
Act = Callable[[SiteMemory, int], bytes]


def at_once(folder: Path, act: Act) -> list[bytes]:
    """Let two processes do something with one memory at the same moment; return what each says."""
    go_read, go_write = os.pipe()
    ears = []
    for number in (1, 2):
        ear, mouth = os.pipe()
        if not os.fork():
            try:
                with SiteMemory(folder) as memory:
                    os.write(mouth, b"+")
                    os.read(go_read, 1)
                    try:
                        os.write(mouth, act(memory, number))
                    except ConsortiumError as error:
                        os.write(mouth, error.code.encode())
            finally:
                os._exit(0)
        os.close(mouth)
        ears.append(ear)
    for ear in ears:
        os.read(ear, 1)
    os.write(go_write, b"!!")
    said = [os.read(ear, 4_096) for ear in ears]
    for handle in (*ears, go_read, go_write):
        os.close(handle)
    for _ in ears:
        os.wait()
    return said


def digest(number: int) -> bytes:
    return bytes([number]) * 32


def test_two_sets_that_are_confirmed_at_once_are_one(tmp_path: Path) -> None:
    won = set()
    for time in range(TIMES):
        folder, slot = tmp_path / str(time), slot_of()
        with SiteMemory(folder) as memory:
            begin(memory)

        def confirm(memory: SiteMemory, number: int) -> bytes:
            memory.masks.confirm(slot_of(), digest(number), only_sites={}, claim=no_claim)
            return digest(number)

        said = at_once(folder, confirm)
        (stands,) = [one for one in said if len(one) == 32]
        assert [one for one in said if one != stands] == [b"round-confirmed"]
        with SiteMemory(folder) as memory:
            assert memory.masks.confirmed(slot) == ConfirmedSet(attempt=1, set_digest=stands)
        won.add(stands)
    staged(so=bool(won), what="nobody confirmed")


def answered(number: int, attempt: int = 1) -> Answer:
    return Answer(
        slot=slot_of(attempt),
        request=bytes(32),
        state=bytes(32),
        receipt=b"receipt",
        reply=b"upload of process %d" % number,
        own_share=b"share of process %d" % number,
    )


def test_two_uploads_that_are_sealed_at_once_for_one_slot_are_one(tmp_path: Path) -> None:
    """And the share that is kept is of the mask of that upload."""
    for time in range(TIMES):
        folder = tmp_path / str(time)
        with SiteMemory(folder) as memory:
            begin(memory)
        first, second = at_once(
            folder, lambda memory, number: memory.answers.remember_reply(answered(number))
        )
        assert first == second
        with SiteMemory(folder) as memory:
            share = memory.masks.own_share(slot_of())
            assert share == first.replace(b"upload", b"share")


def test_a_set_and_another_attempt_at_once_are_not_both(tmp_path: Path) -> None:
    """One process confirms a set of the first attempt, the other seals in the second one."""
    for time in range(TIMES):
        folder = tmp_path / str(time)
        with SiteMemory(folder) as memory:
            begin(memory)

        def act(memory: SiteMemory, number: int) -> bytes:
            if number == 1:
                memory.masks.confirm(slot_of(1), digest(1), only_sites={}, claim=no_claim)
                return b"confirmed"
            memory.answers.remember_reply(answered(2, attempt=2))
            return b"sealed"

        assert at_once(folder, act) in [
            [b"confirmed", b"round-confirmed"],
            [b"wrong-attempt", b"sealed"],
        ]


def test_two_pair_keys_and_two_secrets_that_are_made_at_once_are_one(tmp_path: Path) -> None:
    def offer(memory: SiteMemory, number: int) -> bytes:
        key = KeptPairKey(offer=b"offer %d" % number, material=b"private")
        return memory.pairs.keep_unused_key(CHARTER, key).offer

    def make(memory: SiteMemory, number: int) -> bytes:
        made = KeptPairSecret(ciphertext=b"ciphertext %d" % number, secret=b"secret")
        return memory.pairs.keep_made_secret(RUN, "east", made).ciphertext

    for time in range(TIMES):
        folder = tmp_path / str(time)
        with SiteMemory(folder) as memory:
            begin(memory)
        for act in (make, offer):
            first, second = at_once(folder, act)
            assert first == second
        unused = first

        def take(memory: SiteMemory, number: int, unused: bytes = unused) -> bytes:
            memory.pairs.begin_run(CHARTER, f"run-{number}", offer=unused, day=1)
            return b"begun"

        assert sorted(at_once(folder, take)) == [b"begun", b"pair-key-used"]


LIVES = 12


def test_what_was_said_to_be_confirmed_stands_though_both_processes_are_killed(
    tmp_path: Path,
) -> None:
    """They race through rounds until they are killed; nobody says another set of a round."""
    folder = tmp_path / "memory"
    with SiteMemory(folder) as memory:
        begin(memory)
    said: dict[bytes, bytes] = {}
    for life in range(LIVES):
        for line in raced(folder, until=3 + 5 * life % 9):
            server_round, confirmed = line.split()
            assert said.setdefault(server_round, confirmed) == confirmed
    with SiteMemory(folder) as memory:
        for server_round, confirmed in said.items():
            held = memory.masks.confirmed(slot_of(server_round=int(server_round)))
            assert held is not None
            assert held.set_digest.hex().encode() == confirmed
    assert len(said) >= LIVES


def raced(folder: Path, *, until: int) -> list[bytes]:
    """Let two processes race until they said so many lines, and kill them; return the lines."""
    ear, mouth = os.pipe()
    children = []
    for number in (1, 2):
        child = os.fork()
        if not child:
            confirm_on(folder, number, mouth)
        children.append(child)
    os.close(mouth)
    heard = b""
    while heard.count(b"\n") < until:
        heard += os.read(ear, 65_536)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    while more := os.read(ear, 65_536):
        heard += more
    os.close(ear)
    return heard.splitlines()


def confirm_on(folder: Path, number: int, mouth: int) -> None:
    """Confirm a set of each next round, and say so; it ends when it is killed."""
    with SiteMemory(folder) as memory:
        for server_round in count(1):
            slot = slot_of(server_round=server_round)
            if memory.masks.confirmed(slot):
                continue
            try:
                memory.masks.confirm(slot, digest(number), only_sites={}, claim=no_claim)
            except ConsortiumError:
                continue  # the other one was faster
            os.write(mouth, b"%d %s\n" % (server_round, digest(number).hex().encode()))
