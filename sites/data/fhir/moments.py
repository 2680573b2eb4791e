"""Dates of FHIR: days as they are written, and moments to order by."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from sites.data.mapped.days import PartialDates, day_of_part
from sites.data.mapped.refusals import Refused

_FORM = re.compile(
    r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_DAY_LENGTH = 10  # of YYYY-MM-DD
_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()


class Moment(NamedTuple):
    """When something was.

    Args:
        day: The day as it is written, whatever the time zone: days since 0001-01-01, which is 1.
        instant_s: Seconds since 1970-01-01 in UTC; a day begins with the day in UTC.
    """

    day: int
    instant_s: float


def moment_of(written: object, rule: PartialDates, *, path: str) -> Moment:
    """Return the moment that a date or dateTime of FHIR says.

    Guarantee: a time without an offset is read as UTC. A year or a month stands for one of its
    days, as the rule says: its middle is 2 July, or the 16th.

    Args:
        written: The element.
        rule: Which day a part of a date stands for.
        path: Of the element.

    Raises:
        Refused: It is no date of FHIR, or a part of one where the rule refuses these.
    """
    if not isinstance(written, str) or not _FORM.fullmatch(written):
        raise _no_date(written, path)
    try:
        if len(written) > _DAY_LENGTH:
            return _moment_of_time(datetime.fromisoformat(written))
        return _moment_of_day(written, rule, path)
    except ValueError as error:
        raise _no_date(written, path) from error


def _no_date(written: object, path: str) -> Refused:
    return Refused(
        path, "a date such as 2024-05-31", advice="correct it at its source", got=written
    )


def _moment_of_time(time: datetime) -> Moment:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return Moment(time.toordinal(), (aware - _EPOCH).total_seconds())


@lru_cache(maxsize=65_536)
def _moment_of_day(written: str, rule: PartialDates, path: str) -> Moment:
    if len(written) < _DAY_LENGTH and rule == "refuse":
        raise Refused(
            path,
            "a whole date",
            advice="complete it, or say in the map which day partial_dates stand for",
            got=written,
        )
    day = day_of_part(written, rule).toordinal()
    return Moment(day, (day - _EPOCH_DAY) * _DAY_S)
