import io
import tracemalloc
import zipfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consortium.deployment.code_approval import (
    BadBundle,
    NotApproved,
    approve_bundle,
    bundle_diff,
    bundle_digest,
    choose_code,
    read_approvals,
    read_bundle_files,
    read_bundle_texts,
)
from consortium.site.directory import SiteDirectory

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def bundle(path: Path, **files: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.py"), text)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site").mkdir()
    return tmp_path / "site"


def test_by_default_the_installed_package_runs(site: Path) -> None:
    assert read_approvals(site).runs_installed


def test_what_is_approved_may_run_and_nothing_else(site: Path, tmp_path: Path) -> None:
    good, bad = bundle(tmp_path / "a.fab", app="1"), bundle(tmp_path / "b.fab", app="2")
    approve_bundle(site, good, now=NOW)
    approvals = read_approvals(site)
    assert not approvals.runs_installed
    approvals.require_approved(good.read_bytes())
    with pytest.raises(NotApproved):
        approvals.require_approved(bad.read_bytes())


@pytest.mark.parametrize("place", [0, -1, 40])
def test_one_byte_more_or_less_is_another_bundle(site: Path, tmp_path: Path, place: int) -> None:
    good = bundle(tmp_path / "a.fab", app="1")
    approvals = approve_bundle(site, good, now=NOW)
    content = bytearray(good.read_bytes())
    content[place] ^= 1
    with pytest.raises(NotApproved):
        approvals.require_approved(bytes(content))


def test_an_empty_list_lets_nothing_run(site: Path, tmp_path: Path) -> None:
    choose_code(site, "listed")
    with pytest.raises(NotApproved):
        read_approvals(site).require_approved(bundle(tmp_path / "a.fab", app="1").read_bytes())


def test_a_site_goes_back_to_the_installed_package_and_keeps_its_list(
    site: Path, tmp_path: Path
) -> None:
    approve_bundle(site, bundle(tmp_path / "a.fab", app="1"), now=NOW)
    assert choose_code(site, "installed").runs_installed
    assert len(read_approvals(site).bundles) == 1


def test_a_list_that_cannot_be_read_lets_nothing_run(site: Path) -> None:
    SiteDirectory(site).approvals.write_text("{")
    with pytest.raises(BadBundle):
        read_approvals(site)


def test_the_first_bundle_is_shown_whole_and_a_later_one_by_its_changes(
    site: Path, tmp_path: Path
) -> None:
    first = bundle(tmp_path / "a.fab", app="one\ntwo", old="gone")
    assert {"+one", "+two", "+gone"} <= set(bundle_diff(site, first))
    approve_bundle(site, first, now=NOW)
    assert bundle_diff(site, first) == []
    second = bundle_diff(site, bundle(tmp_path / "b.fab", app="one\nother", new="come"))
    assert {"-two", "+other", "+come", "-gone"} <= set(second)
    assert "-one" not in second


def test_approving_twice_lists_once(site: Path, tmp_path: Path) -> None:
    good = bundle(tmp_path / "a.fab", app="1")
    approve_bundle(site, good, now=NOW)
    assert len(approve_bundle(site, good, now=NOW).bundles) == 1
    assert bundle_digest(good.read_bytes()) == read_approvals(site).bundles[0].digest


def test_what_is_no_bundle_is_not_approved(site: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.fab").write_bytes(b"no zip")
    for path in (tmp_path / "odd.fab", tmp_path / "none.fab"):
        with pytest.raises(BadBundle):
            approve_bundle(site, path, now=NOW)
    assert read_approvals(site).runs_installed


def test_a_bundle_that_would_fill_the_disk_is_not_read() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.py", bytes(50_000_001))
    with pytest.raises(BadBundle, match="more than"):
        read_bundle_texts(content.getvalue())


def test_a_bundle_that_says_it_holds_less_than_it_does_is_unpacked_no_further() -> None:
    content, real, said = io.BytesIO(), 2**26, 10
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.py", bytes(real))
    size, lie = real.to_bytes(4, "little"), said.to_bytes(4, "little")
    assert content.getvalue().count(size) == 2
    bomb = content.getvalue().replace(size, lie)
    tracemalloc.start()
    with pytest.raises(BadBundle, match="CRC"):
        read_bundle_files(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bundle_that_is_compressed_in_a_way_without_a_bound_is_refused(method: int) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr("a.py", "1")
    with pytest.raises(BadBundle, match=r"a\.py is compressed in a way that no bundle has"):
        read_bundle_files(content.getvalue())


@settings(max_examples=300)
@given(
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    changes=st.dictionaries(st.integers(0, 399), st.integers(0, 255), max_size=4),
    end=st.integers(0, 400) | st.none(),
)
def test_a_damaged_bundle_is_refused_by_type(
    method: int, changes: dict[int, int], end: int | None
) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("sites/\u00e9.py"), bytes(range(64)))
        archive.writestr("consortium/b.py", "text " * 20)
    altered = bytearray(content.getvalue())
    for place, value in changes.items():
        altered[place % len(altered)] = value
    with suppress(BadBundle):
        read_bundle_files(bytes(altered[:end]))
