"""The documents as a site: `make docs` builds it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT

BUILD = ("-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "-c", "docs")
LOADED = re.compile(r'<(?:script|img|iframe)[^>]* src="([^"]*)"|<link[^>]* href="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, *BUILD, ".", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout
    return folder


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_page(site: Path) -> None:
    """A link that leads nowhere, or a page outside the navigation, is a warning."""
    for page in PAGES:
        assert (site / page.relative_to(ROOT)).with_suffix(".html").exists()
    assert "docs/index.html" in (site / "index.html").read_text()


@pytest.mark.slow
def test_the_site_loads_nothing_from_outside(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = [one or other for one, other in LOADED.findall(page.read_text())]
        assert loaded or page.name == "index.html"
        assert [address for address in loaded if "//" in address] == []
    for style in site.rglob("*.css"):
        assert re.findall(r"""url\(["']?(?:https?:)?//|@import""", style.read_text()) == []


@pytest.mark.slow
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("conf.py", "_templates"):
        (tmp_path / "docs" / name).symlink_to(ROOT / "docs" / name)
    (tmp_path / "docs" / "index.md").write_text("# Index\n\n[Nowhere](nowhere.md#at-all)\n")
    built = subprocess.run(
        [sys.executable, *BUILD, ".", "site"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode != 0
    assert "nowhere" in built.stderr
