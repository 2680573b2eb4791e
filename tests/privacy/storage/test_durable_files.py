import ast
import os
from pathlib import Path

import pytest

from privacy.storage.durable_files import replace_atomically, write_atomically

ROOT = Path(__file__).parents[3]
# What these write is made anew when it is missing, or is for other programs.
REMADE = {
    "consortium/cli/ledger.py",  # exports
    "consortium/deployment/app_bundle.py",
    "consortium/deployment/control_client.py",
    "consortium/deployment/programs/path_shims.py",
    "consortium/deployment/simulation.py",
    "consortium/deployment/superlink.py",
    "consortium/deployment/supernode.py",
    "consortium/model/files.py",
    "consortium/provisioning/kits.py",
    "consortium/report/ledger/page.py",
    "sites/models/encoder_export.py",
}
# What is there counts, not what is in it.
MARKS = {"privacy/policy/kill_switch.py", "consortium/run/evidence_store.py"}


def test_writing_replaces_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    write_atomically(path, "long " * 1000)
    write_atomically(path, "kurz, für alle")
    assert path.read_text(encoding="utf-8") == "kurz, für alle"
    write_atomically(path, b"\xff\n")
    assert path.read_bytes() == b"\xff\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "below", tmp_path / "nowhere" / "file", tmp_path / "folder"):
        with pytest.raises(OSError) as refused:  # noqa: PT011 -- of each kind another class
            write_atomically(path, "new")
        assert refused.value.filename == str(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_death_at_any_step_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "policy.json"
    write_atomically(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with replace_atomically(path) as file:
            file.write("half of what")
            if step == "write":
                full()

    with monkeypatch.context() as patched:
        if step == "fsync":
            patched.setattr(os, "fsync", full)
        elif step == "replace":
            patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            write()
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"


def test_content_and_name_are_on_the_disk_on_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content before it gets the name, the name before anybody relies on it."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def syncing(handle: int) -> None:
        done.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    def naming(path: Path, target: Path) -> Path:
        done.append(f"-> {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", naming)
    write_atomically(tmp_path / "approved.json", "{}")
    assert done == [".approved.json.partial", "-> approved.json", tmp_path.name]


def test_what_a_party_relies_on_is_written_whole() -> None:
    """Policy, approvals, charter, keys: whatever is not made anew is replaced by this module."""
    writing = set()
    for package in ("consortium", "privacy", "sites", "strategies"):
        for path in (ROOT / package).rglob("*.py"):
            calls = {
                node.attr
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Attribute)
            }
            if calls & {"write_text", "write_bytes"}:
                writing.add(path.relative_to(ROOT).as_posix())
    assert writing == REMADE | MARKS
