"""The statement of a site's privacy ledger, for its operator and its data protection officer."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from consortium.site.directory import SiteDirectory
from privacy.differential.accounting import epsilon
from privacy.differential.budget import (
    Spent,
    left_after,
    most_steps_that_fit,
    spent_of_budget,
    weighed_epsilon,
)
from privacy.differential.ledger import FILE, Ledger
from privacy.differential.ledger_entries import (
    Budget,
    Charge,
    Content,
    LedgerHead,
    Released,
    charges_by_reservation,
    event_size,
)
from privacy.differential.mechanisms import (
    Gaussian,
    HeldOut,
    Mechanism,
    Release,
    SampledGaussian,
)
from privacy.errors import ConsortiumError
from privacy.policy.document import PrivacyTerms, read_policy


class NoLedger(ConsortiumError, FileNotFoundError, code="no-ledger"):
    """A site has no ledger yet."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One reservation in the ledger.

    Args:
        data_set: The data set.
        number: The number of its entry.
        at: Time of the reservation, in UTC.
        run: The run it is for.
        part: The part of the run.
        mechanism: The mechanism, in words.
        unit: The unit of privacy that contributions were bounded by.
        reserved: Steps or vectors reserved.
        begun: How many of them were entered as started.
        counted: How many of them count now.
        state: `open` or `ended`.
        epsilon: The epsilon of this reservation by itself.
        epsilon_so_far: The epsilon of this and all earlier reservations on the data set, as the
            budget is checked against it.
        planned_so_far: The same, as if all had been planned before the first.
    """

    data_set: str
    number: int
    at: str
    run: str
    part: str
    mechanism: str
    unit: str
    reserved: int
    begun: int
    counted: int
    state: str
    epsilon: float
    epsilon_so_far: float
    planned_so_far: float


@dataclass(frozen=True, kw_only=True)
class ReleasedLine:
    """What left in one run without noise: its epsilon is infinite, and in no budget's sum.

    Args:
        data_set: The data set.
        number: The number of its first entry.
        at: Time of the first entry, in UTC.
        run: The run.
        what: What left.
        whose: Whose records it was computed from.
        times: Number of entries.
    """

    data_set: str
    number: int
    at: str
    run: str
    what: str
    whose: str
    times: int


@dataclass(frozen=True, kw_only=True)
class Account:
    """The privacy spent on a data set.

    Args:
        data_set: Its name.
        budget: The budget; every figure here is at its delta and for its unit of privacy.
        ceiling: Whether the policy sets that budget; if not, it is the budget last checked against.
        lines: The reservations, in order.
        spent: The epsilon of all reservations, by each bound.
    """

    data_set: str
    budget: Budget
    ceiling: bool
    lines: tuple[Line, ...]
    spent: Spent

    @property
    def left(self) -> float:
        """The epsilon that a further run may add, at least 0."""
        return max(0.0, self.budget.epsilon - self.spent.further)

    @property
    def warning(self) -> str:
        """What to know where entries fitted by the bound of version 0.1.0 and do not by this one.

        Empty where that is not so.
        """
        allowed = self.budget.epsilon
        if not self.spent.planned <= allowed < self.spent.weighed:
            return ""
        return (
            f"over the budget by the bound that covers runs chosen one after another "
            f"({self.spent.weighed:.3f} of {allowed:g}), within it only if all were planned "
            f"beforehand ({self.spent.planned:.3f}), as version 0.1.0 counted: no further private "
            "run fits"
        )


@dataclass(frozen=True, kw_only=True)
class View:
    """The state of a ledger at one moment.

    Args:
        head: The ledger's head.
        accounts: The account of each data set, in order of their first entry.
        released: What left without noise, beside all budgets, in order of their first entry.
    """

    head: LedgerHead
    accounts: tuple[Account, ...]
    released: tuple[ReleasedLine, ...] = ()

    @property
    def data_sets(self) -> tuple[str, ...]:
        """The names of all data sets that anything was computed from."""
        released = (one.data_set for one in self.released)
        return tuple(dict.fromkeys((*released, *(one.data_set for one in self.accounts))))

    def of_data_set(self, name: str) -> "View":
        """Return what concerns one data set."""
        return View(
            head=self.head,
            accounts=tuple(one for one in self.accounts if one.data_set == name),
            released=tuple(one for one in self.released if one.data_set == name),
        )


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """What a planned run would cost.

    Args:
        asked: Its epsilon by itself.
        adds: By how much the epsilon that is spent grows. It is not `asked`: several runs are
            weighed together, by a bound of their own.
        together: The epsilon of the planned run and everything before it.
        left: What further runs could add afterwards; 0 if it does not fit.
        fits: Whether that is within the budget.
        steps_that_fit: The largest number of steps that fits.
    """

    asked: float
    adds: float
    together: float
    left: float
    fits: bool
    steps_that_fit: int


def open_ledger(site: Path) -> Ledger:
    """Open the existing ledger of a site.

    Raises:
        NoLedger: The site has no ledger.
    """
    if not (SiteDirectory(site).ledger / FILE).exists():
        raise NoLedger(f"{site} has no ledger yet: nothing that it counts has left the site")
    return Ledger(SiteDirectory(site).ledger)


def read_ledger_view(site: Path) -> View:
    """Verify a site's ledger and return its present state.

    Raises:
        NoLedger: The site has no ledger.
        LedgerBroken: The ledger was altered.
        PolicyUnreadable: The site's policy cannot be read.
    """
    terms = _privacy_terms(site)
    with open_ledger(site) as ledger:
        head, entries = ledger.verify(), ledger.entries()
    charges = tuple(charges_by_reservation(entries).values())
    names = dict.fromkeys(one.reserved.data_set.name for one in charges)
    return View(
        head=head,
        accounts=tuple(_account_of(name, charges, terms) for name in names),
        released=_released_lines(entries),
    )


def planned_cost(account: Account, event: SampledGaussian, past: Sequence[Mechanism]) -> WhatIf:
    """Return the cost of a planned run on a data set, by itself and together with its past."""
    budget = account.budget
    together = weighed_epsilon((*past, event), budget)
    return WhatIf(
        asked=weighed_epsilon((event,), budget),
        adds=together - account.spent.weighed,
        together=together,
        left=left_after((*past, event), budget),
        fits=together <= budget.epsilon,
        steps_that_fit=most_steps_that_fit(event, past, budget),
    )


def to_csv(view: View) -> str:
    """Return the entries of all data sets as CSV: first what left without noise."""
    file = io.StringIO()
    columns = [field.name for field in fields(Line)]
    writer = csv.DictWriter(file, columns, lineterminator="\n", restval="")
    writer.writeheader()
    for one in view.released:
        writer.writerow(
            {
                **{name: getattr(one, name) for name in ("data_set", "number", "at", "run")},
                "part": one.what,
                "mechanism": f"without noise, of {one.whose}",
                "counted": one.times,
                "state": "released",
                "epsilon": math.inf,
            }
        )
    for account in view.accounts:
        writer.writerows(map(asdict, account.lines))
    return file.getvalue()


def describe_mechanism(event: Mechanism) -> str:
    """Describe a privacy mechanism in words."""
    match event:
        case SampledGaussian():
            return (
                f"DP-SGD, noise {event.noise_multiplier:.3g} x clip {event.clip_norm:g}, "
                f"rate {event.sampling_rate:.3g}"
            )
        case Gaussian():
            return f"Gaussian, noise {event.noise_multiplier:.3g} x {event.sensitivity:g}"
        case HeldOut():
            return f"{event.what}, of held-out persons, without noise"


def _released_lines(entries: Sequence[Content]) -> tuple[ReleasedLine, ...]:
    """Return a line for each kind of release of each run: a run evaluates every round."""
    found: dict[tuple[str, str, Release], ReleasedLine] = {}
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, Released):
            continue
        key = (entry.data_set.name, entry.run, entry.event)
        first = found.get(key) or ReleasedLine(
            data_set=entry.data_set.name,
            number=number,
            at=entry.at,
            run=entry.run,
            what=entry.event.what,
            whose="held-out persons" if isinstance(entry.event, HeldOut) else "persons trained on",
            times=0,
        )
        found[key] = replace(first, times=first.times + 1)
    return tuple(found.values())


def _privacy_terms(site: Path) -> PrivacyTerms:
    return read_policy(site).privacy


def _account_of(name: str, charges: Sequence[Charge], terms: PrivacyTerms) -> Account:
    mine = [one for one in charges if one.reserved.data_set.name == name]
    ceiling = terms.ceiling(name)
    last = mine[-1].reserved.budget
    budget = (
        last
        if ceiling is None
        else Budget(epsilon=ceiling.epsilon, delta=ceiling.delta, unit=terms.unit)
    )
    return Account(
        data_set=name,
        budget=budget,
        ceiling=ceiling is not None,
        lines=tuple(_ledger_line(mine[: place + 1], budget) for place in range(len(mine))),
        spent=spent_of_budget(mine, budget),
    )


def _ledger_line(until: Sequence[Charge], budget: Budget) -> Line:
    """Return the line for the last of these reservations."""
    charge, event = until[-1], until[-1].event
    reserved, spent = charge.reserved, spent_of_budget(until, budget)
    return Line(
        data_set=reserved.data_set.name,
        number=charge.number,
        at=reserved.at,
        run=reserved.run,
        part=reserved.part,
        mechanism=describe_mechanism(reserved.event),
        unit="" if isinstance(reserved.event, HeldOut) else reserved.event.unit,
        reserved=event_size(reserved.event),
        begun=sum(charge.used.values()),
        counted=0 if event is None else event_size(event),
        state="open" if charge.committed is None else "ended",
        epsilon=0.0 if event is None else epsilon((event,), budget.delta, unit=budget.unit),
        epsilon_so_far=spent.weighed,
        planned_so_far=spent.planned,
    )
