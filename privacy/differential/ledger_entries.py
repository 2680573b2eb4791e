"""The entries of a privacy ledger, chained by hashes, and the charges they add up to.

An entry is never changed or removed, and its version fixes its meaning. Everything that a ledger
states follows from its entries, read from first to last.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeAlias

from privacy.differential.accounting import require_delta
from privacy.differential.mechanisms import (
    BadEvent,
    Gaussian,
    HeldOut,
    Mechanism,
    Release,
    SampledGaussian,
    Unit,
    WithoutNoise,
    from_json,
    to_json,
)
from privacy.errors import ConsortiumError

VERSION = 1
NO_DIGEST = bytes(32)
_TAG = b"consortium.ledger-entry/1\n"


class LedgerBroken(ConsortiumError, ValueError, code="ledger-broken"):
    """A ledger was altered: an entry was changed, removed or added."""


class BadBudget(ConsortiumError, ValueError, code="bad-budget"):
    """A budget has a value out of range."""


class BadDataSet(ConsortiumError, ValueError, code="bad-data-set"):
    """The name or the fingerprint of a data set does not have the agreed form."""


class DifferentReservation(ConsortiumError, ValueError, code="different-reservation"):
    """The same part of the same run was reserved with another event."""


class DataSetRenamed(ConsortiumError, ValueError, code="data-set-renamed"):
    """The same records were counted under another name."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most privacy that the units of a data set may ever lose.

    Args:
        epsilon: Above 0.
        delta: At most one tenth of one over the number of units.
        unit: Unit of privacy that it protects.

    Raises:
        BadBudget: Epsilon is out of range.
        BadTarget: Delta is out of range.
    """

    epsilon: float
    delta: float
    unit: Unit = "person"

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise BadBudget(f"a budget's epsilon must be above 0 and finite, got {self.epsilon}")
        require_delta(self.delta)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The records of the same people: what is charged to one budget.

    Args:
        name: Chosen by the operator. It stays the same when records are added or corrected,
            because the people stay the same. A person in two data sets loses what both lose.
        fingerprint: SHA-256 of the records at the time, hexadecimal. The ledger remembers it
            and refuses the same records under another name.

    Raises:
        BadDataSet: The name or the fingerprint does not have this form.
    """

    name: str
    fingerprint: str

    def __post_init__(self) -> None:
        fits = 1 <= len(self.name) <= 128 and self.name.isprintable()
        hexadecimal = set(self.fingerprint) <= set("0123456789abcdef")
        if not (fits and len(self.fingerprint) == 64 and hexadecimal):
            raise BadDataSet("a data set needs a name of one line and a SHA-256 in hexadecimal")


@dataclass(frozen=True, kw_only=True)
class Reserved:
    """An event was counted, before it happened.

    Args:
        event: The event.
        data_set: The records it is computed from.
        run: Name or identifier of the run.
        part: Part of the run, such as `training`.
        budget: The budget it was checked against.
        at: Time in UTC, to the second.
    """

    kind: ClassVar[str] = "reserved"

    event: Mechanism
    data_set: DataSet
    run: str
    part: str
    budget: Budget
    at: str


