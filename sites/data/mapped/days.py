"""Days that a part of a date stands for, windows of days, and ages."""

from calendar import monthrange
from datetime import date
from typing import Literal, TypeAlias

PartialDates: TypeAlias = Literal["middle", "first", "last", "refuse"]
Days: TypeAlias = tuple[int, int] | Literal["always"]

_MIDDLE_DAY = 16
_MIDDLE_OF_YEAR = (7, 2)


def day_of_part(written: str, rule: PartialDates) -> date:
    """Return the day that a date, a month or a year such as 1950-03 stands for.

    Args:
        written: It; whole dates are taken as they are.
        rule: Which day a part stands for; not `refuse`.

    Raises:
        ValueError: There is no such date.
    """
    year, *rest = map(int, written.split("-"))
    if len(rest) > 1:
        return date(year, *rest)
    if rest:
        last = (rest[0], monthrange(year, rest[0])[1])
        days = {"first": (rest[0], 1), "middle": (rest[0], _MIDDLE_DAY), "last": last}
    else:
        days = {"first": (1, 1), "middle": _MIDDLE_OF_YEAR, "last": (12, 31)}
    return date(year, *days[rule])


def completed_years(born: int, day: int) -> int:
    """Return the age on a day in completed years; who was born on 29 February ages on 1 March."""
    birth, then = date.fromordinal(born), date.fromordinal(day)
    return then.year - birth.year - ((then.month, then.day) < (birth.month, birth.day))


def require_ordered_window(days: Days | None) -> None:
    """Refuse a window that begins after it ends, with a ValueError."""
    if isinstance(days, tuple) and days[0] > days[1]:
        raise ValueError(f"within_days begins after it ends: {list(days)}")


def is_within(days: Days, day: int) -> bool:
    """Return whether a day, from the index day, is one of those that count."""
    return days == "always" or days[0] <= day <= days[1]
