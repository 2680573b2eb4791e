"""What a site knows of its records beside those of all others, and what its operator said of it.

Nothing here leaves the site. Of a finding that holds it, others learn the code `check-alarm`.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from consortium.run.records import read_record, write_record
from consortium.site.directory import SiteDirectory
from consortium.site.site import Site
from privacy.errors import ConsortiumError
from privacy.layout import Tally
from sites.comparison.findings import Finding


class CheckAlarm(ConsortiumError, PermissionError, code="check-alarm"):
    """A site's records look wrong beside those of all others, and its operator did not answer."""


class NothingToAccept(ConsortiumError, LookupError, code="nothing-to-accept"):
    """A site found nothing in this column."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordCheck(_Kept):
    """The last comparison of a site's records with those of all others.

    Args:
        charter: Fingerprint of the charter under which the others were counted.
        compared: Digest of the pooled counts and the site's files, in a run; empty outside one.
        others: Statistics of the other sites added up.
        findings: What stood out.
    """

    charter: str
    compared: str
    others: tuple[int, ...]
    findings: tuple[Finding, ...]


class Acceptance(_Kept):
    """An operator's word that a finding is right.

    Args:
        fingerprint: Of the finding; another one in the same column needs another word.
        sentence: What it said.
        reason: The operator's.
        at: When, ISO 8601.
    """

    fingerprint: str
    sentence: str
    reason: str
    at: str


class Acceptances(_Kept):
    """All that an operator accepted."""

    findings: tuple[Acceptance, ...] = ()


def others_of(pooled: Tally, given: Tally | None) -> Tally:
    """Return the statistics of the other sites: the sum minus what this site gave into it.

    Args:
        pooled: The sum, shape (n,).
        given: What this site gave, shape (n,); None if it counted nothing.
    """
    if given is None:
        return pooled
    rest = pooled - given
    # Below zero, this site is not in the sum: it came too late for it.
    return rest if rest.min(initial=0) >= 0 else pooled


def check_records(site: Site, others: Tally, *, compared: str = "") -> RecordCheck:
    """Compare a site's training records with the others' counts, and keep what stands out.

    Args:
        site: The site.
        others: Statistics of the other sites added up.
        compared: Digest of the pooled counts and the site's files, in a run.

    Raises:
        ConsortiumError: The records cannot be read, or no records have these counts.
    """
    counted = site.task.statistics.layout.count("records", others)
    found = site.task.findings(site.data, others) if counted else ()
    check = RecordCheck(
        charter=site.fingerprint,
        compared=compared,
        others=tuple(int(entry) for entry in others),
        findings=found,
    )
    write_record(SiteDirectory(site.directory).record_check, check)
    return check


def require_unalarmed(
    site: Site, pooled: Tally, given: Callable[[], Tally | None], *, first: bool
) -> RecordCheck:
    """Compare a site's records with the others', and hold the site if the run says so.

    Args:
        site: The site.
        pooled: Statistics of all sites added up.
        given: Returns what this site gave into them; None if that is nothing.
        first: Whether this is the first round of a run. Later ones go by the last comparison
            while nothing changed and the site is not held.

    Raises:
        CheckAlarm: The run says `hold`, and a finding alarms that the operator did not accept.
    """
    last, compared = None if first else read_check(site.directory), _digest(site, pooled)
    holds = site.run_config.on_finding == "hold"
    held = last is not None and holds and open_alarms(site.directory, last.findings)
    if last is None or held or last.compared != compared:
        last = check_records(site, others_of(pooled, given()), compared=compared)
    alarming = open_alarms(site.directory, last.findings)
    if alarming and holds:
        columns = ", ".join(one.column for one in alarming)
        raise CheckAlarm(
            f"these columns look wrong beside the others': {columns}. `consortium site preview "
            f"{site.directory}` shows why. Mend them, or say that they are right with --accept"
        )
    return last


def open_alarms(directory: Path, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the alarming findings that the operator did not accept."""
    accepted = {one.fingerprint for one in read_acceptances(directory).findings}
    return tuple(one for one in findings if one.alarming and one.fingerprint not in accepted)


def read_check(directory: Path) -> RecordCheck | None:
    """Return the last comparison of a site, or None before the first."""
    path = SiteDirectory(directory).record_check
    return read_record(path, RecordCheck) if path.exists() else None


def read_acceptances(directory: Path) -> Acceptances:
    """Return what the operator of a site accepted."""
    path = SiteDirectory(directory).accepted_findings
    return read_record(path, Acceptances) if path.exists() else Acceptances()


def accept_findings(
    directory: Path, findings: Sequence[Finding], column: str, reason: str, *, now: datetime
) -> tuple[Finding, ...]:
    """Remember that the findings of a column are right; return them.

    Raises:
        NothingToAccept: Nothing alarming is open in this column.
    """
    chosen = [one for one in open_alarms(directory, findings) if one.column == column]
    if not chosen:
        raise NothingToAccept(f"no alarm is open in {column}: name a column that is shown as one")
    before = read_acceptances(directory).findings
    added = tuple(
        Acceptance(
            fingerprint=one.fingerprint,
            sentence=one.sentence,
            reason=reason,
            at=now.isoformat(timespec="seconds"),
        )
        for one in chosen
    )
    kept = Acceptances(findings=(*before, *added))
    write_record(SiteDirectory(directory).accepted_findings, kept)
    return tuple(chosen)


def _digest(site: Site, pooled: Tally) -> str:
    counted = np.ascontiguousarray(pooled, "<i8").tobytes()
    return hashlib.sha256(counted + repr(site.read_from).encode()).hexdigest()
