import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from consortium.charter.document import BadCharter
from consortium.provisioning.kits import (
    BadKit,
    Manifest,
    open_kit,
    read_kit,
    require_kit_names,
    write_kit,
)

FILES = {"charter.json": b"{}", "authority.pem": b"certificate"}
MANIFEST = Manifest(party="north", role="site", charter="c" * 64, files={})


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    write_kit(tmp_path / "north", MANIFEST, FILES)
    return tmp_path / "north"


def test_a_directory_and_its_package_hold_the_same(kit: Path) -> None:
    for form in (kit, kit.with_name("north.tar.gz")):
        with open_kit(form) as folder:
            manifest, files = read_kit(folder, role="site", party="north")
        assert files == FILES
        assert manifest.charter == MANIFEST.charter


@pytest.mark.parametrize("names", [("east", "coordinator"), ("east", "east"), ("a", "a.tar.gz")])
def test_each_kit_has_a_name_of_its_own(names: tuple[str, str]) -> None:
    with pytest.raises(BadCharter, match="another name"):
        require_kit_names(names)
    require_kit_names(["east", "west"])


def test_no_kit_holds_a_private_key(tmp_path: Path) -> None:
    with pytest.raises(BadKit, match="private"):
        write_kit(tmp_path / "north", MANIFEST, {"k": b"-----BEGIN EC PRIVATE KEY-----\n"})
    assert not (tmp_path / "north").exists()


@pytest.mark.parametrize(
    ("role", "party"), [("site", "west"), ("coordinator", "north")], ids=["other", "coordinator"]
)
def test_a_kit_for_somebody_else_is_refused(kit: Path, role: str, party: str) -> None:
    with pytest.raises(BadKit, match="for"):
        read_kit(kit, role=role, party=party)  # type: ignore[arg-type]  # as the case may be


def _altered(kit: Path) -> None:
    (kit / "authority.pem").write_bytes(b"another")


def _missing(kit: Path) -> None:
    (kit / "authority.pem").unlink()


def _added(kit: Path) -> None:
    (kit / "policy.json").write_bytes(b"{}")


def _no_manifest(kit: Path) -> None:
    (kit / "kit.json").write_text("{}")


@pytest.mark.parametrize("harm", [_altered, _missing, _added, _no_manifest])
def test_a_kit_that_is_not_as_it_was_made_is_refused(
    kit: Path, harm: Callable[[Path], None]
) -> None:
    harm(kit)
    with pytest.raises(BadKit):
        read_kit(kit, role="site", party="north")


def _packed(path: Path, info: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as archive:
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return path


def test_a_package_writes_nowhere_else(tmp_path: Path) -> None:
    outside = tarfile.TarInfo("../outside")
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for info in (outside, link):
        with pytest.raises(BadKit), open_kit(_packed(tmp_path / "odd.tar.gz", info)):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"odd.tar.gz"}


def test_a_package_of_enormous_files_is_not_unpacked(tmp_path: Path) -> None:
    large = _packed(tmp_path / "odd.tar.gz", tarfile.TarInfo("zeros"), bytes(16_000_001))
    with pytest.raises(BadKit, match="large"), open_kit(large):
        pass


def test_what_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.tar.gz").write_bytes(b"no archive")
    with pytest.raises(BadKit), open_kit(tmp_path / "odd.tar.gz"):
        pass
    with pytest.raises(BadKit), open_kit(tmp_path / "none.tar.gz"):
        pass
