"""The audit receipt: one page on what a run's logs prove, for an auditor without data or keys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.cross_check import ReadLog, contradictions
from consortium.charter.document import Charter
from consortium.wording.pages import render_page
from privacy.audit.hash_chain import Entry
from privacy.storage.durable_files import write_atomically

_TERMS = (
    "run",
    "charter",
    "config",
    "policy",
    "program",
    "aggregation",
    "masks",
    "privacy",
    "without",
)


@dataclass(frozen=True)
class Page:
    """The content of one log, summarised.

    Args:
        owner: The owner of the log.
        key: The source of its key, in words.
        began: Time of the first entry.
        ended: Time of the last entry.
        entries: Number of entries.
        head: Hash of the last entry.
        terms: For each run, the digests of its charter, config, policy and program.
        counts: Kinds of entry in words, with their numbers.
        refusals: Codes of refusals and of left-out answers, with their numbers.
        ends: For each run, its status at the end and the digest of its model.
    """

    owner: str
    key: str
    began: str
    ended: str
    entries: int
    head: str
    terms: tuple[tuple[tuple[str, str], ...], ...]
    counts: tuple[tuple[str, int], ...]
    refusals: tuple[tuple[str, int], ...]
    ends: tuple[tuple[str, str], ...]


def log_page(log: ReadLog) -> Page:
    """Return the summary of one log."""
    beside = "beside the log: trust it as much as the person who gave you both"
    of_charter = "in the charter" if log.key_from_charter else beside
    return Page(
        owner=log.owner,
        key=of_charter,
        began=log.entries[0].at,
        ended=log.entries[-1].at,
        entries=len(log.entries),
        head=log.head.hash,
        terms=tuple(_run_terms(entry) for entry in log.entries_of(audit.RUN)),
        counts=_log_counts(log),
        refusals=_refusal_counts(log),
        ends=tuple(
            (str(one.event.facts["status"]), str(one.event.facts["model"]))
            for one in log.entries_of(audit.ENDED)
        ),
    )


@dataclass(frozen=True)
class Attendance:
    """Whether a member was there, as far as these logs say.

    Args:
        name: The member's name.
        joined: What the coordinator's log says of it.
        log: Whether its own log was checked.
    """

    name: str
    joined: str
    log: str


def attendances(logs: Sequence[ReadLog], charter: Charter | None) -> list[Attendance]:
    """Return the members of the charter, and whoever else joined or has a log here, in order."""
    coordinators = [log for log in logs if log.is_a_coordinators]
    joined = {
        str(entry.event.facts["site"])
        for log in coordinators
        for entry in log.entries_of(audit.JOINED)
    }
    owners = {log.owner for log in logs if not log.is_a_coordinators}
    said = {True: "joined", False: "did not join"} if coordinators else {}
    return [
        Attendance(
            name=name,
            joined=said.get(name in joined, "no coordinator's log is here"),
            log="checked" if name in owners else "not here",
        )
        for name in dict.fromkeys([*(charter.names if charter else ()), *sorted(joined | owners)])
    ]


def receipt_page(logs: Sequence[ReadLog], charter: Charter | None = None, *, run: str = "") -> str:
    """Return the receipt as HTML. What it says of the logs depends on the logs alone.

    Args:
        logs: The logs, each verified.
        charter: Names the consortium and its members.
        run: The name of the run, if the logs are of one run.
    """
    both_ends = {log.is_a_coordinators for log in logs} == {True, False}
    return render_page(
        "audit_receipt.html.j2",
        pages=[log_page(log) for log in logs],
        differences=contradictions(logs),
        both_ends=both_ends,
        charter=charter,
        run=run,
        members=attendances(logs, charter),
    )


def write_receipt(
    path: Path, logs: Sequence[ReadLog], charter: Charter | None = None, *, run: str = ""
) -> None:
    """Write the receipt to a file."""
    write_atomically(path, receipt_page(logs, charter, run=run))


def _run_terms(entry: Entry) -> tuple[tuple[str, str], ...]:
    facts = entry.event.facts
    return tuple((name, str(facts[name])) for name in _TERMS if name in facts)


def _log_counts(log: ReadLog) -> tuple[tuple[str, int], ...]:
    sealed = Counter(str(entry.event.facts["what"]) for entry in log.entries_of(audit.SEALED))
    volume = {
        kind: sum(int(entry.event.facts["bytes"]) for entry in log.entries_of(kind))
        for kind in (audit.RECEIVED, audit.SENT)
    }
    told = [
        ("messages received", sum(1 for _ in log.entries_of(audit.RECEIVED))),
        ("bytes received", volume[audit.RECEIVED]),
        ("messages sent", sum(1 for _ in log.entries_of(audit.SENT))),
        ("bytes sent", volume[audit.SENT]),
        *((f"sealed: {what}", number) for what, number in sorted(sealed.items())),
        ("rounds that updated the model", sum(1 for _ in log.entries_of(audit.ROUND))),
        (
            "entries of the privacy ledger",
            sum(1 for _ in log.entries_of(audit.LEDGER)),
        ),
        ("models written", sum(1 for _ in log.entries_of(audit.EXPORTED))),
        (
            "times stopped or allowed again",
            sum(1 for _ in log.entries_of(audit.STOPPED, audit.ALLOWED)),
        ),
    ]
    return tuple((what, number) for what, number in told if number)


def _refusal_counts(log: ReadLog) -> tuple[tuple[str, int], ...]:
    codes = Counter(
        str(entry.event.facts["code"]) for entry in log.entries_of(audit.REFUSED, audit.QUARANTINED)
    )
    for entry in log.entries_of(audit.REFUSED_TOGETHER):
        codes["at the door, told together"] += int(entry.event.facts["times"])
    return tuple(sorted(codes.items()))
