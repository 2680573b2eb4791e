"""Cross-check audit logs: what one end of a message wrote down, the other end must have too.

A single log proves that none of its entries was altered. Only another log can show that nothing
was cut off at its end, and that it is the only log of its owner.

A site's log also holds the questions that the coordinator signed. A site cannot invent one, so they
convict the coordinator of what it showed. That a checksum failed is only the site's own word.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.journal import OWNER
from consortium.charter.document import Charter
from consortium.run.party_directory import PartyDirectory
from privacy.audit.hash_chain import AuditChainBroken, Entry, LogHead, verified_entries
from privacy.audit.signed_head import Anchor
from privacy.canonical import MalformedEnvelope
from privacy.differential.ledger_entries import LedgerHead
from privacy.errors import ConsortiumError, number_of
from privacy.identity.public_identity import BadSignature
from privacy.protocol.masks.signed_set import SignedSet
from privacy.protocol.masks.sum_set import SumSet
from privacy.protocol.signed_question import MASKED_PARTS, PARTS, QuestionDigests


class LogsDiffer(ConsortiumError, ValueError, code="logs-differ"):
    """Two intact logs contradict each other, so one of them is not all that its owner wrote."""


class NoLog(ConsortiumError, FileNotFoundError, code="no-log"):
    """There is no audit log at the given place."""


@dataclass(frozen=True)
class ReadLog:
    """An audit log whose hash chain was verified.

    Args:
        path: The file of the log.
        owner: The name of its owner.
        entries: All entries, in order.
        key_from_charter: Whether the owner's key is from the charter, not from beside the log.
    """

    path: Path
    owner: str
    entries: tuple[Entry, ...]
    key_from_charter: bool

    def entries_of(self, *kinds: str) -> Iterator[Entry]:
        """Yield the entries of the given kinds."""
        return (entry for entry in self.entries if entry.event.kind in kinds)

    @property
    def head(self) -> LogHead:
        """The number and the hash of its last entry."""
        return LogHead(self.entries[-1].number, self.entries[-1].hash)

    @property
    def is_a_coordinators(self) -> bool:
        """Whether it is a coordinator's log."""
        return self.owner == OWNER

    @cached_property
    def digests(self) -> Mapping[str, frozenset[object]]:
        """Digests of the messages that were sent and received, by kind of entry."""
        return {
            kind: frozenset(entry.event.facts["digest"] for entry in self.entries_of(kind))
            for kind in (audit.SENT, audit.RECEIVED)
        }


def find_logs(place: Path) -> list[Path]:
    """Find the audit logs of a place: a log file, or the directory of a party or of a run.

    Raises:
        NoLog: There is no audit log.
    """
    if place.is_file():
        return [place]
    runs = sorted(place.glob("runs/*/coordinator"))
    parts = (place, place / "coordinator", *sorted(place.glob("sites/*")), *runs)
    logs = [PartyDirectory(part).audit / audit.LOG for part in parts]
    found = [log for log in logs if log.exists()]
    if not found:
        raise NoLog(f"{place} holds no audit log")
    return found


def read_log(path: Path, charter: Charter | None = None) -> ReadLog:
    """Read a log and verify its hash chain and its owner's signatures.

    Args:
        path: The log file.
        charter: Its keys are used for members' logs. Without a charter, and for a coordinator, the
            key beside the log is used.

    Raises:
        AuditChainBroken: An entry was altered, removed or not signed by the owner; the message
            says whose log it is.
        AuditLogUnavailable: The log, or the key beside it, cannot be read.
    """
    keys = dict(audit.read_public_keys(path))
    members = charter.members if charter else ()
    trusted = {one.name: bytes.fromhex(one.signing) for one in members if one.signing}
    try:
        entries = tuple(verified_entries(path, {**keys, **trusted}))
    except AuditChainBroken as error:
        raise error.named(f"the log of {' or '.join(sorted(keys))}, {path}") from error
    owner = str(entries[0].event.facts["owner"])
    return ReadLog(path, owner, entries, key_from_charter=owner in trusted)


def contradictions(logs: Sequence[ReadLog]) -> list[str]:
    """Return the contradictions between logs, one sentence each; empty if there are none."""
    sites = [log for log in logs if not log.is_a_coordinators]
    coordinators = [log for log in logs if log.is_a_coordinators]
    found = [
        text
        for site in sites
        for one in coordinators
        for text in _contradictions_between(site, one)
    ]
    twice = [log.owner for log in sites]
    found += [
        f"there are two logs of {name}" for name in sorted(set(twice)) if twice.count(name) > 1
    ]
    return found


def require_agreement(logs: Sequence[ReadLog]) -> None:
    """Check that logs do not contradict each other.

    Raises:
        LogsDiffer: They contradict each other.
    """
    found = contradictions(logs)
    if found:
        raise LogsDiffer("; ".join(found), differences=len(found))


@dataclass(frozen=True, kw_only=True)
class SiteEvidence:
    """What one site kept of the questions it was asked.

    Args:
        site: The site's name; its log was signed with its key in the charter.
        questions: The questions that it was shown, each signed by the coordinator.
        asked_to_confirm: The sets of masked runs that the coordinator asked it to confirm, each
            signed by the coordinator.
        failed: SHA-256 of each sum whose checksum failed there, hexadecimal, as the site says.
    """

    site: str
    questions: tuple[QuestionDigests, ...]
    failed: frozenset[str]
    asked_to_confirm: tuple[SumSet, ...] = ()


