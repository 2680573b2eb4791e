import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "coordinator" / "sealed")


def test_what_is_kept_is_read(vault: Vault) -> None:
    vault.keep("opening.bin", [b"one", b"", b"two"])
    vault.keep("round-1/updates/sums.bin", iter([b"sums"]))
    assert vault.read("opening.bin") == b"onetwo"
    assert vault.read("round-1/updates/sums.bin") == b"sums"
    with pytest.raises(FileNotFoundError):
        vault.read("round-2/updates/sums.bin")


def test_a_file_is_replaced_whole_or_not_at_all(vault: Vault) -> None:
    """Who is killed while it writes leaves what was there before."""
    vault.keep("round-3/state.bin", [b"before"])

    def dies() -> Iterator[bytes]:
        yield b"half of"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        vault.keep("round-3/state.bin", dies())
    assert vault.read("round-3/state.bin") == b"before"
    vault.keep("round-3/state.bin", [b"after"])
    assert vault.read("round-3/state.bin") == b"after"
    assert sorted(path.name for path in (vault.folder / "round-3").iterdir()) == ["state.bin"]


def test_only_the_last_two_rounds_are_kept_and_what_is_asked_once(vault: Vault) -> None:
    vault.keep("layout.json", [b"{}"])
    vault.keep("round-0/statistics/sums.bin", [b"0"])
    for number in range(1, 13):
        vault.keep(f"round-{number}/updates/upload-east.bin", [b"u"])
        vault.keep(f"round-{number}/state.bin", [b"s"])
        assert vault.rounds() == sorted({0, max(1, number - 1), number})
    assert vault.read("layout.json") == b"{}"
    assert vault.read("round-0/statistics/sums.bin") == b"0"


def test_a_round_that_is_tried_again_lets_go_of_none(vault: Vault) -> None:
    vault.keep("round-1/state.bin", [b"s"])
    for attempt in (b"1", b"2"):
        vault.keep("round-2/updates/upload-east.bin", [attempt])
    assert vault.rounds() == [1, 2]
    assert vault.read("round-2/updates/upload-east.bin") == b"2"


def test_what_a_round_is_answered_for_is_on_the_disk_when_it_is_kept(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, its name, and a folder that is new; uploads are evidence only."""
    synced: list[str] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    vault.keep("round-1/state.bin", [b"s"])
    assert synced == ["sealed", ".state.bin.partial", "round-1"]
    synced.clear()
    vault.keep("round-1/updates/upload-east.bin", [b"u"])
    assert synced == ["round-1"]
