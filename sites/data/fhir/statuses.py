"""Which resources count by their status: what was made in error, refuted or cancelled does not."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sites.data.fhir.elements import codings, one_object, text, truth
from sites.data.fhir.refusals import Json
from sites.data.mapped.refusals import Refused

# HL7 FHIR R4 (4.0.1): the codes of each required value set, and those that count unless a map says
# otherwise.
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_UNFINISHED = ("preliminary", "entered-in-error")  # docStatus of a document


@dataclass(frozen=True)
class Statuses:
    """The status of one type of resource.

    Args:
        path: The element.
        counted: The codes that count.
        others: The codes that do not.
    """

    path: str
    counted: frozenset[str]
    others: frozenset[str]


STATUSES: Mapping[str, Statuses] = {
    "Observation": Statuses(
        "status",
        frozenset({"final", "amended", "corrected"}),
        frozenset({"registered", "preliminary", "cancelled", "entered-in-error", "unknown"}),
    ),
    "Condition": Statuses(
        "verificationStatus",
        frozenset({"unconfirmed", "provisional", "differential", "confirmed"}),
        frozenset({"refuted", "entered-in-error"}),
    ),
    "Encounter": Statuses(
        "status",
        frozenset({"arrived", "triaged", "in-progress", "onleave", "finished"}),
        frozenset({"planned", "cancelled", "entered-in-error", "unknown"}),
    ),
    "DocumentReference": Statuses(
        "status", frozenset({"current"}), frozenset({"superseded", "entered-in-error"})
    ),
    "MedicationRequest": Statuses(
        "status",
        frozenset({"active", "on-hold", "completed", "stopped"}),
        frozenset({"cancelled", "entered-in-error", "draft", "unknown"}),
    ),
}
_INTENTS = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})


def counts(resource: Json, wanted: Collection[str] | None) -> bool:
    """Return whether a resource counts.

    A condition without a verification status does, unless statuses are wanted. An order of a
    medicine that says it must not be given, or that is a proposal or a plan, does not; nor does a
    document whose text is preliminary or an error.

    Args:
        resource: Of one of the types of `STATUSES`.
        wanted: The statuses that count; None for the usual ones.

    Raises:
        Refused: The status is missing, or none of FHIR R4.
    """
    kind = resource["resourceType"]
    known = STATUSES[kind]
    status = _verification(resource) if kind == "Condition" else text(resource, known.path)
    if status is None and kind == "Condition":
        return wanted is None
    if status not in known.counted and status not in known.others:
        raise Refused(
            known.path,
            f"one of {', '.join(sorted(known.counted | known.others))}",
            advice="correct it at its source, or export it as FHIR R4",
            got=status,
        )
    if kind == "MedicationRequest" and not _is_order(resource):
        return False
    if text(resource, "docStatus") in _UNFINISHED:
        return False
    return status in (known.counted if wanted is None else wanted)


def _verification(condition: Json) -> str | None:
    said = [*codings(one_object(condition, "verificationStatus"))]
    own = [code for system, code in said if system == _VERIFICATION]
    if said and not own:
        raise Refused(
            "verificationStatus",
            f"a code of {_VERIFICATION}",
            advice="export it as FHIR R4",
            got=said[0],
        )
    return own[0] if own else None


def _is_order(request: Json) -> bool:
    return text(request, "intent") in _INTENTS and not truth(request, "doNotPerform")
