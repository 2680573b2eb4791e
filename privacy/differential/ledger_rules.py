"""What a ledger refuses to enter beside what it holds."""

import json
from collections.abc import Sequence
from dataclasses import replace

from privacy.differential.ledger_entries import (
    Charge,
    Content,
    DataSet,
    DataSetRenamed,
    DifferentReservation,
    Released,
    Reserved,
)
from privacy.differential.mechanisms import SampledGaussian, to_json
from privacy.errors import ConsortiumError, number_of
from privacy.policy.violations import EvaluatedBefore


class ReservationEnded(ConsortiumError, ValueError, code="reservation-ended"):
    """A reservation has already ended."""


def find_reservation(charges: Sequence[Charge], asked: Reserved) -> Charge | None:
    """Return the reservation of the same part of the same run, or None.

    Raises:
        DifferentReservation: It was made with another event.
    """
    name, where = asked.data_set.name, (asked.run, asked.part)
    for charge in charges:
        known = charge.reserved
        if (known.data_set.name, known.run, known.part) == (name, *where):
            if not _is_same_event(known, asked):
                raise DifferentReservation(
                    f"{asked.part} of run {asked.run} was reserved with another event: a part of a "
                    "run is counted once, as it was agreed; start a new run"
                )
            return charge
    return None


def _is_same_event(known: Reserved, asked: Reserved) -> bool:
    event = known.event
    if event == asked.event or not isinstance(event, SampledGaussian):
        return event == asked.event
    # Version 0.1.0 reserved with a cap on the records of a person where records are the units, too.
    # What a single record loses does not depend on it; what a person loses does.
    by_record = {event.unit, known.budget.unit, asked.budget.unit} == {"record"}
    return by_record and replace(event, max_records_per_person=0) == asked.event


def marks_of_kind(one: Released) -> tuple[str, ...]:
    """Return what the texts of all releases of the same figures in a run hold, and no others."""
    # Exact: each name stands in one place of a canonical text, and quotes in values are escaped.
    named = {"kind": one.kind, "event": to_json(one.event), "run": one.run}
    return *(_mark(*each) for each in named.items()), _mark("name", one.data_set.name)


def mark_of_part(one: Released) -> str:
    """Return what the texts of all releases of the same part hold."""
    return _mark("part", one.part)


def require_same_release(known: Content, wanted: Released) -> None:
    """Check that a part is released again as it was.

    Raises:
        EvaluatedBefore: It is computed from another state or other records.
    """
    stated = wanted.asked, wanted.data_set.fingerprint
    if not isinstance(known, Released) or (known.asked, known.data_set.fingerprint) != stated:
        raise EvaluatedBefore(
            f"{wanted.part} of this run was computed before, from another state or other records: "
            "once a round is all; start a new run"
        )


def require_first_name(charges: Sequence[Charge], data_set: DataSet) -> None:
    """Check that records are not counted under a second name.

    Raises:
        DataSetRenamed: They are.
    """
    for charge in charges:
        known = charge.reserved.data_set
        if known.fingerprint == data_set.fingerprint and known.name != data_set.name:
            raise DataSetRenamed(
                f"these records were counted under the name {known.name}, got {data_set.name}: use "
                "the first name, or their past loss would not count"
            )


def require_open(charge: Charge) -> None:
    """Check that a reservation has not ended.

    Raises:
        ReservationEnded: It has.
    """
    if charge.committed is not None:
        raise ReservationEnded(
            f"reservation {charge.number} has ended, with {number_of(charge.committed, 'step')}",
            committed=charge.committed,
        )


def _mark(name: str, value: str) -> str:
    """Return how a name and its value stand in the canonical text of an entry."""
    return f"{json.dumps(name)}:{json.dumps(value)}"
