"""A browser is installed where that is possible; where not, tests say so, and in CI they fail."""

import os
import sys
from pathlib import Path

import pytest

from tests.browser import chromium
from tests.browser.chromium import absence_fails, install_chromium

LITTER = "apt-get could not fetch it"


@pytest.mark.parametrize(
    ("environment", "reason", "fails"),
    [
        ({}, "", False),
        ({"CI": "true"}, "", True),
        ({"CI": "true"}, LITTER, False),
        ({"CONSORTIUM_BROWSER": "required"}, LITTER, True),
        ({"CI": "true", "CONSORTIUM_BROWSER": "required"}, LITTER, True),
        ({"CI": "true", "CONSORTIUM_BROWSER": "optional"}, "", False),
    ],
)
def test_in_ci_an_absence_that_could_be_mended_fails(
    environment: dict[str, str], reason: str, fails: bool
) -> None:
    assert absence_fails(environment, reason=reason) is fails


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose only program can be put into the folder returned."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(chromium, "ABSENT", tmp_path / "no-browser")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("CONSORTIUM_BROWSER", raising=False)
    return programs


def test_without_a_package_manager_it_says_what_to_do(bare: Path) -> None:
    told = install_chromium()
    assert "apt-get is not on this machine" in told
    assert "apt-get install chromium" in told
    assert chromium.ABSENT.read_text() == "apt-get is not on this machine"
    with pytest.raises(pytest.skip.Exception, match="not on this machine"):
        chromium.require_chromium()


def test_a_package_manager_that_fails_fails_nothing(bare: Path) -> None:
    install_chromium([[sys.executable, "-c", "raise SystemExit(100)"]])
    assert chromium.ABSENT.read_text().endswith("could not fetch it")


def test_what_was_installed_ends_the_absence(bare: Path) -> None:
    """The second call asks nobody."""
    chromium.ABSENT.write_text(LITTER)
    put = f"import pathlib; p = pathlib.Path({str(bare / 'chromium')!r}); p.touch(0o755)"
    told = install_chromium([[sys.executable, "-c", put]])
    assert told == f"browser for tests: {bare / 'chromium'}"
    assert not chromium.ABSENT.exists()
    assert install_chromium([["no-such-program"]]) == told
    assert chromium.require_chromium() == str(bare / "chromium")


def test_in_ci_a_test_without_a_browser_fails_if_nobody_tried_to_install_one(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make browser"):
        chromium.require_chromium()
