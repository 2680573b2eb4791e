"""A site's ledger of privacy: reserved before anything is computed, counted whatever happens.

The ledger holds what was done (`privacy.differential.mechanisms`), never its cost: epsilon is
computed from all entries, each time. It grows only. What was reserved counts in full from that
moment; a process that dies leaves it spent. A reservation gives back only steps that were not
begun, when its owner says that it ended; each step was entered before it was begun, so no step is
given back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from privacy.differential.accounting import Epsilon, both_epsilons
from privacy.differential.budget import budget_refusal, charged_events, fits_budget
from privacy.differential.ledger_entries import (
    NO_DIGEST,
    Budget,
    Charge,
    Committed,
    Content,
    DataSet,
    DataSetRenamed,
    DifferentReservation,
    LedgerBroken,
    LedgerHead,
    Reserved,
    Used,
    charges_by_reservation,
    entry_digest,
    event_size,
    from_text,
    to_text,
    utc_timestamp,
)
from privacy.differential.mechanisms import Mechanism, Unit
from privacy.errors import ConsortiumError
from privacy.storage.sqlite import DatabaseForm, SiteDatabase

FILE = "ledger.sqlite"

_FORM = DatabaseForm(
    FILE,
    1,
    (
        "CREATE TABLE entries"
        " (number INTEGER PRIMARY KEY, written TEXT NOT NULL, digest BLOB NOT NULL) STRICT",
    ),
)


class ReservationEnded(ConsortiumError, ValueError):
    """A reservation was ended before."""

    code = "reservation-ended"


class NotReserved(ConsortiumError, ValueError):
    """More steps than were reserved, or fewer than were begun."""

    code = "not-reserved"


class LedgerRolledBack(ConsortiumError, ValueError):
    """A ledger lacks entries that it once had, or has others in their place."""

    code = "ledger-rolled-back"


@dataclass(frozen=True)
class Reservation:
    """An event that may happen now, because it was counted.

    Args:
        ledger: Where it stands.
        number: Of its entry.
        fresh: Whether it was made by this call, and not found as made before.
    """

    ledger: "Ledger"
    number: int
    fresh: bool

    @property
    def charge(self) -> Charge:
        """What the ledger says about it now."""
        return self.ledger.charge(self.number)

    def use(self, key: str, steps: int, *, now: datetime | None = None) -> bool:
        """Enter that steps are about to be done, and return whether that is news.

        Guarantee: when it returns, the steps are on the disk as begun, and no more were ever
        begun than reserved. False says that `key` was entered before: then the answer that was
        given must be given again, or, if none left the site, the steps may be done again; a
        second answer with new noise would be a loss that nobody counted.

        Args:
            key: For what, such as a round and an attempt.
            steps: At least 1.
            now: The time.

        Raises:
            NotReserved: More than was reserved, or the same key with another number.
            ReservationEnded: It has ended.
        """
        return self.ledger.enter_use(self.number, key, steps, now=now)

    def commit(self, steps: int | None = None, *, now: datetime | None = None) -> None:
        """End the reservation; what was not begun is given back.

        That is sound if the end was decided by nothing but what had been released, such as a
        coordinator's message. Ended once more in the same way, nothing happens.

        Args:
            steps: Steps or vectors done, at least those entered by `use`; all if not given.
            now: The time.

        Raises:
            NotReserved: More than was reserved, or fewer than were begun.
            ReservationEnded: It ended otherwise.
        """
        self.ledger.enter_commit(self.number, steps, now=now)


class Ledger:
    """The ledger of one site, in a directory of its own.

    Guarantee: two processes at once reserve one after the other, each counting what the other
    has; what was reserved is on the disk when `reserve` returns.

    Args:
        directory: Made with mode 0700 if it is not there.

    Raises:
        MemoryUnavailable: It cannot be opened.
        MemoryDamaged: It was written by another version.
        ExposedSecret: The directory is open to others.
    """

    def __init__(self, directory: Path) -> None:
        self._database = SiteDatabase(directory, _FORM)

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def reserve(
        self,
        event: Mechanism,
        *,
        data_set: DataSet,
        run: str,
        part: str = "training",
        budget: Budget,
        now: datetime | None = None,
    ) -> Reservation:
        """Count an event before it happens, if it fits.

        Guarantee: with everything counted before on this data set it costs at most the budget.
        The same part of the same run is counted once, however often it is asked.

        Args:
            event: All of it: the steps of all planned rounds.
            data_set: Whose records.
            run: The run's name or identifier.
            part: What of it.
            budget: What may be lost in all.
            now: The time.

        Raises:
            BudgetExhausted: It does not fit; nothing was counted.
            DifferentReservation: This part was reserved with another event.
            DataSetRenamed: These records were counted under another name.
            LedgerBroken: The ledger was altered.
        """
        asked = Reserved(
            event=event, data_set=data_set, run=run, part=part, budget=budget, at=_now(now)
        )
        with self._database.writing():
            charges = self.charges()
            known = _find_reservation(charges, asked)
            if known is not None:
                return Reservation(self, known.number, fresh=False)
            _require_name(charges, data_set)
            past = charged_events(charges, data_set.name)
            if fits_budget(event, past, budget):
                return Reservation(self, self._append(asked), fresh=True)
        raise budget_refusal(event, past, budget)

    def charges(self) -> tuple[Charge, ...]:
        """Return all reservations and what they cost by now, in order.

        Raises:
            LedgerBroken: The ledger was altered.
        """
        return tuple(charges_by_reservation(self.entries()).values())

    def charge(self, number: int) -> Charge:
        """Return one of them."""
        return next(charge for charge in self.charges() if charge.number == number)

    def data_sets(self) -> tuple[str, ...]:
        """Return the names of all data sets, in the order in which they came."""
        return tuple(dict.fromkeys(one.reserved.data_set.name for one in self.charges()))

    def events(self, data_set: str | None = None) -> tuple[Mechanism, ...]:
        """Return what counts for a data set, or for all of them together."""
        return charged_events(self.charges(), data_set)

    def spent(self, data_set: str | None, *, delta: float, unit: Unit = "person") -> Epsilon:
        """Return what the units of a data set have lost, at most; of all if None is named."""
        return both_epsilons(self.events(data_set), delta, unit=unit)

    def entries(self) -> tuple[Content, ...]:
        """Return all entries.

        Raises:
            LedgerBroken: The chain is not whole, or an entry is none.
        """
        return tuple(from_text(text) for text in self._texts())

    def verify(self) -> LedgerHead:
        """Check that the chain is whole and every entry makes sense; return where it ends.

        Raises:
            LedgerBroken: It is not.
        """
        with self._database.writing():
            self.charges()
            return self.head()

    def head(self) -> LedgerHead:
        """Return where the ledger ends."""
        row = self._database.row("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1")
        return LedgerHead(entries=row[0], digest=row[1]) if row else LedgerHead()

    def check_head(self, recorded: LedgerHead) -> None:
        """Check that the ledger goes on from where a log, or a peer's, saw it.

        Raises:
            LedgerRolledBack: Entries are missing, or others are in their place.
            LedgerBroken: The chain is not whole.
        """
        self.verify()
        row = self._database.row("SELECT digest FROM entries WHERE number = ?", recorded.entries)
        digest = NO_DIGEST if recorded.entries == 0 else row and row[0]
        if digest != recorded.digest:
            raise LedgerRolledBack(
                f"a log saw {recorded.entries} entries that this ledger does not have: it was "
                "rolled back or replaced, and what it says was spent is too little",
                recorded=recorded.entries,
                found=self.head().entries,
            )

    def enter_use(self, number: int, key: str, steps: int, *, now: datetime | None) -> bool:
        """Do what `Reservation.use` promises."""
        with self._database.writing():
            charge = self.charge(number)
            if key in charge.used and charge.used[key] == steps:
                return False
            left = event_size(charge.reserved.event) - sum(charge.used.values())
            if key in charge.used or not 1 <= steps <= left:
                raise NotReserved(
                    f"{steps} steps for {key}, and {left} of those reserved are left",
                    asked=steps,
                    left=left,
                )
            _require_open(charge)
            self._append(Used(reservation=number, key=key, steps=steps, at=_now(now)))
            return True

    def enter_commit(self, number: int, steps: int | None, *, now: datetime | None) -> None:
        """Do what `Reservation.commit` promises."""
        with self._database.writing():
            charge = self.charge(number)
            reserved, begun = event_size(charge.reserved.event), sum(charge.used.values())
            done = reserved if steps is None else steps
            if charge.committed == done:
                return
            if not begun <= done <= reserved:
                raise NotReserved(
                    f"{done} steps done, of {reserved} reserved and {begun} begun",
                    reserved=reserved,
                    begun=begun,
                )
            _require_open(charge)
            self._append(Committed(reservation=number, steps=done, at=_now(now)))

    def _texts(self) -> list[str]:
        rows = self._database.rows("SELECT number, written, digest FROM entries ORDER BY number")
        previous = NO_DIGEST
        for expected, (number, text, digest) in enumerate(rows, start=1):
            if number != expected or entry_digest(previous, text) != digest:
                raise LedgerBroken(f"the chain is broken at entry {expected}", entry=expected)
            previous = digest
        return [text for _, text, _ in rows]

    def _append(self, content: Content) -> int:
        head, text = self.head(), to_text(content)
        self._database.execute(
            "INSERT INTO entries VALUES (?, ?, ?)",
            head.entries + 1,
            text,
            entry_digest(head.digest, text),
        )
        return head.entries + 1


def _find_reservation(charges: Sequence[Charge], asked: Reserved) -> Charge | None:
    """Return the reservation of the same part of the same run, if there is one."""
    name, where = asked.data_set.name, (asked.run, asked.part)
    for charge in charges:
        known = charge.reserved
        if (known.data_set.name, known.run, known.part) == (name, *where):
            if known.event != asked.event:
                raise DifferentReservation(
                    f"{asked.part} of run {asked.run} was reserved with other terms: a part of a "
                    "run is counted once, as it was agreed"
                )
            return charge
    return None


def _require_name(charges: Sequence[Charge], data_set: DataSet) -> None:
    for charge in charges:
        known = charge.reserved.data_set
        if known.fingerprint == data_set.fingerprint and known.name != data_set.name:
            raise DataSetRenamed(
                f"these records were counted as {known.name}: under {data_set.name} what they "
                "have lost would be forgotten"
            )


def _require_open(charge: Charge) -> None:
    if charge.committed is not None:
        raise ReservationEnded(
            f"reservation {charge.number} ended after {charge.committed} steps",
            committed=charge.committed,
        )


def _now(now: datetime | None) -> str:
    return utc_timestamp(now or datetime.now(UTC))
