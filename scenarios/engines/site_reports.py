"""What the sites of a run on this machine said: why they refused, and what they found."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from consortium.run.absences import LEFT_OUT_BY_NAME, absences_of
from consortium.run.directory import RunDirectory
from consortium.run.logs import last_error_text
from consortium.run.records import Summary
from consortium.site.directory import SiteDirectory
from consortium.site.record_check import open_alarms, read_check
from consortium.wording.formatting import escape_controls
from privacy.errors import ConsortiumError
from scenarios.engines.staging import has_own_data


class DataRefused(ConsortiumError, ValueError, code="data-refused"):
    """Sites refused the records that they were given; the message says which cells, and why.

    Args:
        said: Why, by site.
        more: Lines that follow.
    """

    def __init__(self, said: Mapping[str, str], *more: str) -> None:
        lines = (f"{site}: {text}" for site, text in said.items())
        super().__init__("\n".join((*lines, *more)), sites=len(said))


def site_log(directory: RunDirectory, site: str) -> Path | None:
    """Return the log of a site of a run on this machine, if it wrote one."""
    log = SiteDirectory(directory.site(site)).log
    return log if log.exists() else None


def refused_own_data(directory: RunDirectory, summary: Summary) -> tuple[str, ...]:
    """Return the sites with data of the user's own that refused, or are not in the run.

    Whose the records are is read from the run's directory, so that a resumed run knows it too.
    """
    found = {
        one.site
        for one in absences_of(summary)
        if (one.refused or not one.joined) and one.code != LEFT_OUT_BY_NAME
    }
    return tuple(
        site.name
        for site in summary.sites
        if site.name in found and has_own_data(directory.site(site.name))
    )


def refusal_texts(directory: RunDirectory, summary: Summary) -> dict[str, str]:
    """Return why sites refused data of the user's own, in their words, by site.

    The text may quote records, and is for whoever brought them.
    """
    said = {}
    reasons = {one.site: one.reason for one in absences_of(summary)}
    for site in refused_own_data(directory, summary):
        log = site_log(directory, site)
        said[site] = (last_error_text(log) if log else "") or reasons[site]
    return said


def alarms_of(directory: RunDirectory, summary: Summary) -> Iterator[str]:
    """Yield what the sites of a run on this machine found wrong in their records."""
    for site in summary.sites:
        check = read_check(directory.site(site.name))
        for one in open_alarms(directory.site(site.name), check.findings if check else ()):
            yield escape_controls(f"{site.name} found before it trained: {one.sentence}")
