import os
import stat
from pathlib import Path

import pytest

from privacy.storage.secret_files import (
    ExposedSecret,
    MalformedSecretFile,
    SecretExists,
    SecretMissing,
    read_secret,
    write_secret,
)

TAG = b"consortium.test-secret/1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "x.secret"


def test_what_was_written_is_read_and_is_the_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(path, tag=TAG, secret=b"1234")
    finally:
        os.umask(before)
    assert read_secret(path, tag=TAG, size=4) == b"1234"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes().startswith(TAG)


def test_a_secret_is_never_overwritten_nor_written_through_a_link(path: Path) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    elsewhere = path.parent / "elsewhere"
    link = path.parent / "link"
    link.symlink_to(elsewhere)
    for taken in (path, link):
        with pytest.raises(SecretExists):
            write_secret(taken, tag=TAG, secret=b"5678")
    assert read_secret(path, tag=TAG, size=4) == b"1234"
    assert not elsewhere.exists()


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o740, 0o777])
def test_a_directory_open_to_others_gets_no_secret(path: Path, mode: int) -> None:
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(ExposedSecret, match=f"{mode:04o}"):
        write_secret(path, tag=TAG, secret=b"1234")
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601])
def test_a_file_that_others_may_touch_is_not_read(path: Path, mode: int) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    path.chmod(mode)
    with pytest.raises(ExposedSecret, match="others know"):
        read_secret(path, tag=TAG, size=4)


def test_only_a_plain_file_is_read(path: Path) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    link, pipe = path.parent / "link", path.parent / "pipe"
    link.symlink_to(path)
    os.mkfifo(pipe, 0o600)
    for odd in (link, pipe):
        with pytest.raises(ExposedSecret):
            read_secret(odd, tag=TAG, size=4)
    with pytest.raises(SecretMissing):
        read_secret(path.parent / "none", tag=TAG, size=4)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        TAG,
        TAG + b"3132333\n",
        TAG + b"31323334",
        TAG + b"3132333435\n",
        TAG + b"31323334\n\n",
        TAG + b"3132333A\n",
        TAG + b"31 32 33\n",
        b"consortium.test-secret/2\n31323334\n",
    ],
)
def test_a_torn_or_foreign_file_is_refused_without_its_content(path: Path, content: bytes) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    path.write_bytes(content)
    with pytest.raises(MalformedSecretFile) as caught:
        read_secret(path, tag=TAG, size=4)
    assert "3132" not in str(caught.value)
