"""The kill switch: while one file exists in its directory, a site answers nothing.

A person can create or remove the file by hand. No message can.
"""

from pathlib import Path

from privacy.policy.violations import Stopped
from privacy.storage.durable_files import sync_directory

FILE = "STOPPED"


def stop_all(directory: Path, reason: str = "") -> None:
    """Stop a site: it answers nothing from now on, nor does an answer in progress leave.

    Args:
        directory: The site's directory.
        reason: Written into the file, for people at the site; it never leaves.
    """
    # Not written aside first: on a full disk the file is there all the same, though it is empty.
    (directory / FILE).write_text(f"{reason}\n")
    sync_directory(directory)


def allow(directory: Path) -> None:
    """Remove the stop: the site answers again what its policy allows."""
    (directory / FILE).unlink(missing_ok=True)
    sync_directory(directory)


def is_stopped(directory: Path) -> bool:
    """Return whether the site is stopped."""
    return (directory / FILE).exists()


def require_allowed(directory: Path) -> None:
    """Check that the site is not stopped.

    Raises:
        Stopped: Its operator stopped it.
    """
    if is_stopped(directory):
        raise Stopped("everything is stopped at this site until its operator allows it again")
