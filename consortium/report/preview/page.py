"""A site's preview as one HTML page, for its operator."""

from datetime import UTC, datetime
from pathlib import Path

from consortium.report.preview.view import Preview
from consortium.wording.pages import render_page
from privacy.storage.durable_files import write_atomically


def write_preview(preview: Preview, path: Path, *, now: datetime) -> None:
    """Write the page, which refers to no other file.

    Args:
        preview: What to show.
        path: The file to write.
        now: The time.
    """
    write_atomically(path, preview_page(preview, now=now))


def preview_page(preview: Preview, *, now: datetime) -> str:
    """Return the page as HTML."""
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    return render_page("preview.html.j2", preview=preview, at=at)
