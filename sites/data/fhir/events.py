"""Which resources a map speaks of: those whose codes, status and patient fit."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from sites.data.fhir.documents import document_codings
from sites.data.fhir.elements import Coding, codings, objects, one_object
from sites.data.fhir.moments import Moment, moment_of
from sites.data.fhir.patients import Patients, Subjects, encounter_codings, medication_codings
from sites.data.fhir.refusals import FhirRefusals, Json
from sites.data.fhir.repetitions import Repetitions
from sites.data.fhir.statuses import counts
from sites.data.mapped.days import PartialDates
from sites.data.mapped.refusals import Refused

ANY_CODE = "*"  # at the end of a code: all that begin so
# Where the date of a resource stands, the first that is there.
_DATES: Mapping[str, tuple[str, ...]] = {
    "Observation": ("effectiveDateTime", "effectiveInstant", "effectivePeriod"),
    "Condition": ("onsetDateTime", "onsetPeriod", "recordedDate"),
    "Encounter": ("period",),
    "MedicationRequest": ("authoredOn",),
    "DocumentReference": ("date",),
}


class Selection(Protocol):
    """Which resources a column, or the index day, is made of."""

    @property
    def resource(self) -> str | None:
        """The type of resource."""

    @property
    def codes(self) -> tuple[str, ...]:
        """`system|code`; none means any."""

    @property
    def statuses(self) -> tuple[str, ...] | None:
        """The statuses that count."""


class Event(NamedTuple):
    """A resource, or a component of one, that a selection chooses.

    Args:
        name: Of the selection.
        row: Of the patient.
        holder: What holds the value: the resource, or the component.
        path: Where the holder is in the resource, with a point at its end; "" if it is the whole.
        place: Where the resource stands.
        resource: All of it.
    """

    name: str
    row: int
    holder: Json
    path: str
    place: int
    resource: Json


def chosen_events(
    found: Iterable[tuple[int, Json]],
    selections: Mapping[str, Selection],
    patients: Patients,
    subjects: Subjects,
    *,
    refusals: FhirRefusals,
    repetitions: Repetitions,
) -> Iterator[Event]:
    """Yield what selections choose among resources, in their order.

    Args:
        found: Place and content of resources.
        selections: By name.
        patients: Whom the files speak of.
        subjects: Says about whom a resource is.
        refusals: Take what cannot be used.
        repetitions: See what is chosen, whatever its status is.
    """
    chooser = _Chooser(selections, patients)
    for place, resource in found:
        name = resource["resourceType"]
        try:
            chosen = chooser.chosen(resource)
            if chosen:
                repetitions.see(resource, place)
            for name, holder, path in chosen:
                if not counts(resource, selections[name].statuses):
                    continue
                _refuse_modifiers(resource)
                row = subjects.row_of(resource)
                if row is not None:
                    yield Event(name, row, holder, path, place, resource)
        except Refused as why:
            refusals.add(name, why, place=place, resource=resource)


def _refuse_modifiers(resource: Json) -> None:
    """Refuse a resource with an extension that may turn its meaning round, as FHIR asks for."""
    if resource.get("modifierExtension") or resource.get("implicitRules"):
        name = "modifierExtension" if resource.get("modifierExtension") else "implicitRules"
        raise Refused(
            name,
            "a resource that means what it says",
            advice="leave it out, or write it without what changes its meaning",
        )


class _Chooser:
    """Finds the selections of a resource by its codes."""

    def __init__(self, selections: Mapping[str, Selection], patients: Patients) -> None:
        self._patients = patients
        self._any: defaultdict[str, list[str]] = defaultdict(list)
        self._tokens: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for name, selection in selections.items():
            kind = selection.resource or ""
            if not selection.codes:
                self._any[kind].append(name)
            for token in selection.codes:
                system, _, code = token.partition("|")
                self._tokens[kind].append((system, code, name))
        self._known: dict[tuple[str, Coding], Sequence[str]] = {}

    def chosen(self, resource: Json) -> list[tuple[str, Json, str]]:
        """Return each selection of a resource, with what holds its value, and where that is."""
        kind = resource["resourceType"]
        found = [(name, resource, "") for name in self._any[kind]]
        found += [(name, resource, "") for name in self._names(kind, self._codings(resource))]
        if kind == "Observation":
            for place, one in enumerate(objects(resource, "component")):
                names = self._names(kind, codings(one_object(one, "code")))
                found += [(name, one, f"component[{place}].") for name in names]
        return found

    def _codings(self, resource: Json) -> Iterable[Coding]:
        match resource["resourceType"]:
            case "Encounter":
                return encounter_codings(resource)
            case "DocumentReference":
                return document_codings(resource)
            case "MedicationRequest":
                return medication_codings(resource, self._patients) if self._asks(resource) else ()
            case _:
                return codings(one_object(resource, "code"))

    def _asks(self, resource: Json) -> bool:
        return bool(self._tokens[resource["resourceType"]])

    def _names(self, kind: str, said: Iterable[Coding]) -> Iterable[str]:
        names: dict[str, None] = {}  # each once, however many codings say the same
        for coding in said:
            known = self._known.get((kind, coding))
            if known is None:
                known = self._known[kind, coding] = self._names_of(kind, coding)
            for name in known:
                names[name] = None
        return names

    def _names_of(self, kind: str, coding: Coding) -> Sequence[str]:
        system, code = coding
        return [
            name
            for their_system, wanted, name in self._tokens[kind]
            if their_system == system
            and (
                code.startswith(wanted[: -len(ANY_CODE)])
                if wanted.endswith(ANY_CODE)
                else code == wanted
            )
        ]


def date_of(resource: Json, rule: PartialDates) -> Moment | None:
    """Return when a resource was; None if it does not say.

    Args:
        resource: Of one of the types of which a map makes columns.
        rule: Which day a part of a date stands for.

    Raises:
        Refused: It is no date of FHIR.
    """
    for name in _DATES[resource["resourceType"]]:
        if name.lower().endswith("period"):
            start = (one_object(resource, name) or {}).get("start")
            if start is not None:
                return moment_of(start, rule, path=f"{name}.start")
        elif resource.get(name) is not None:
            return moment_of(resource[name], rule, path=name)
    return None


def require_date(resource: Json, rule: PartialDates) -> Moment:
    """Return when a resource was.

    Raises:
        Refused: It does not say, or it is no date of FHIR.
    """
    found = date_of(resource, rule)
    if found is None:
        names = " or ".join(_DATES[resource["resourceType"]])
        raise Refused(
            names,
            "a date",
            advice="add it at its source, or say within_days = 'always' in the map",
        )
    return found
