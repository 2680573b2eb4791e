"""The browser that tests drive: where it is, how it is installed, and when its absence fails.

`python -m tests.browser.chromium` installs Chromium by the system's package manager if there is
none, and never fails: where it cannot, it says what to do, and leaves the reason in a file, which
tests read.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from scenarios.cli.doctor import BROWSERS

ABSENT = Path(sys.prefix) / "no-browser"
REQUIRED = "CONSORTIUM_BROWSER"
ADVICE = (
    "as root `apt-get install chromium`, on Fedora `dnf install chromium`; any Chromium or Chrome "
    f"on the PATH will do, as one of {', '.join(BROWSERS)}"
)
_LONGEST_S = 300
_APT = (
    *("apt-get", "--quiet", "--yes", "--no-install-recommends"),
    *("-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20"),
    *("-o", "DPkg::Lock::Timeout=60"),
)
_STEPS = ((*_APT, "install", "chromium"), (*_APT, "update"), (*_APT, "install", "chromium"))


def find_chromium() -> str | None:
    """Return the path of a Chromium that is installed."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def install_chromium(steps: Sequence[Sequence[str]] = _STEPS) -> str:
    """Install Chromium if there is none; return what became of it, in a sentence.

    Guarantee: ends within minutes, whatever the network does, and raises nothing. A second call
    changes nothing. Where no browser came of it, the reason stands in the file `ABSENT`.

    Args:
        steps: Commands, of which the last that is needed installs it.
    """
    reason = "" if find_chromium() else _tried(steps)
    if found := find_chromium():
        ABSENT.unlink(missing_ok=True)
        return f"browser for tests: {found}"
    ABSENT.write_text(reason)
    return f"no browser, so tests of pages are skipped: {reason}. To mend it: {ADVICE}."


def _tried(steps: Sequence[Sequence[str]]) -> str:
    if os.geteuid() != 0:
        return "only root may install one"
    if shutil.which(steps[0][0]) is None:
        return f"{steps[0][0]} is not on this machine"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in steps:
        try:
            subprocess.run(
                step,
                env=quiet,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{step[0]} did not end within {_LONGEST_S} s"
        if find_chromium():
            return ""
    return f"{steps[0][0]} could not fetch it"


def absence_fails(environment: Mapping[str, str], *, reason: str) -> bool:
    """Return whether tests without a browser fail, rather than are skipped.

    They do in CI, unless the package manager was asked and could not; with
    `CONSORTIUM_BROWSER=required` always, and with `optional` never.

    Args:
        environment: Variables of the process.
        reason: Why none could be installed; empty if nobody tried.
    """
    match environment.get(REQUIRED, ""):
        case "required":
            return True
        case "optional":
            return False
        case _:
            return bool(environment.get("CI")) and not reason


def require_chromium() -> str:
    """Return the path of the browser; without one, skip the test, or fail it."""
    if found := find_chromium():
        return found
    reason = ABSENT.read_text() if ABSENT.exists() else ""
    told = f"no browser ({reason or '`make browser` was not run'}): {ADVICE}"
    if absence_fails(os.environ, reason=reason):
        pytest.fail(told)
    pytest.skip(told)


if __name__ == "__main__":
    sys.stdout.write(install_chromium() + "\n")
