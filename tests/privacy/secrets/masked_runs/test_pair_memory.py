"""A pair key has one run, a pair has one secret, and what is deleted is nowhere."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.protocol.masks.pair_messages import TwoPairSecrets
from privacy.secrets.keys import SecretStays
from privacy.secrets.masked_runs.pair_memory import (
    MOST_OPEN_RUNS,
    KeptPairKey,
    KeptPairSecret,
    PairKeyUnknown,
    PairKeyUsed,
    RunForgotten,
)
from privacy.secrets.replay_guard import MAX_OPENINGS, KeyBurned, SiteMemory
from tests.masked_sites import CHARTER, begin

DAY = 739_000


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[SiteMemory]:
    with SiteMemory(tmp_path / "memory") as memory:
        yield memory


def key(number: int = 1) -> KeptPairKey:
    return KeptPairKey(offer=b"offer %d" % number, material=b"private key no. %d" % number)


def pair(number: int = 1) -> KeptPairSecret:
    return KeptPairSecret(ciphertext=b"signed %d" % number, secret=b"the pair secret %d" % number)


def all_bytes(folder: Path) -> bytes:
    """Return every byte of a memory's files: database, log and index, free pages too."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_one_unused_key_is_offered_until_a_run_takes_it(memory: SiteMemory, tmp_path: Path) -> None:
    pairs = memory.pairs
    assert pairs.unused_key(CHARTER) is None
    assert pairs.keep_unused_key(CHARTER, key(1)).offer == key(1).offer
    assert pairs.keep_unused_key(CHARTER, key(2)).offer == key(1).offer
    assert pairs.keep_unused_key("1" * 64, key(3)).offer == key(3).offer
    with SiteMemory(tmp_path / "memory") as again:
        unused = again.pairs.unused_key(CHARTER)
        assert unused is not None
        assert (unused.offer, unused.material) == (key(1).offer, key(1).material)
    for _ in range(2):
        taken = pairs.begin_run(CHARTER, "run", offer=key(1).offer, day=DAY)
        assert (taken.offer, taken.material) == (key(1).offer, key(1).material)
        assert pairs.unused_key(CHARTER) is None
    assert pairs.run_key("run").offer == key(1).offer
    with pytest.raises(PairKeyUnknown):
        pairs.run_key("other")


def test_a_key_has_one_run_ever_and_a_run_one_key(memory: SiteMemory) -> None:
    """Also when the private half is deleted, and when the run is over."""
    pairs = memory.pairs
    pairs.keep_unused_key(CHARTER, key(1))
    pairs.begin_run(CHARTER, "run", offer=key(1).offer, day=DAY)
    pairs.keep_unused_key(CHARTER, key(2))
    ends: list[Callable[[], object]] = [
        lambda: pairs.run_key("run"),
        lambda: pairs.drop_private_key("run"),
        lambda: pairs.release_run("run"),
    ]
    for end in ends:
        end()
        with pytest.raises(PairKeyUsed):
            pairs.begin_run(CHARTER, "other", offer=key(1).offer, day=DAY)
        with pytest.raises(PairKeyUsed):
            pairs.begin_run(CHARTER, "run", offer=key(2).offer, day=DAY)
    with pytest.raises(RunForgotten):
        pairs.begin_run(CHARTER, "run", offer=key(1).offer, day=DAY)


def test_a_key_that_this_site_did_not_make_for_the_charter_begins_no_run(
    memory: SiteMemory,
) -> None:
    memory.pairs.keep_unused_key("1" * 64, key(1))
    for offer in (key(1).offer, key(2).offer):
        with pytest.raises(PairKeyUnknown, match="start the run anew"):
            memory.pairs.begin_run(CHARTER, "run", offer=offer, day=DAY)


def test_the_first_secret_that_was_made_for_a_site_stands(memory: SiteMemory) -> None:
    """The same bytes go out again, whatever was made meanwhile."""
    begin(memory)
    for made in (pair(1), pair(2)):
        kept = memory.pairs.keep_made_secret("run", "west", made)
        assert (kept.ciphertext, kept.secret) == (pair(1).ciphertext, pair(1).secret)
    assert list(memory.pairs.pair_secrets("run")) == ["west"]


def test_a_second_secret_of_one_member_is_refused_and_the_first_stands(memory: SiteMemory) -> None:
    begin(memory)
    for _ in range(2):
        memory.pairs.keep_received_secret("run", "east", pair(1))
    with pytest.raises(TwoPairSecrets, match="east signed two"):
        memory.pairs.keep_received_secret("run", "east", pair(2))
    assert memory.pairs.pair_secrets("run")["east"].secret == pair(1).secret


def test_before_a_fourth_run_begins_it_is_told_which_one_is_burned(memory: SiteMemory) -> None:
    """A parked run stays open as long as there is room."""
    for number in range(MOST_OPEN_RUNS):
        assert memory.pairs.run_to_burn(CHARTER, f"run-{number}") == ""
        begin(memory, f"run-{number}")
    assert memory.pairs.run_to_burn(CHARTER, "run-2") == ""
    assert memory.pairs.run_to_burn("1" * 64, "run-9") == ""
    assert memory.pairs.run_to_burn(CHARTER, "run-9") == "run-0"
    begin(memory, "run-9")
    assert memory.pairs.open_runs(CHARTER) == ("run-1", "run-2", "run-9")
    assert memory.pairs.open_runs("1" * 64) == ()
    with pytest.raises(KeyBurned):
        memory.require_unburned("run-0")
    with pytest.raises(RunForgotten):
        memory.pairs.pair_secrets("run-0")


