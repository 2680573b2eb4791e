"""`consortium site preview`: a site's records before training, beside the others'."""

from datetime import UTC, datetime
from pathlib import Path

import typer

from consortium.audit.journal import ACCEPTED
from consortium.cli.options import SITE
from consortium.cli.policy import note_in_journal
from consortium.report.preview.page import write_preview
from consortium.report.preview.view import preview_lines, preview_of
from consortium.site.record_check import accept_findings
from consortium.wording.formatting import escape_controls

ACCEPT = typer.Option(None, "--accept", metavar="COLUMN", help="Say that its finding is right.")
WHY = typer.Option("", "--reason", help="Why it is right; it is kept at the site, never sent.")
PAGE = typer.Option(None, "--page", help="Write the same as an HTML page to this file.")


def preview_site(
    directory: Path = SITE,
    accept: list[str] | None = ACCEPT,
    reason: str = WHY,
    page: Path | None = PAGE,
) -> None:
    """Show what the site would send before training, and how it looks beside the others'.

    Nothing is sent. A finding that is an ALARM holds the site out of runs with `on-finding=hold`
    until its records are mended, or its operator says with --accept that they are right.
    """
    shown = preview_of(directory)
    for column in accept or ():
        now = datetime.now(UTC)
        for one in accept_findings(directory, shown.findings, column, reason, now=now):
            note_in_journal(directory, ACCEPTED, column=one.column, finding=one.fingerprint)
    if accept:
        shown = preview_of(directory)
    for line in preview_lines(shown):
        print(escape_controls(line))
    if page is not None:
        write_preview(shown, page, now=datetime.now(UTC))
        print(f"page: {page}")
