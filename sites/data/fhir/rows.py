"""The rows of a table: whose each is, and from which day its days are counted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from sites.data.fhir.elements import require_id
from sites.data.fhir.events import Event, require_date
from sites.data.fhir.maps import Index
from sites.data.fhir.moments import Moment
from sites.data.fhir.refusals import FhirRefusals
from sites.data.fhir.repetitions import Repetitions
from sites.data.mapped.cells import Nearest
from sites.data.mapped.days import PartialDates
from sites.data.mapped.refusals import Refused

_INDEX = "index"


@dataclass(frozen=True)
class Rows:
    """The rows of a table.

    Args:
        patients: The number of the patient of each.
        days: The index day of each.
        places: Where the resource stands that makes the row; of a Patient if it is a fixed day.
    """

    patients: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, patient: int, day: int, place: int) -> None:
        """Add a row."""
        self.patients.append(patient)
        self.days.append(day)
        self.places.append(place)

    def by_patient(self) -> dict[int, list[int]]:
        """Return the rows of each patient who has any."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for row, patient in enumerate(self.patients):
            found[patient].append(row)
        return dict(found)


def fixed_rows(day: date, places: Sequence[int]) -> Rows:
    """Return a row for each patient, with the same index day.

    Args:
        day: The index day.
        places: Where each Patient stands.
    """
    return Rows([*range(len(places))], [day.toordinal()] * len(places), [*places])


def event_rows(
    index: Index,
    events: Iterable[Event],
    *,
    n_patients: int,
    rule: PartialDates,
    repetitions: Repetitions,
    refusals: FhirRefusals,
) -> Rows:
    """Return a row for the first, the latest or each event of a patient.

    Args:
        index: Says which.
        events: Those that the index chooses.
        n_patients: Number of patients.
        rule: Which day a part of a date stands for.
        repetitions: Note the resources where each makes a row.
        refusals: Take what cannot be used.
    """
    dated = _dated_events(index, events, rule, refusals)
    rows = Rows()
    if index.take == "each":
        for event, moment in dated:
            repetitions.note(event.resource, event.place)
            rows.add(event.row, moment.day, event.place)
        return rows
    nearest = Nearest(index.take, n_patients)
    for event, moment in dated:
        nearest.add(event.row, moment.instant_s, float(moment.day), event.place)
    for patient in range(n_patients):
        if (day := nearest.value(patient)) is not None:
            rows.add(patient, int(day), nearest.places[patient])
    return rows


def _dated_events(
    index: Index, events: Iterable[Event], rule: PartialDates, refusals: FhirRefusals
) -> Iterator[tuple[Event, Moment]]:
    """Yield the events between the days of the index, and when they were."""
    first, last = index.between or (date.min, date.max)
    for event in events:
        try:
            moment = require_date(event.resource, rule)
            if index.take == "each":
                require_id(event.resource)
        except Refused as why:
            refusals.add(_INDEX, why, place=event.place, resource=event.resource)
            continue
        if first.toordinal() <= moment.day <= last.toordinal():
            yield event, moment
