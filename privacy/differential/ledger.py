"""A site's privacy ledger: each event is reserved before anything is computed from records.

The ledger stores events (`privacy.differential.mechanisms`), never their cost: epsilon is
computed from all entries each time. Entries are only ever added. A reservation counts in full from
the moment it is made; if the process dies, it stays spent. Ending a reservation gives back the
steps that were never begun. Each step is entered before it begins, so a crash can over-count, never
under-count.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache

from privacy.differential.budget import (
    Spent,
    budget_refusal,
    charged_events,
    fits_budget,
    spent_of_budget,
    weighed_events,
)
from privacy.differential.ledger_entries import (
    NO_DIGEST,
    Budget,
    Charge,
    Committed,
    Content,
    DataSet,
    LedgerBroken,
    LedgerHead,
    Released,
    Reserved,
    Used,
    charges_by_reservation,
    entry_digest,
    event_size,
    from_text,
    to_text,
    utc_timestamp,
)
from privacy.differential.ledger_rules import (
    find_reservation,
    mark_of_part,
    marks_of_kind,
    require_first_name,
    require_open,
    require_same_release,
)
from privacy.differential.mechanisms import Mechanism
from privacy.errors import ConsortiumError, number_of
from privacy.policy.violations import TooManyEvaluations
from privacy.storage.sqlite import DatabaseForm, SiteStore

FILE = "ledger.sqlite"

_FORM = DatabaseForm(
    file=FILE,
    tables=(
        "CREATE TABLE IF NOT EXISTS entries"
        " (number INTEGER PRIMARY KEY, written TEXT NOT NULL, digest BLOB NOT NULL) STRICT",
    ),
)


class NotReserved(ConsortiumError, ValueError, code="not-reserved"):
    """There are more steps than were reserved, or fewer than were begun."""


class LedgerRolledBack(ConsortiumError, ValueError, code="ledger-rolled-back"):
    """A ledger lacks entries that it once had, or holds others in their place."""


@dataclass(frozen=True)
class Reservation:
    """An event that may happen now, because it was counted.

    Args:
        ledger: The ledger that holds it.
        number: Number of its entry.
        fresh: Whether this call made it; False if it was found, made by an earlier call.
    """

    ledger: "Ledger"
    number: int
    fresh: bool

    @property
    def charge(self) -> Charge:
        """What the reservation costs now, read from the ledger."""
        return self.ledger.charge(self.number)

    def use(self, key: str, steps: int, *, now: datetime | None = None) -> bool:
        """Record that steps are about to begin; return whether they were not recorded before.

        Guarantee: when it returns, the steps are on the disk as begun, and no more steps were
        ever begun than reserved. False means that `key` was recorded before. Then the site must
        give the answer it gave, or, if no answer left the site, it may do the steps again. A
        second answer with new noise would be a privacy loss that nobody counted.

        Args:
            key: What the steps are for, such as a round and an attempt.
            steps: Number of steps, at least 1.
            now: The time.

        Raises:
            NotReserved: More steps than were reserved, or the same key with another number.
            ReservationEnded: The reservation has ended.
        """
        return self.ledger.enter_use(self.number, key, steps, now=now)

    def commit(self, steps: int | None = None, *, now: datetime | None = None) -> None:
        """End the reservation and give back the steps that were not begun.

        This is sound if the decision to end depends only on what was already released, such as
        a coordinator's message. Ending it again with the same number of steps does nothing.

        Args:
            steps: Steps or vectors done, at least those recorded by `use`; None for all.
            now: The time.

        Raises:
            NotReserved: More steps than were reserved, or fewer than were begun.
            ReservationEnded: It ended before, with another number of steps.
        """
        self.ledger.enter_commit(self.number, steps, now=now)


class Ledger(SiteStore):
    """The ledger of one site, in a directory of its own.

    Guarantee: of two processes that reserve at the same time, one waits and then counts what the
    other reserved. A reservation is on the disk when `reserve` returns.
    """

    form = _FORM

    @cached_property
    def _parse(self) -> Callable[[str], Content]:
        # Entries never change, and a ledger is read from its first each time.
        return lru_cache(maxsize=4_096)(from_text)

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
        """Count an event before it happens, if it fits into the budget.

        Guarantee: together with everything counted before on this data set, the event costs at
        most the budget, however it was chosen (`privacy.differential.budget`). The same part
        of the same run is counted once, however often it is asked.

        Args:
            event: The whole event: the steps of all planned rounds.
            data_set: The records it is computed from.
            run: The run's name or identifier.
            part: Part of the run, such as `training`.
            budget: The most that may be lost in total.
            now: The time.

        Raises:
            BudgetExhausted: It does not fit; nothing was counted.
            DifferentReservation: This part was reserved before, with another event.
            DataSetRenamed: These records were counted before, under another name.
            LedgerBroken: The ledger was altered.
        """
        asked = Reserved(
            event=event, data_set=data_set, run=run, part=part, budget=budget, at=_now(now)
        )
        with self._database.writing():  # from the check to the entry, no other process reserves
            charges = self.charges()
            known = find_reservation(charges, asked)
            if known is not None:
                return Reservation(self, known.number, fresh=False)
            require_first_name(charges, data_set)
            past = weighed_events(charges, budget, data_set.name)
            if fits_budget(event, past, budget):
                return Reservation(self, self._append(asked), fresh=True)
        raise budget_refusal(event, past, budget)

    def enter_release(self, wanted: Released, *, at_most: int | None = None) -> bool:
        """Enter what is about to leave without noise; return whether it was not entered before.

        Guarantee: when it returns, the entry is on the disk. A part of a run is released once: what
        is asked again must be the same, and is not entered again.

        Args:
            wanted: The entry.
            at_most: The most releases of the same event in this run; None for any number.

        Raises:
            EvaluatedBefore: This part was released before, from another state or other records.
            TooManyEvaluations: There were `at_most` already.
        """
        with self._database.writing():
            alike = marks_of_kind(wanted)
            for text in self._texts_marked(*alike, mark_of_part(wanted)):
                require_same_release(self._parse(text), wanted)
                return False
            if at_most is not None and len(self._texts_marked(*alike)) >= at_most:
                raise TooManyEvaluations(
                    f"the policy allows {at_most} evaluations a run, and this would be another",
                    allowed=at_most,
                )
            self._append(wanted)
            return True

    def charges(self) -> tuple[Charge, ...]:
        """Return what each reservation costs now, in the order of their entries.

        Raises:
            LedgerBroken: The ledger was altered.
        """
        return tuple(charges_by_reservation(self.entries()).values())

    def charge(self, number: int) -> Charge:
        """Return what the reservation with this entry number costs now."""
        return next(charge for charge in self.charges() if charge.number == number)

    def events(self, data_set: str | None = None) -> tuple[Mechanism, ...]:
        """Return the events that count for a data set; for all data sets if None is given."""
        return charged_events(self.charges(), data_set)

    def weighed_events(self, data_set: str, budget: Budget) -> tuple[Mechanism, ...]:
        """Return the events that a further one on a data set is weighed with."""
        return weighed_events(self.charges(), budget, data_set)

    def spent(self, data_set: str | None, budget: Budget) -> Spent:
        """Return upper bounds of what the units of a data set have lost; of all sets if None.

        Args:
            data_set: The data set.
            budget: The delta and the unit that the bounds are for, and what they are checked
                against.
        """
        return spent_of_budget(self.charges(), budget, data_set)

    def entries(self) -> tuple[Content, ...]:
        """Return all entries.

        Raises:
            LedgerBroken: The chain is not whole, or an entry cannot be parsed.
        """
        return tuple(self._parse(text) for text in self._texts())

    def releases(self) -> tuple[Released, ...]:
        """Return what left without noise, in the order of their entries.

        Raises:
            LedgerBroken: The ledger was altered.
        """
        return tuple(one for one in self.entries() if isinstance(one, Released))

    def verify(self) -> LedgerHead:
        """Check that the chain is whole and every entry is valid; return the head.

        Raises:
            LedgerBroken: It is not.
        """
        with self._database.writing():
            self.charges()
            return self.head()

    def head(self) -> LedgerHead:
        """Return the head of the ledger."""
        row = self._database.row("SELECT number, digest FROM entries ORDER BY number DESC LIMIT 1")
        return LedgerHead(entries=row[0], digest=row[1]) if row else LedgerHead()

    def check_head(self, recorded: LedgerHead) -> None:
        """Check that the ledger still holds a head that a log, here or at a peer, recorded.

        Raises:
            LedgerRolledBack: Entries are missing, or others are in their place.
            LedgerBroken: The chain is not whole.
        """
        self.verify()
        row = self._database.row("SELECT digest FROM entries WHERE number = ?", recorded.entries)
        digest = NO_DIGEST if recorded.entries == 0 else row and row[0]
        if digest != recorded.digest:
            raise LedgerRolledBack(
                f"a log recorded {number_of(recorded.entries, 'entry')}, which this ledger does "
                "not have: it was rolled back or replaced, and shows less than was spent",
                recorded=recorded.entries,
                found=self.head().entries,
            )

    def enter_use(self, number: int, key: str, steps: int, *, now: datetime | None) -> bool:
        """Record steps of a reservation; see `Reservation.use`."""
        with self._database.writing():
            charge = self.charge(number)
            if key in charge.used and charge.used[key] == steps:
                return False
            left = event_size(charge.reserved.event) - sum(charge.used.values())
            if key in charge.used or not 1 <= steps <= left:
                raise NotReserved(
                    f"{key} asked for {number_of(steps, 'step')}, {left} of those reserved are "
                    "left",
                    asked=steps,
                    left=left,
                )
            require_open(charge)
            self._append(Used(reservation=number, key=key, steps=steps, at=_now(now)))
            return True

    def enter_commit(self, number: int, steps: int | None, *, now: datetime | None) -> None:
        """End a reservation; see `Reservation.commit`."""
        with self._database.writing():
            charge = self.charge(number)
            reserved, begun = event_size(charge.reserved.event), sum(charge.used.values())
            done = reserved if steps is None else steps
            if charge.committed == done:
                return
            if not begun <= done <= reserved:
                raise NotReserved(
                    f"the end cannot be after {number_of(done, 'step')}: {reserved} were reserved "
                    f"and {begun} begun",
                    reserved=reserved,
                    begun=begun,
                )
            require_open(charge)
            self._append(Committed(reservation=number, steps=done, at=_now(now)))

    def _texts(self) -> list[str]:
        rows = self._database.rows("SELECT number, written, digest FROM entries ORDER BY number")
        previous = NO_DIGEST
        for expected, (number, text, digest) in enumerate(rows, start=1):
            if number != expected or entry_digest(previous, text) != digest:
                raise LedgerBroken(f"the chain is broken at entry {expected}", entry=expected)
            previous = digest
        return [text for _, text, _ in rows]

    def _texts_marked(self, *marks: str) -> list[str]:
        # The whole chain is verified where a budget is at stake. Here rows are only searched, so
        # that a site answers as fast in the last round of its hundredth run as in its first.
        having = " AND ".join(["instr(written, ?) > 0"] * len(marks))
        return self._database.column(f"SELECT written FROM entries WHERE {having}", *marks)  # noqa: S608

    def _append(self, content: Content) -> int:
        head, text = self.head(), to_text(content)
        self._database.execute(
            "INSERT INTO entries VALUES (?, ?, ?)",
            head.entries + 1,
            text,
            entry_digest(head.digest, text),
        )
        return head.entries + 1


def _now(now: datetime | None) -> str:
    return utc_timestamp(now or datetime.now(UTC))
