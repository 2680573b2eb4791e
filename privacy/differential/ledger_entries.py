"""What a ledger is made of: entries chained by hashes, and what they add up to.

An entry is never changed and never removed; what it means is fixed by its version. Everything a
ledger knows follows from its entries, read from the first to the last.
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
    SampledGaussian,
    Unit,
    from_json,
    to_json,
)
from privacy.errors import ConsortiumError

VERSION = 1
NO_DIGEST = bytes(32)
_TAG = b"consortium.ledger-entry/1\n"


class LedgerBroken(ConsortiumError, ValueError):
    """A ledger is not what was written: an entry was changed, removed or added."""

    code = "ledger-broken"


class BadBudget(ConsortiumError, ValueError):
    """A budget has a value out of range."""

    code = "bad-budget"


class BadDataSet(ConsortiumError, ValueError):
    """A data set has no name, or no fingerprint."""

    code = "bad-data-set"


class DifferentReservation(ConsortiumError, ValueError):
    """The same part of the same run was reserved with other terms."""

    code = "different-reservation"


class DataSetRenamed(ConsortiumError, ValueError):
    """The same records were counted under another name."""

    code = "data-set-renamed"


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The most privacy that the units of a data set may lose, ever.

    Args:
        epsilon: Above 0.
        delta: At most one tenth of one over the number of units; see `largest_delta`.
        unit: Whom it protects.

    Raises:
        BadBudget: Epsilon is out of range.
        BadTarget: Delta is.
    """

    epsilon: float
    delta: float
    unit: Unit = "person"

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < float("inf"):
            raise BadBudget(f"a budget's epsilon is above 0 and finite, got {self.epsilon}")
        require_delta(self.delta)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What is counted together: the records of the same people.

    Args:
        name: The operator's. It stays the same when records are added or corrected, for the
            people in it do; persons who are in two data sets lose what both lose.
        fingerprint: SHA-256 of the records as they were, hexadecimal. The ledger remembers it,
            and refuses the same records under another name.

    Raises:
        BadDataSet: One is not of this form.
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
    """An event was about to happen, and was counted.

    Args:
        event: What.
        data_set: To which records.
        run: In which run.
        part: In which part of it, such as `training`.
        budget: What it was checked against.
        at: When, in UTC, to the second.
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
    """Some steps of a reservation were about to be done.

    Args:
        reservation: Number of the entry that reserved them.
        key: For what, such as a round and an attempt.
        steps: How many.
        at: When.
    """

    kind: ClassVar[str] = "used"

    reservation: int
    key: str
    steps: int
    at: str


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A reservation ended, with so many steps done.

    Args:
        reservation: Number of the entry that made it.
        steps: Steps or vectors done; what was reserved beyond them is free again.
        at: When.
    """

    kind: ClassVar[str] = "committed"

    reservation: int
    steps: int
    at: str


Content: TypeAlias = Reserved | Used | Committed


@dataclass(frozen=True, kw_only=True)
class LedgerHead:
    """Where a ledger ends: what a log beside it, or a peer's, remembers of it.

    Args:
        entries: How many entries there are.
        digest: Of the last one, and so of all; 32 bytes.
    """

    entries: int = 0
    digest: bytes = NO_DIGEST


@dataclass(frozen=True)
class Charge:
    """What one reservation costs by now.

    Args:
        number: Of its entry.
        reserved: What was reserved.
        used: Steps by key, in order.
        committed: Steps done in the end; None while it is open, and then all of it counts.
    """

    number: int
    reserved: Reserved
    used: dict[str, int] = field(default_factory=dict)
    committed: int | None = None

    @property
    def event(self) -> Mechanism | None:
        """What is counted; None if it ended before anything was done."""
        if self.committed is None:
            return self.reserved.event
        return resized_event(self.reserved.event, self.committed) if self.committed else None


def event_size(event: Mechanism) -> int:
    """Return the steps or vectors of an event; 1 for what is held out."""
    match event:
        case SampledGaussian():
            return event.steps
        case Gaussian():
            return event.count
        case HeldOut():
            return 1


def resized_event(event: Mechanism, size: int) -> Mechanism:
    """Return an event with so many steps or vectors, at least 1."""
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
    if isinstance(content, Reserved):
        fields["event"] = to_json(content.event)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> Content:
    """Return the entry of a canonical form.

    Raises:
        LedgerBroken: It is not one that this program wrote.
    """
    try:
        fields = json.loads(text)
        content = _parse_fields(fields.pop("kind"), fields.pop("v"), fields)
        if to_text(content) == text:
            return content
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LedgerBroken("an entry is none that this program writes") from error
    raise LedgerBroken("an entry is not in its canonical form")


def entry_digest(previous: bytes, text: str) -> bytes:
    """Return the digest of an entry behind another."""
    return hashlib.sha256(_TAG + previous + text.encode()).digest()


def charges_by_reservation(contents: Iterable[Content]) -> dict[int, Charge]:
    """Return what each reservation costs, by its number, in order.

    Raises:
        LedgerBroken: An entry speaks of a reservation that it cannot be about.
    """
    charges: dict[int, Charge] = {}
    for number, content in enumerate(contents, start=1):
        match content:
            case Reserved():
                charges[number] = Charge(number, content)
            case Used() | Committed():
                charge = charges.get(content.reservation)
                if charge is None or charge.committed is not None:
                    raise LedgerBroken(f"entry {number} is about no open reservation")
                charges[charge.number] = _updated_charge(charge, content)
    return charges


def utc_timestamp(now: datetime) -> str:
    """Return a moment in UTC, to the second."""
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
        raise LedgerBroken(f"an entry about reservation {charge.number} contradicts it")
    return later


def _parse_fields(kind: str, version: int, fields: dict[str, Any]) -> Content:
    if version != VERSION:
        raise LedgerBroken(f"an entry has version {version}, this program reads {VERSION}")
    match kind:
        case Reserved.kind:
            fields["event"] = from_json(fields["event"])
            fields["data_set"] = DataSet(**fields["data_set"])
            fields["budget"] = Budget(**fields["budget"])
            return Reserved(**fields)
        case Used.kind:
            return Used(**fields)
        case Committed.kind:
            return Committed(**fields)
    raise BadEvent(f"there are no entries of kind {kind}")
