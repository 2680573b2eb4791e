"""A part of a date stands for a day, and ages and windows are counted in whole days and years."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.mapped.days import (
    PartialDates,
    completed_years,
    day_of_part,
    is_within,
    require_ordered_window,
)

DAYS = st.dates(date(1850, 1, 1), date(2150, 1, 1))


@given(DAYS, st.sampled_from(["first", "middle", "last"]))
def test_a_part_stands_for_a_day_within_it_and_a_whole_date_for_itself(
    day: date, rule: PartialDates
) -> None:
    assert day_of_part(day.isoformat(), rule) == day
    month = day_of_part(f"{day:%Y-%m}", rule)
    assert (month.year, month.month) == (day.year, day.month)
    assert day_of_part(f"{day:%Y}", rule).year == day.year


@given(DAYS, st.integers(0, 40_000), st.integers(0, 400))
def test_who_is_older_by_days_has_no_fewer_years(born: date, days: int, more: int) -> None:
    first = born.toordinal()
    assert completed_years(first, first + days) <= completed_years(first, first + days + more)


@pytest.mark.parametrize(
    ("born", "day", "age"),
    [
        (date(2000, 2, 29), date(2001, 2, 28), 0),
        (date(2000, 2, 29), date(2001, 3, 1), 1),
        (date(2000, 5, 1), date(2010, 5, 1), 10),
        (date(2000, 5, 1), date(2010, 4, 30), 9),
        (date(2000, 5, 1), date(2000, 4, 30), -1),
    ],
)
def test_years_are_completed_on_birthdays(born: date, day: date, age: int) -> None:
    assert completed_years(born.toordinal(), day.toordinal()) == age


def test_both_ends_of_a_window_count() -> None:
    assert [is_within((-2, 1), day) for day in (-3, -2, 1, 2)] == [False, True, True, False]
    assert is_within("always", -10_000)


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    require_ordered_window((0, 0))
    require_ordered_window("always")
    with pytest.raises(ValueError, match="begins after it ends"):
        require_ordered_window((1, 0))
