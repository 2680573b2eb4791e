"""The kill switch: one file in a site's directory, under which the site answers nothing.

A person can make or remove it by hand; no message can.
"""

from pathlib import Path

from privacy.policy.violations import Stopped
from privacy.storage.secret_files import sync_directory

FILE = "STOPPED"


def stop_all(directory: Path, reason: str = "") -> None:
    """Let a site answer nothing from now on; the answer under way does not leave either.

    Args:
        directory: The site's.
        reason: For whoever finds the file; it never leaves.
    """
    (directory / FILE).write_text(f"{reason}\n")
    sync_directory(directory)


def allow(directory: Path) -> None:
    """Let a site answer again what its policy allows."""
    (directory / FILE).unlink(missing_ok=True)
    sync_directory(directory)


def is_stopped(directory: Path) -> bool:
    """Return whether the site's operator stopped everything."""
    return (directory / FILE).exists()


def require_allowed(directory: Path) -> None:
    """Check that a site may answer.

    Raises:
        Stopped: It may not.
    """
    if is_stopped(directory):
        raise Stopped("everything is stopped at this site until its operator allows it again")
