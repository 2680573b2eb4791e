import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from consortium.run.evidence_store import EvidenceStore


@pytest.fixture
def vault(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "coordinator" / "sealed")


def test_what_is_kept_is_read(vault: EvidenceStore) -> None:
    vault.keep("opening.bin", [b"one", b"", b"two"])
    vault.keep("round-1/updates/sums.bin", iter([b"sums"]))
    assert vault.read("opening.bin") == b"onetwo"
    assert vault.read("round-1/updates/sums.bin") == b"sums"
    with pytest.raises(FileNotFoundError):
        vault.read("round-2/updates/sums.bin")


def test_a_file_is_replaced_whole_or_not_at_all(vault: EvidenceStore) -> None:
    """A process that is killed while it writes leaves the earlier content."""
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


def test_only_the_last_two_rounds_are_kept_and_what_is_asked_once(vault: EvidenceStore) -> None:
    vault.keep("layout.json", [b"{}"])
    vault.keep("round-0/statistics/sums.bin", [b"0"])
    for number in range(1, 13):
        vault.keep(f"round-{number}/updates/upload-east.bin", [b"u"])
        vault.keep(f"round-{number}/state.bin", [b"s"])
        assert vault.rounds() == sorted({0, max(1, number - 1), number})
    vault.keep("progress.json", [b"13"])
    assert vault.read("layout.json") == b"{}"
    assert vault.read("round-0/statistics/sums.bin") == b"0"


def test_a_round_that_is_tried_again_lets_go_of_none(vault: EvidenceStore) -> None:
    vault.keep("round-1/state.bin", [b"s"])
    for attempt in (b"1", b"2"):
        vault.keep("round-2/updates/upload-east.bin", [attempt])
    assert vault.rounds() == [1, 2]
    assert vault.read("round-2/updates/upload-east.bin") == b"2"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record, in order, which files are synced and which get their names."""
    noted: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def syncing(handle: int) -> None:
        noted.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def naming(path: Path, target: Path) -> Path:
        noted.append(f"-> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", naming)
    return noted


def test_a_run_that_says_where_it_is_has_all_of_it_on_the_disk(
    vault: EvidenceStore, done: list[str]
) -> None:
    """The round's files and folders are synced first, uploads excepted, then the marker."""
    vault.keep("layout.json", [b"{}"])
    assert done == [
        *("coordinator", vault.folder.parent.parent.name),
        *(".layout.json.partial", "-> layout.json", "sealed"),
    ]
    done.clear()
    vault.keep("round-1/updates/upload-east.bin", [b"u"])
    vault.keep("round-1/updates/sums.bin", [b"s"])
    vault.keep("round-1/state.bin", [b"s"])
    assert done == ["-> upload-east.bin", "-> sums.bin", "-> state.bin"]
    done.clear()
    vault.keep("progress.json", [b"2"])
    assert set(done[:5]) == {"sums.bin", "state.bin", "sealed", "round-1", "updates"}
    assert done[5:] == [".progress.json.partial", "-> progress.json", "sealed"]
    done.clear()
    vault.keep("progress.json", [b"2, attempt 2"])
    assert done == [".progress.json.partial", "-> progress.json", "sealed"]
