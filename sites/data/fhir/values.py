"""What an observation says: a number in the column's unit, a declared value, or nothing."""

import math
from typing import TypeAlias

from sites.data.fhir.elements import codings, polymorphic
from sites.data.fhir.maps import ObservationColumn
from sites.data.fhir.refusals import Json
from sites.data.mapped.refusals import Refused

UCUM = "http://unitsofmeasure.org"
_COMPARATORS = ("<", "<=", ">=", ">")
Value: TypeAlias = float | str | None


def is_absent(holder: Json) -> bool:
    """Return whether an observation, or a component, says that its value is absent."""
    return holder.get("dataAbsentReason") is not None


def value_of(column: ObservationColumn, holder: Json, path: str) -> Value:
    """Return the value of an observation or of a component; None if it has none.

    Args:
        column: Says what is taken; not the `day`.
        holder: The observation, or the component.
        path: Where the holder is in the resource.

    Raises:
        Refused: The value is of another type than the column's, in a unit that the map does not
            convert, below or above a limit, or not one that the map declares.
    """
    found = polymorphic(holder, "value")
    if found is None:
        return None
    name, content = found
    try:
        match column.value, name, content:
            case "quantity", "valueQuantity", dict():
                return _quantity(column, content)
            case "integer", "valueInteger", int() if not isinstance(content, bool):
                return _finite(content)
            case "boolean", "valueBoolean", bool():
                said = str(content).lower()
                return column.means.get(said, said)
            case "coded", "valueCodeableConcept", dict():
                return _meaning(column, content)
    except Refused as why:
        where = f"{path}{name}{why.element}"
        raise Refused(where, why.expected, advice=why.advice, got=why.got) from None
    raise Refused(
        f"{path}{name}",
        f"a value that is {_ARTICLES[column.value or '']}",
        advice="name other codes in the map, or take another value of it",
    )


_ARTICLES = {
    "quantity": "a quantity (valueQuantity)",
    "integer": "an integer (valueInteger)",
    "boolean": "true or false (valueBoolean)",
    "coded": "coded (valueCodeableConcept)",
}


def _quantity(column: ObservationColumn, quantity: Json) -> float | None:
    number = quantity.get("value")
    if number is None:  # an extension may say why
        return None
    comparator = quantity.get("comparator")
    if comparator is not None and column.limits != "bound":
        if column.limits == "leave-out" and comparator in _COMPARATORS:
            return None
        raise Refused(
            ".comparator",
            "a value, not a limit",
            advice="say in the map what limits are: limits = 'bound' or 'leave-out'",
            got=comparator,
        )
    if comparator is not None and comparator not in _COMPARATORS:
        raise Refused(
            ".comparator", "one of <, <=, >=, >", advice="correct it at its source", got=comparator
        )
    unit = unit_of(quantity)
    how = column.conversion(unit)
    if how is None:
        raise Refused(
            "",
            f"a quantity in {column.unit}",
            advice=f"say in the map how it is converted: units = {{ '{unit}' = FACTOR }}",
            got=unit,
        )
    return _finite(number) * how.factor + how.plus


def _finite(number: object) -> float:
    if isinstance(number, int | float) and not isinstance(number, bool):
        try:
            found = float(number)
        except OverflowError:
            found = math.inf
        if math.isfinite(found):
            return found
    raise Refused(".value", "a finite number", advice="correct it at its source", got=number)


def unit_of(quantity: Json) -> str:
    """Return the unit of a Quantity: its code in UCUM, else the text that people read, else ""."""
    code = quantity.get("code")
    if code is not None and quantity.get("system") == UCUM:
        return str(code)
    return str(quantity.get("unit") or code or "")


def _meaning(column: ObservationColumn, concept: Json) -> str:
    said = [f"{system}|{code}" for system, code in codings(concept)]
    meant = {column.means[token] for token in said if token in column.means}
    if len(meant) == 1:
        return meant.pop()
    raise Refused(
        "",
        "one value that the map declares" if not meant else "codings that mean one value",
        advice="say in the map what each code means: means = { 'system|code' = 'value' }",
        got=", ".join(said) or None,
    )
