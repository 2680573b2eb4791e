"""Which programs logs name, held against code that an auditor has at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consortium.audit import journal as audit
from consortium.audit.cross_check import ReadLog
from privacy.errors import ConsortiumError


class OtherProgram(ConsortiumError, ValueError, code="other-program"):
    """A log names a program whose code was not given."""


@dataclass(frozen=True, kw_only=True)
class ProgramUse:
    """A program that one log names.

    Args:
        owner: The owner of the log.
        digest: The program's digest, hexadecimal.
        runs: How many times a run began with it, or began anew under other terms.
        first: Time of the first.
        last: Time of the last.
    """

    owner: str
    digest: str
    runs: int
    first: str
    last: str


def programs_used(logs: Sequence[ReadLog]) -> list[ProgramUse]:
    """Return which programs the logs name, for each log in the order of their first use."""
    found = []
    for log in logs:
        times: dict[str, list[str]] = {}
        for entry in log.entries_of(audit.RUN):
            times.setdefault(str(entry.event.facts["program"]), []).append(entry.at)
        found += [
            ProgramUse(owner=log.owner, digest=one, runs=len(at), first=at[0], last=at[-1])
            for one, at in times.items()
        ]
    return found


def require_known(used: Sequence[ProgramUse], known: Mapping[str, str]) -> None:
    """Check that the code of every program was given.

    Args:
        used: The programs that logs name.
        known: What each digest is the digest of, in words.

    Raises:
        OtherProgram: The code of one is missing.
    """
    missing = list(dict.fromkeys(one.digest[:16] for one in used if one.digest not in known))
    if missing:
        raise OtherProgram(
            f"the logs name programs that are none of the code here ({', '.join(missing)}): name "
            "the bundle that ran, or a clone at its version, with --code",
            missing=len(missing),
        )
