"""What a cell of the OMOP CDM says, whichever database holds it."""

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sites.data.mapped.days import PartialDates, day_of_part
from sites.data.mapped.refusals import Refused
from sites.data.omop.maps import MeasurementColumn

NO_DAY = 0
_DAY = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d.*)?", re.ASCII)
_DAY_LENGTH = 10  # of YYYY-MM-DD
_INT64 = np.iinfo(np.int64)
_NO_CONCEPT = 0  # "No matching concept"
_EQUALS = 4172703
_LIMITS = {4171756: "<", 4171754: "<=", 4172704: ">", 4171755: ">="}
_AT_SOURCE = "correct it at its source"


def whole_number(cell: object) -> int | None:
    """Return the whole number that a cell holds; None if it is none, or a floating number."""
    if isinstance(cell, Decimal) and cell.is_finite() and cell == cell.to_integral_value():
        cell = int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell if _INT64.min <= cell <= _INT64.max else None
    return None


def whole_numbers(cells: Sequence[object]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the whole numbers that cells hold, exactly, and which cells hold none."""
    found = [whole_number(cell) for cell in cells]
    none = np.array([one is None for one in found], np.bool_)
    return np.array([one or 0 for one in found], np.int64), none


def days_of(cells: Sequence[object]) -> NDArray[np.int64]:
    """Return the days of dates, as `datetime.date.toordinal` counts; `NO_DAY` for what is none.

    A date is one of the database, of which the time is left out, or the text YYYY-MM-DD, with or
    without a time.
    """
    return np.fromiter(map(_day_of, cells), np.int64, len(cells))


@lru_cache(maxsize=65_536)
def _day_of(cell: object) -> int:
    if isinstance(cell, date):  # a datetime is one, too
        return cell.toordinal()
    if isinstance(cell, str) and _DAY.fullmatch(cell):
        try:
            return datetime.fromisoformat(cell[:_DAY_LENGTH]).toordinal()
        except ValueError:
            return NO_DAY
    return NO_DAY


@lru_cache(maxsize=65_536)
def day_of_birth(year: object, month: object, day: object, rule: PartialDates) -> int | None:
    """Return the day of birth, as `datetime.date.toordinal` counts; None if there is no year.

    Args:
        year: The year of birth.
        month: The month, which may be missing.
        day: The day, which may be missing; it counts with a month only.
        rule: Which day a part of a date stands for.

    Raises:
        Refused: There is no such day, or it is a part of one where the rule refuses these.
    """
    if year is None:
        return None
    parts = [year] if month is None else [year, month] if day is None else [year, month, day]
    numbers = [whole_number(one) for one in parts]
    names = ("year_of_birth", "month_of_birth", "day_of_birth")
    for name, part, number in zip(names, parts, numbers, strict=False):
        if number is None:
            raise Refused(name, "a whole number", advice=_AT_SOURCE, got=part)
    written = "-".join(f"{one:04}" if at == 0 else f"{one:02}" for at, one in enumerate(numbers))
    if len(numbers) < len(names) and rule == "refuse":
        advice = "complete it, or say in the map which day partial_dates stand for"
        raise Refused(names[len(numbers)], "a whole date of birth", advice=advice, got=None)
    try:
        return day_of_part(written, rule).toordinal()
    except ValueError as error:
        where = names[len(numbers) - 1]
        raise Refused(where, "a date of birth", advice=_AT_SOURCE, got=written) from error


def meaning_of(concept: object, means: dict[int, str], column: str) -> str | None:
    """Return what a concept means; None for NULL and for 0, unless the map says what 0 means.

    Args:
        concept: The concept.
        means: What each means.
        column: The column of the database.

    Raises:
        Refused: It is no concept that the map declares.
    """
    number = _NO_CONCEPT if concept is None else whole_number(concept)
    if number in means:
        return means[number]
    if number == _NO_CONCEPT:
        return None
    advice = "say in the map what each concept means: means = { CONCEPT = 'value' }"
    raise Refused(column, "a concept that the map declares", advice=advice, got=concept)


def measured_number(
    column: MeasurementColumn, value: object, unit: object, operator: object
) -> float | None:
    """Return a number of a measurement in the column's unit; None if it has none.

    Args:
        column: Says which unit that is, and how others become it.
        value: `value_as_number`.
        unit: `unit_concept_id`.
        operator: `operator_concept_id`.

    Raises:
        Refused: The number is not finite, in a unit that the map does not convert, or a limit.
    """
    if value is None or not _is_exact(column, operator):
        return None
    concept = _NO_CONCEPT if unit is None else whole_number(unit)
    how = None if concept is None else column.conversion(concept)
    if how is None:
        raise Refused(
            "unit_concept_id",
            f"the unit {column.unit}",
            advice=f"say in the map how it is converted: units = {{ {concept} = FACTOR }}",
            got=unit,
        )
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number * how.factor + how.plus
    raise Refused("value_as_number", "a finite number", advice=_AT_SOURCE, got=value)


def _is_exact(column: MeasurementColumn, operator: object) -> bool:
    """Return whether a number counts: one with an operator such as < may be left out, or refused.

    Raises:
        Refused: It is a limit that the map refuses, or the operator is unknown.
    """
    concept = _NO_CONCEPT if operator is None else whole_number(operator)
    if concept in (_NO_CONCEPT, _EQUALS):
        return True
    if concept not in _LIMITS:
        expected = "the concept of one of =, <, <=, >, >="
        raise Refused("operator_concept_id", expected, advice=_AT_SOURCE, got=operator)
    if column.limits == "refuse":
        raise Refused(
            "operator_concept_id",
            "a value, not a limit",
            advice="say in the map what limits are: limits = 'bound' or 'leave-out'",
            got=operator,
        )
    return column.limits == "bound"