@dataclass(frozen=True, kw_only=True)
class Used:
    """Some steps of a reservation were about to begin.

    Args:
        reservation: Number of the entry that reserved them.
        key: What the steps are for, such as a round and an attempt.
        steps: Number of steps.
        at: Time in UTC, to the second.
    """

    kind: ClassVar[str] = "used"

    reservation: int
    key: str
    steps: int
    at: str


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A reservation ended.

    Args:
        reservation: Number of the entry that made it.
        steps: Steps or vectors done; any others that were reserved are free again.
        at: Time in UTC, to the second.
    """

    kind: ClassVar[str] = "committed"

    reservation: int
    steps: int
    at: str


@dataclass(frozen=True, kw_only=True)
class Released:
    """Something was about to leave without noise. No budget is charged with it.

    Args:
        event: What left, and whose: of persons in a training set, or of held-out ones.
        data_set: The records it is computed from.
        run: Name or identifier of the run.
        part: Part of the run, such as `evaluation 3`.
        asked: SHA-256 of all else that decides what left, such as the state that was evaluated,
            hexadecimal; empty if nothing else does.
        at: Time in UTC, to the second.
    """

    kind: ClassVar[str] = "released"

    event: Release
    data_set: DataSet
    run: str
    part: str
    asked: str
    at: str


Content: TypeAlias = Reserved | Used | Committed | Released


@dataclass(frozen=True, kw_only=True)
class LedgerHead:
    """The head of a ledger: the site's log and its peers remember it.

    Args:
        entries: Number of entries.
        digest: Digest of the last entry, and by the chain of all entries; 32 bytes.
    """

    entries: int = 0
    digest: bytes = NO_DIGEST


@dataclass(frozen=True)
class Charge:
    """What one reservation costs now.

    Args:
        number: Number of its entry.
        reserved: The entry.
        used: Steps begun, by key, in order.
        committed: Steps done when it ended; None while it is open: then all of it counts.
    """

    number: int
    reserved: Reserved
    used: dict[str, int] = field(default_factory=dict)
    committed: int | None = None

    @property
    def event(self) -> Mechanism | None:
        """The event that counts; None if the reservation ended before any step was done."""
        if self.committed is None:
            return self.reserved.event
        return resized_event(self.reserved.event, self.committed) if self.committed else None


def event_size(event: Mechanism) -> int:
    """Return the number of steps or vectors of an event; 1 for `HeldOut`."""
    match event:
        case SampledGaussian():
            return event.steps
        case Gaussian():
            return event.count
        case HeldOut():
            return 1


def resized_event(event: Mechanism, size: int) -> Mechanism:
    """Return the event with another number of steps or vectors, at least 1."""
    match event:
        case SampledGaussian():
            return replace(event, steps=size)
        case Gaussian():
            return replace(event, count=size)
        case HeldOut():
            return event


def to_text(content: Content) -> str:
    """Return the canonical form of an entry."""
    fields = {**asdict(content), "kind": content.kind, "v": VERSION}
    if isinstance(content, Reserved | Released):
        fields["event"] = to_json(content.event)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> Content:
    """Parse what `to_text` wrote.

    Raises:
        LedgerBroken: The text is anything else.
    """
    try:
        fields = json.loads(text)
        content = _parse_fields(fields.pop("kind"), fields.pop("v"), fields)
        # Only the canonical text is accepted, so that one entry has one digest.
        if to_text(content) == text:
            return content
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerBroken("an entry is not one that this program writes") from error
    raise LedgerBroken("an entry is not in its canonical form")


def entry_digest(previous: bytes, text: str) -> bytes:
    """Return the digest of an entry: SHA-256 of the digest before it and its text."""
    return hashlib.sha256(_TAG + previous + text.encode()).digest()


def charges_by_reservation(contents: Iterable[Content]) -> dict[int, Charge]:
    """Return what each reservation costs, by entry number, in order.

    Raises:
        LedgerBroken: An entry refers to a reservation that does not exist, has ended, or that it
            contradicts.
    """
    charges: dict[int, Charge] = {}
    for number, content in enumerate(contents, start=1):
        match content:
            case Reserved():
                charges[number] = Charge(number, content)
            case Used() | Committed():
                charge = charges.get(content.reservation)
                if charge is None or charge.committed is not None:
                    raise LedgerBroken(f"entry {number} does not refer to an open reservation")
                charges[charge.number] = _updated_charge(charge, content)
    return charges


def utc_timestamp(now: datetime) -> str:
    """Return a time in UTC, to the second, in ISO format."""
    return now.astimezone(UTC).isoformat(timespec="seconds")


def _updated_charge(charge: Charge, content: Used | Committed) -> Charge:
    used, size = sum(charge.used.values()), event_size(charge.reserved.event)
    if isinstance(content, Used):
        fits = content.steps >= 1 and content.key not in charge.used
        fits = fits and used + content.steps <= size
        later = replace(charge, used={**charge.used, content.key: content.steps})
    else:
        fits = used <= content.steps <= size
        later = replace(charge, committed=content.steps)
    if not fits:
        raise LedgerBroken(f"an entry contradicts its reservation {charge.number}")
    return later


def _parse_fields(kind: str, version: int, fields: dict[str, Any]) -> Content:
    if version != VERSION:
        raise LedgerBroken(f"an entry has version {version}, this program reads {VERSION}")
    match kind:
        case Reserved.kind:
            event = from_json(fields.pop("event"))
            data_set, budget = DataSet(**fields.pop("data_set")), Budget(**fields.pop("budget"))
            if isinstance(event, WithoutNoise):
                raise BadEvent("what has no noise is not reserved")
            return Reserved(event=event, data_set=data_set, budget=budget, **fields)
        case Released.kind:
            event, data_set = from_json(fields.pop("event")), DataSet(**fields.pop("data_set"))
            if not isinstance(event, WithoutNoise | HeldOut):
                raise BadEvent("what has noise is reserved before it is released")
            return Released(event=event, data_set=data_set, **fields)
        case Used.kind:
            return Used(**fields)
        case Committed.kind:
            return Committed(**fields)
    raise BadEvent(f"there are no entries of kind {kind}")