def test_openings_that_failed_take_no_room_of_a_parked_run(
    memory: SiteMemory, tmp_path: Path
) -> None:
    """A run may be opened four times before it begins, and a site keeps the last one's secrets."""
    for parked in ("parked-1", "parked-2"):
        memory.accept_opening(parked, b"0" * 32)
        begin(memory, parked)
    gone: list[bytes] = []
    for number in range(MAX_OPENINGS):
        lineage = f"run-{number - 1}" if number else None
        memory.accept_opening(f"run-{number}", b"0" * 32, lineage=lineage)
        assert memory.pairs.run_to_burn(CHARTER, f"run-{number}") == ""
        held = full(memory, f"run-{number}")
        assert memory.pairs.open_runs(CHARTER) == ("parked-1", "parked-2", f"run-{number}")
        assert not any(secret in all_bytes(tmp_path / "memory") for secret in gone)
        gone += held
    with pytest.raises(KeyBurned):
        memory.accept_opening("run-0", b"0" * 32)
    memory.accept_opening("fresh", b"0" * 32)
    assert memory.pairs.run_to_burn(CHARTER, "fresh") == "parked-1"


def full(memory: SiteMemory, run: str) -> list[bytes]:
    """Begin a run, and return all that is secret of it."""
    begin(memory, run)
    for number in range(40):
        secret = KeptPairSecret(
            ciphertext=b"c" * 1_300, secret=b"pair secret %d of " % number + run.encode()
        )
        memory.pairs.keep_made_secret(run, f"site-{number:02}", secret)
    kept = memory.pairs.pair_secrets(run).values()
    return [memory.pairs.run_key(run).material, *(one.secret for one in kept)]


def test_of_a_released_run_no_secret_is_in_any_byte(memory: SiteMemory, tmp_path: Path) -> None:
    """Nor in the pages and the log that the deletion left; another run keeps its own."""
    gone, kept = full(memory, "run-1"), full(memory, "run-2")
    held = all_bytes(tmp_path / "memory")
    assert all(secret in held for secret in (*gone, *kept))
    memory.pairs.release_run("run-1")
    assert not memory.pairs.erasure_is_due
    held = all_bytes(tmp_path / "memory")
    assert not any(secret in held for secret in gone)
    assert all(secret in held for secret in kept)
    memory.require_unburned("run-1")
    uses: list[Callable[[], object]] = [
        lambda: memory.pairs.pair_secrets("run-1"),
        lambda: memory.pairs.keep_made_secret("run-1", "west", pair()),
        lambda: memory.pairs.keep_received_secret("run-1", "west", pair()),
    ]
    for use in uses:
        with pytest.raises(RunForgotten, match="start a new run"):
            use()


def test_a_private_key_is_in_no_byte_once_all_secrets_are_kept(
    memory: SiteMemory, tmp_path: Path
) -> None:
    material = full(memory, "run")[0]
    memory.pairs.drop_private_key("run")
    assert material not in all_bytes(tmp_path / "memory")
    assert memory.pairs.run_key("run").material == b""
    assert len(memory.pairs.pair_secrets("run")) == 40


def test_of_a_run_whose_checksum_failed_no_secret_is_in_any_byte(
    memory: SiteMemory, tmp_path: Path
) -> None:
    gone, kept = full(memory, "run-1"), full(memory, "run-2")
    for _ in range(2):
        memory.burn_key("run-1")
    held = all_bytes(tmp_path / "memory")
    assert not any(secret in held for secret in gone)
    assert all(secret in held for secret in kept)
    assert memory.pairs.open_runs() == ("run-2",)


def test_a_forgotten_run_is_burned_and_none_of_it_is_in_any_byte(
    memory: SiteMemory, tmp_path: Path
) -> None:
    """One that its operator gives up."""
    gone = full(memory, "run")
    assert memory.pairs.forget_run("run")
    assert not memory.pairs.forget_run("run")
    assert not memory.pairs.forget_run("unknown")
    held = all_bytes(tmp_path / "memory")
    assert not any(secret in held for secret in gone)
    for run in ("run", "unknown"):
        with pytest.raises(KeyBurned):
            memory.require_unburned(run)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=3), st.integers(0, 61))
def test_runs_of_long_ago_are_forgotten(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], before: int
) -> None:
    with SiteMemory(tmp_path_factory.mktemp("memory") / "m") as memory:
        for number, day in enumerate(days):
            begin(memory, f"run-{number}", day=DAY + day)
        old = tuple(f"run-{number}" for number, day in enumerate(days) if day < before)
        assert memory.pairs.forget_runs_before(DAY + before) == old
        assert set(memory.pairs.open_runs()) == {f"run-{n}" for n in range(len(days))} - set(old)


def test_a_restored_memory_burns_every_open_run_and_its_unused_key(
    memory: SiteMemory, tmp_path: Path
) -> None:
    """Since the copy the run may have confirmed another set, and another run taken the key."""
    gone = [*full(memory, "run-1"), *full(memory, "run-2"), key(7).material]
    memory.pairs.release_run("run-1")
    memory.pairs.keep_unused_key(CHARTER, key(7))
    assert memory.pairs.forget_open_runs() == ("run-2",)
    assert memory.pairs.forget_open_runs() == ()
    assert memory.pairs.unused_key(CHARTER) is None
    held = all_bytes(tmp_path / "memory")
    assert not any(secret in held for secret in gone)


def test_kept_secrets_are_not_printed_or_copied() -> None:
    for kept in (key(), pair()):
        assert "private" not in repr(kept)
        assert "secret 1" not in repr(kept)
        with pytest.raises(SecretStays):
            kept.__getstate__()
