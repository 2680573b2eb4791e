import stat
from pathlib import Path

import pytest

from privacy.storage.blob_files import KeptFiles, MemoryDamaged
from privacy.storage.secret_files import ExposedSecret


def test_a_file_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path / "kept")
    name, digest = files.keep(b"update")
    assert files.read(name, digest=digest) == b"update"
    path = tmp_path / "kept" / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_bytes(b"updat")
    with pytest.raises(MemoryDamaged, match="not what was written"):
        files.read(name, digest=digest)
    files.drop([name, name])
    with pytest.raises(MemoryDamaged, match="missing"):
        files.read(name, digest=digest)


def test_equal_content_is_kept_twice_so_that_one_can_go(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path / "kept")
    (first, digest), (second, _) = files.keep(b"same"), files.keep(b"same")
    files.drop([first])
    assert files.read(second, digest=digest) == b"same"


def test_what_nothing_refers_to_is_found(tmp_path: Path) -> None:
    files = KeptFiles(tmp_path / "kept")
    (known, _), (orphan, _) = files.keep(b"known"), files.keep(b"orphan")
    assert files.orphaned_files(known=[known, "elsewhere"]) == [orphan]


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept").chmod(0o755)
    with pytest.raises(ExposedSecret):
        KeptFiles(tmp_path / "kept")
