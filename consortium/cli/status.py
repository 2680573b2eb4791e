"""`consortium status`: what runs, in lines for a person or as an exit code for a health check.

A module of its own because a health check runs every minute, and loads no more than it needs.
"""

from pathlib import Path

import typer

from consortium.deployment.health import party_trouble
from consortium.site.directory import SiteDirectory

_AT_FAULT = 1


def show_status(
    directory: Path = typer.Argument(..., help="The directory of a coordinator or a site."),
    healthy: bool = typer.Option(
        False, "--healthy", help="Only say whether it works, and exit with 1 if it does not."
    ),
) -> None:
    """Show what is running and since when, who is online, the last round and the last error."""
    if healthy:
        trouble = party_trouble(directory)
        print(trouble or "healthy")
        raise typer.Exit(_AT_FAULT if trouble else 0)
    from consortium.deployment.status import coordinator_status, site_status  # loads Flower

    is_site = SiteDirectory(directory).config.exists()
    for line in site_status(directory) if is_site else coordinator_status(directory):
        print(line)
