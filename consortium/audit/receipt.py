"""The audit receipt: one page on what a run's logs prove, for an auditor without data or keys."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.cross_check import ReadLog, contradictions
from consortium.wording.pages import render_page
from privacy.audit.hash_chain import Entry
from privacy.storage.durable_files import write_atomically

_TERMS = ("charter", "config", "policy", "program", "aggregation", "privacy", "without")


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


def receipt_page(logs: Sequence[ReadLog]) -> str:
    """Return the receipt as HTML. It depends on the logs alone."""
    both_ends = {log.is_a_coordinators for log in logs} == {True, False}
    return render_page(
        "audit_receipt.html.j2",
        pages=[log_page(log) for log in logs],
        differences=contradictions(logs),
        both_ends=both_ends,
    )


def write_receipt(path: Path, logs: Sequence[ReadLog]) -> None:
    """Write the receipt to a file."""
    write_atomically(path, receipt_page(logs))


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
