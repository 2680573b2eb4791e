"""Logs held against each other: what one end wrote down, the other end must have too.

A log alone proves that nothing in it was altered. That nothing was cut off its end, and that it
is the only log of its owner, only another log can tell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from consortium.audit import journal as audit
from consortium.audit.journal import OWNER
from consortium.charter.document import Charter
from consortium.run.party_directory import PartyDirectory
from privacy.audit.hash_chain import Entry, LogHead, verified_entries
from privacy.audit.signed_head import Anchor
from privacy.differential.ledger_entries import LedgerHead
from privacy.errors import ConsortiumError
from privacy.identity.public_identity import BadSignature


class LogsDiffer(ConsortiumError, ValueError):
    """Two whole logs contradict each other: one of them is not all that its owner wrote."""

    code = "logs-differ"


class NoLog(ConsortiumError, FileNotFoundError):
    """There is no log where one was looked for."""

    code = "no-log"


@dataclass(frozen=True)
class ReadLog:
    """A log whose chain is whole.

    Args:
        path: Where it is.
        owner: Whose it is.
        entries: All of it.
        key_from_charter: Whether its owner's key is that of the charter, not one beside the log.
    """

    path: Path
    owner: str
    entries: tuple[Entry, ...]
    key_from_charter: bool

    def entries_of(self, *kinds: str) -> Iterator[Entry]:
        """Yield the entries of some kinds."""
        return (entry for entry in self.entries if entry.event.kind in kinds)

    @property
    def head(self) -> LogHead:
        """Where it ends."""
        return LogHead(self.entries[-1].number, self.entries[-1].hash)

    @property
    def is_a_coordinators(self) -> bool:
        """Whether it is a coordinator's log."""
        return self.owner == OWNER

    @cached_property
    def digests(self) -> Mapping[str, frozenset[object]]:
        """Digests of the messages it names, by kind of entry."""
        return {
            kind: frozenset(entry.event.facts["digest"] for entry in self.entries_of(kind))
            for kind in (audit.SENT, audit.RECEIVED)
        }


def find_logs(place: Path) -> list[Path]:
    """Return the logs of a place: a log, the directory of a site or coordinator, or a run's.

    Raises:
        NoLog: There is none.
    """
    if place.is_file():
        return [place]
    parts = (place, place / "coordinator", *sorted(place.glob("sites/*")))
    logs = [PartyDirectory(part).audit / audit.LOG for part in parts]
    found = [log for log in logs if log.exists()]
    if not found:
        raise NoLog(f"{place} holds no audit log")
    return found


def read_log(path: Path, charter: Charter | None = None) -> ReadLog:
    """Read a log and check that it is whole, and its owner's.

    Args:
        path: The log.
        charter: Whose members' keys count; without it, or for a coordinator, the key beside it.

    Raises:
        AuditChainBroken: It is not.
    """
    keys = dict(audit.read_public_keys(path))
    members = charter.members if charter else ()
    trusted = {one.name: bytes.fromhex(one.signing) for one in members if one.signing}
    entries = tuple(verified_entries(path, {**keys, **trusted}))
    owner = str(entries[0].event.facts["owner"])
    return ReadLog(path, owner, entries, key_from_charter=owner in trusted)


def contradictions(logs: Sequence[ReadLog]) -> list[str]:
    """Return what contradicts what among some logs, in sentences; nothing if nothing does."""
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
    """Check that some logs do not contradict each other.

    Raises:
        LogsDiffer: They do.
    """
    found = contradictions(logs)
    if found:
        raise LogsDiffer("; ".join(found), differences=len(found))


def ledger_heads(site: str, logs: Sequence[ReadLog]) -> list[LedgerHead]:
    """Return where the ledger of a site ended, as logs saw it: its own, and coordinators'."""
    told = [
        entry.event.facts.get("ledger", "")
        for log in logs
        for entry in log.entries_of(audit.JOINED, audit.LEDGER)
        if site in (log.owner, entry.event.facts.get("site"))
    ]
    return [decode_ledger_head(bytes.fromhex(str(one))) for one in told if one]


def decode_ledger_head(told: bytes) -> LedgerHead:
    """Return where a ledger ended, from what an anchor or a log says of it."""
    return LedgerHead(entries=int.from_bytes(told[:8], "big"), digest=told[8:])


def _contradictions_between(site: ReadLog, coordinator: ReadLog) -> Iterator[str]:
    """Yield what contradicts what between a site and a coordinator that met."""
    for entry in coordinator.entries_of(audit.JOINED):
        if entry.event.facts["site"] == site.owner:
            yield from _anchor_faults(site, entry)
    for entry in coordinator.entries_of(audit.RECEIVED):
        facts = entry.event.facts
        if facts["site"] == site.owner and facts["digest"] not in site.digests[audit.SENT]:
            yield (
                f"the coordinator received an answer of {site.owner} (line {entry.number}) that "
                f"{site.owner} did not write down: its log was cut off or replaced, or somebody "
                "else answered under its name"
            )
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
                f"{site.owner} was asked something (line {entry.number}) that the coordinator did "
                "not write down: its log was cut off or replaced, or the question altered"
            )


def _anchor_faults(site: ReadLog, entry: Entry) -> Iterator[str]:
    """Yield what is wrong with what a site said of its log when it joined."""
    facts = entry.event.facts
    head = LogHead(int(facts["entries"]), str(facts["head"]))
    said = Anchor(
        key=bytes.fromhex(str(facts["key"])),
        head=head,
        ledger=bytes.fromhex(str(facts["ledger"])),
        signature=bytes.fromhex(str(facts["signature"])),
    )
    if facts["key"] != site.entries[0].event.facts["key"]:
        yield f"{site.owner} joined (line {entry.number}) with another key than its log has"
        return
    try:
        said.verify()
    except BadSignature:
        yield f"the coordinator wrote down what {site.owner} did not sign (line {entry.number})"
        return
    missing = head.entries > len(site.entries)
    if missing or (head.entries and site.entries[head.entries - 1].hash != head.hash):
        yield (
            f"{site.owner} said when it joined that its log had {head.entries} entries, and they "
            "are not in it: the log was put back or replaced"
        )
