"""The patients of a site's FHIR files, and which of them a resource is about."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from sites.data.fhir.elements import (
    Coding,
    coding_of,
    codings,
    objects,
    one_object,
    require_id,
    text,
    truth,
)
from sites.data.fhir.maps import FhirMap
from sites.data.fhir.moments import Moment, moment_of
from sites.data.fhir.refusals import FhirRefusals, Json
from sites.data.mapped.refusals import Refused

_RELATIVE = re.compile(r"(?:(.+)/)?([A-Za-z]+)/([^/#?]+)(?:/_history/[^/]+)?")
_URN = re.compile(r"urn:(?:uuid|oid):(.+)")
_MOST_LINKS = 16
_NOBODY = -1

Deceased: TypeAlias = "bool | Moment | None"


@dataclass
class Patients:
    """Whom the files speak of, one row each, in the order of the files.

    Args:
        persons: Whose each row is.
        places: Where each Patient stands.
        born: The day of birth of each; None if it is absent.
        genders: As FHIR writes them.
        deceased: Whether, or when, each died.
        rows: The row of each Patient.id.
        identified: The row of each identifier of the map's system.
        replaced: The id that took the place of another one.
        medications: The codes of each Medication, by its id.
    """

    persons: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    born: list[int | None] = field(default_factory=list)
    genders: list[str | None] = field(default_factory=list)
    deceased: list[Deceased] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    identified: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    medications: dict[str, tuple[Coding, ...]] = field(default_factory=dict)


def read_patients(
    found: Iterable[tuple[int, Json]], declared: FhirMap, refusals: FhirRefusals
) -> Patients:
    """Return the patients and medications among resources.

    A Patient that another one replaced is no row: what refers to it is of the other one.

    Args:
        found: Place and content of resources of the types Patient and Medication.
        declared: The map.
        refusals: Take what cannot be used.
    """
    patients = Patients()
    for place, resource in found:
        try:
            if resource["resourceType"] == "Medication":
                codes = tuple(codings(one_object(resource, "code")))
                patients.medications[require_id(resource)] = codes
            else:
                _enter(patients, resource, declared, place)
        except Refused as why:
            refusals.add(declared.person, why, place=place, resource=resource)
    _follow_replacements(patients)
    return patients


def _enter(patients: Patients, resource: Json, declared: FhirMap, place: int) -> None:
    name = require_id(resource)
    if name in patients.rows or name in patients.replaced:
        raise Refused(
            "id",
            "one line a Patient",
            advice="leave one of them out: the files of two exports may lie together",
        )
    for link in objects(resource, "link"):
        if text(link, "type") == "replaced-by":
            told = text(one_object(link, "other") or {}, "reference") or ""
            matched = _RELATIVE.fullmatch(told)
            if matched and matched[2] == "Patient":
                patients.replaced[name] = matched[3]
                return
    person = _identifier(resource, declared.identifier) if declared.identifier else name
    birth = resource.get("birthDate")
    rule = declared.partial_dates
    born = None if birth is None else moment_of(birth, rule, path="birthDate").day
    gender, deceased = text(resource, "gender"), _deceased(resource, declared)
    if person in patients.identified:
        raise Refused(
            "identifier",
            "one Patient an identifier",
            advice="link them at their source (replaced-by), or choose the system of another one",
        )
    row = len(patients.persons)
    patients.rows[name] = row
    if declared.identifier:
        patients.identified[person] = row
    patients.persons.append(person)
    patients.places.append(place)
    patients.born.append(born)
    patients.genders.append(gender)
    patients.deceased.append(deceased)


def _identifier(resource: Json, system: str) -> str:
    found = {
        text(one, "value")
        for one in objects(resource, "identifier")
        if text(one, "system") == system and text(one, "use") != "old"
    }
    if len(found) != 1 or not (value := found.pop()):
        raise Refused(
            "identifier",
            f"one identifier of {system}",
            advice="correct it at its source, or choose the system of another one in the map",
        )
    return value


def _deceased(resource: Json, declared: FhirMap) -> Deceased:
    if (when := resource.get("deceasedDateTime")) is not None:
        return moment_of(when, declared.partial_dates, path="deceasedDateTime")
    return truth(resource, "deceasedBoolean")


def _follow_replacements(patients: Patients) -> None:
    for name in patients.replaced:
        other = name
        for _ in range(_MOST_LINKS):  # links may run in a circle
            other = patients.replaced.get(other, other)
        if other in patients.rows:
            patients.rows[name] = patients.rows[other]


class Subjects:
    """Says of which row a resource is.

    Args:
        patients: All of them.
        declared: The map.
    """

    def __init__(self, patients: Patients, declared: FhirMap) -> None:
        self._patients, self._map = patients, declared
        self._known: dict[str, int] = {}  # by reference, as most stand many times

    def row_of(self, resource: Json) -> int | None:
        """Return the row of the patient that a resource is about.

        None if it is about a group or a device, or about nobody of the files where the map leaves
        these out.

        Raises:
            Refused: It is about nobody of the files, or it cannot be told about whom.
        """
        subject = one_object(resource, "subject") or {}
        reference = text(subject, "reference")
        if reference is None:
            row = self._identified_row(subject)
        elif reference.startswith("#"):
            row = self._contained_row(reference[1:], resource)
        elif (known := self._known.get(reference)) is not None:
            return None if known == _NOBODY else known
        else:
            row = self._referred_row(reference)
            if row is not None:
                self._known[reference] = row
        if row is not None:
            return None if row == _NOBODY else row
        if self._map.unknown_patients == "leave-out":
            return None
        raise Refused(
            "subject",
            "a reference to a Patient in the files",
            advice="export the patient too, or say unknown_patients = 'leave-out' in the map",
            got=reference,
        )

    def _referred_row(self, reference: str) -> int | None:
        if urn := _URN.fullmatch(reference):
            return self._patients.rows.get(urn[1])
        told = _RELATIVE.fullmatch(reference)
        if told is None:
            return None
        server, kind, name = told.groups()
        if server is not None and server not in {one.rstrip("/") for one in self._map.servers}:
            raise Refused(
                "subject.reference",
                "a reference within the files, or to a server that the map names",
                advice=f"if it is theirs, say servers = ['{server}'] in the map",
                got=reference,
            )
        return self._patients.rows.get(name) if kind == "Patient" else _NOBODY

    def _identified_row(self, subject: Json) -> int | None:
        identifier = one_object(subject, "identifier") or {}
        if self._map.identifier is None or text(identifier, "system") != self._map.identifier:
            return None
        return self._patients.identified.get(text(identifier, "value") or "")

    def _contained_row(self, name: str, resource: Json) -> int | None:
        for one in objects(resource, "contained"):
            if one.get("id") == name and one.get("resourceType") == "Patient":
                found = [
                    self._identified_row({"identifier": i}) for i in objects(one, "identifier")
                ]
                return next((row for row in found if row is not None), None)
        return None


def medication_codings(request: Json, patients: Patients) -> tuple[Coding, ...]:
    """Return the codes of the medicine of a MedicationRequest, wherever they stand.

    Raises:
        Refused: It refers to a Medication that is not in the files.
    """
    concept = one_object(request, "medicationCodeableConcept")
    if concept is not None:
        return tuple(codings(concept))
    reference = text(one_object(request, "medicationReference") or {}, "reference")
    if reference is None:
        return ()
    if reference.startswith("#"):
        for one in objects(request, "contained"):
            if one.get("id") == reference[1:]:
                return tuple(codings(one_object(one, "code")))
    urn, told = _URN.fullmatch(reference), _RELATIVE.fullmatch(reference)
    name = urn[1] if urn else told[3] if told else ""
    if name not in patients.medications:
        raise Refused(
            "medicationReference",
            "a reference to a Medication in the files",
            advice="export the type Medication too",
            got=reference,
        )
    return patients.medications[name]


def encounter_codings(encounter: Json) -> tuple[Coding, ...]:
    """Return the codes of an Encounter: its class, and its types."""
    kind = coding_of(one_object(encounter, "class") or {})
    types = [coding for one in objects(encounter, "type") for coding in codings(one)]
    return tuple(types) if kind is None else (kind, *types)