def gather_evidence(places: Iterable[Path], charter: Charter) -> tuple[SiteEvidence, ...]:
    """Return the evidence of the members whose logs are in these places, by name.

    Args:
        places: Logs, or directories of sites or of a run.
        charter: Names the members' keys, and the coordinator's.

    Raises:
        NoLog: A place holds no audit log.
        AuditChainBroken: An entry was altered, removed or not signed by the owner.
    """
    logs = [read_log(path, charter) for place in places for path in find_logs(place)]
    of_members = [log for log in logs if log.key_from_charter]
    return tuple(
        _evidence_in(log, charter) for log in sorted(of_members, key=lambda log: log.owner)
    )


def _evidence_in(log: ReadLog, charter: Charter) -> SiteEvidence:
    shown = (_question(entry, charter) for entry in log.entries_of(audit.SHOWN))
    asked = (_sum_set(entry, charter) for entry in log.entries_of(audit.CONFIRMED))
    return SiteEvidence(
        site=log.owner,
        questions=tuple(question for question in shown if question),
        asked_to_confirm=tuple(one for one in asked if one),
        failed=frozenset(
            str(entry.event.facts.get("sum", "")) for entry in log.entries_of(audit.SPOILED)
        ),
    )


def _question(entry: Entry, charter: Charter) -> QuestionDigests | None:
    """Return the question of an entry; None if the coordinator did not sign it."""
    facts = entry.event.facts
    parts = MASKED_PARTS if MASKED_PARTS[-1] in facts else PARTS
    try:
        question = QuestionDigests(
            charter=bytes.fromhex(charter.fingerprint),
            server_round=int(facts["round"]),
            attempt=int(facts["attempt"]),
            parts=tuple(bytes.fromhex(str(facts[name])) for name in parts),
        )
        question.verify(bytes.fromhex(charter.coordinator_key), bytes.fromhex(str(facts["signed"])))
    except (LookupError, ValueError, MalformedEnvelope, BadSignature):
        # Of an earlier charter, or the invention of a site: no evidence against anybody.
        return None
    return question


def _sum_set(entry: Entry, charter: Charter) -> SumSet | None:
    """Return the set of an entry; None if the coordinator did not ask for its confirmation."""
    facts = entry.event.facts
    try:
        sum_set = SumSet.decode(bytes.fromhex(str(facts["set"])))
        asked = SignedSet(charter=bytes.fromhex(charter.fingerprint), set_digest=sum_set.digest)
        asked.verify(bytes.fromhex(charter.coordinator_key), bytes.fromhex(str(facts["signed"])))
    except (LookupError, ValueError, MalformedEnvelope, BadSignature):
        return None  # as in `_question`
    return sum_set


def ledger_heads(site: str, logs: Sequence[ReadLog]) -> list[LedgerHead]:
    """Return the heads of a site's privacy ledger that its own and coordinators' logs recorded."""
    told = [
        entry.event.facts.get("ledger", "")
        for log in logs
        for entry in log.entries_of(audit.JOINED, audit.LEDGER)
        if site in (log.owner, entry.event.facts.get("site"))
    ]
    return [decode_ledger_head(bytes.fromhex(str(one))) for one in told if one]


def decode_ledger_head(told: bytes) -> LedgerHead:
    """Decode the head of a ledger, as an anchor or a log entry holds it."""
    return LedgerHead(entries=int.from_bytes(told[:8], "big"), digest=told[8:])


def _contradictions_between(site: ReadLog, coordinator: ReadLog) -> Iterator[str]:
    """Yield the contradictions between a site's log and a coordinator's log."""
    for entry in coordinator.entries_of(audit.JOINED):
        if entry.event.facts["site"] == site.owner:
            yield from _anchor_faults(site, entry)
    for entry in coordinator.entries_of(audit.RECEIVED):
        facts = entry.event.facts
        if facts["site"] == site.owner and facts["digest"] not in site.digests[audit.SENT]:
            yield (
                f"the coordinator received an answer from {site.owner} (line {entry.number}) that "
                f"is not in the log of {site.owner}: that log was cut off or replaced, or somebody "
                "else answered in its name"
            )
    # A run under another coordinator is not in this coordinator's log. Only runs that share a
    # message with it are compared.
    met = coordinator.digests[audit.SENT] | coordinator.digests[audit.RECEIVED]
    runs = {
        entry.event.facts["run"]
        for entry in site.entries_of(audit.SENT, audit.RECEIVED)
        if entry.event.facts["digest"] in met
    }
    for entry in site.entries_of(audit.RECEIVED):
        facts = entry.event.facts
        if facts["run"] in runs and facts["digest"] not in coordinator.digests[audit.SENT]:
            yield (
                f"{site.owner} received a request (line {entry.number}) that is not in the "
                "coordinator's log: that log was cut off or replaced, or the request was altered"
            )


def _anchor_faults(site: ReadLog, entry: Entry) -> Iterator[str]:
    """Yield the faults of the anchor: what a site said about its log when it joined a run."""
    facts = entry.event.facts
    head = LogHead(int(facts["entries"]), str(facts["head"]))
    said = Anchor(
        key=bytes.fromhex(str(facts["key"])),
        head=head,
        ledger=bytes.fromhex(str(facts["ledger"])),
        signature=bytes.fromhex(str(facts["signature"])),
    )
    if facts["key"] != site.entries[0].event.facts["key"]:
        yield f"{site.owner} joined (line {entry.number}) with a key other than that of its log"
        return
    try:
        said.verify()
    except BadSignature:
        yield (
            f"the coordinator's log has an anchor (line {entry.number}) that {site.owner} did not "
            "sign"
        )
        return
    missing = head.entries > len(site.entries)
    if missing or (head.entries and site.entries[head.entries - 1].hash != head.hash):
        yield (
            f"when {site.owner} joined, its log had {number_of(head.entries, 'entry')} no "
            "longer in it: the log was rolled back or replaced"
        )
