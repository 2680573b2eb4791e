import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from privacy.storage.secret_files import (
    ExposedSecret,
    MalformedSecretFile,
    SecretExists,
    SecretMissing,
    make_private_directory,
    read_private,
    read_secret,
    require_private_place,
    write_secret,
)

TAG = b"consortium.test-secret/1\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "party").mkdir(mode=0o755)
    return tmp_path / "party" / "site" / "secrets" / "x.secret"


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
    path.parent.mkdir(parents=True)
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


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Give a path to another user or, where only root may do that, become another user."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, 54_321, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 54_321)

    return give


def test_a_secret_of_another_user_is_not_read(
    path: Path, give_away: Callable[[Path], None]
) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    give_away(path)
    for read in (read_private, lambda path: read_secret(path, tag=TAG, size=4)):
        with pytest.raises(ExposedSecret, match=r"belongs to user .* chown"):
            read(path)


@pytest.mark.parametrize("above", [0, 1, 2])
def test_nobody_else_owns_a_directory_on_the_way_to_a_secret(
    path: Path, above: int, give_away: Callable[[Path], None]
) -> None:
    """Its owner could put another directory there, with secrets that are known."""
    write_secret(path, tag=TAG, secret=b"1234")
    give_away(path.parents[above])
    with pytest.raises(ExposedSecret, match="belongs to user"):
        read_secret(path, tag=TAG, size=4)
    with pytest.raises(ExposedSecret, match="belongs to user"):
        write_secret(path.with_name("new"), tag=TAG, secret=b"1234")
    assert not path.with_name("new").exists()


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o720])
def test_nobody_else_writes_to_a_directory_on_the_way_to_a_secret(path: Path, mode: int) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    above = path.parents[1]
    above.chmod(mode)
    private_group = above.stat().st_gid == above.stat().st_uid
    if private_group and not mode & stat.S_IWOTH:  # the group is this user alone
        assert read_secret(path, tag=TAG, size=4) == b"1234"
        return
    with pytest.raises(ExposedSecret, match="`chmod go-w"):
        read_secret(path, tag=TAG, size=4)
    with pytest.raises(ExposedSecret, match="`chmod go-w"):
        make_private_directory(path.parent)


def test_what_the_message_says_to_type_helps(path: Path) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    path.parents[1].chmod(0o777)
    with pytest.raises(ExposedSecret) as caught:
        read_secret(path, tag=TAG, size=4)
    assert os.system(str(caught.value).split("`")[1]) == 0  # noqa: S605 -- what it says to type
    assert read_secret(path, tag=TAG, size=4) == b"1234"


def test_a_place_behind_a_link_is_looked_at_on_both_sides(tmp_path: Path) -> None:
    """Whoever can write where the link is can exchange it as well."""
    make_private_directory(tmp_path / "real" / "secrets")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(tmp_path / "real")
    require_private_place(tmp_path / "open" / "link" / "secrets")
    for side in ("open", "real"):
        (tmp_path / side).chmod(0o777)
        with pytest.raises(ExposedSecret, match="others can write"):
            require_private_place(tmp_path / "open" / "link" / "secrets")
        (tmp_path / side).chmod(0o755)


def test_a_folder_in_the_place_of_a_secret_is_refused(path: Path) -> None:
    make_private_directory(path)
    with pytest.raises(ExposedSecret, match="folder"):
        read_secret(path, tag=TAG, size=4)


def test_a_link_of_another_user_leads_to_no_secret(tmp_path: Path) -> None:
    """Its owner can turn it to another place, also where nobody can move what is another's."""
    if os.geteuid() != 0:
        pytest.skip("only root gives a link away")
    make_private_directory(tmp_path / "real" / "secrets")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o1777)
    link = tmp_path / "open" / "link"
    link.symlink_to(tmp_path / "real")
    require_private_place(link / "secrets")
    os.lchown(link, 4321, 4321)
    with pytest.raises(ExposedSecret, match=r"belongs to user 4321.* `sudo chown -h"):
        require_private_place(link / "secrets")


def test_where_everybody_may_write_but_not_move_what_is_anothers_is_no_danger(
    path: Path,
) -> None:
    write_secret(path, tag=TAG, secret=b"1234")
    path.parents[1].chmod(0o1777)
    assert read_secret(path, tag=TAG, size=4) == b"1234"
