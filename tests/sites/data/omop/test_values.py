"""What a cell says does not depend on the type in which a database holds it."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.omop.values import NO_DAY, day_of_birth, days_of, whole_number, whole_numbers


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_a_whole_number_is_exact_as_an_integer_and_as_a_decimal(number: int) -> None:
    assert whole_number(number) == whole_number(Decimal(number)) == number
    found, none = whole_numbers([number, None])
    assert found.tolist() == [number, 0]
    assert none.tolist() == [False, True]


@pytest.mark.parametrize("cell", [1.0, True, "1", None, 2**63, Decimal("1.5"), Decimal("NaN")])
def test_what_may_have_been_rounded_is_no_whole_number(cell: object) -> None:
    assert whole_number(cell) is None


@given(day=st.dates(), time=st.times())
def test_a_day_is_the_same_as_a_date_as_a_time_and_as_text(day: date, time: object) -> None:
    both = datetime.fromisoformat(f"{day.isoformat()}T{time}")
    cells = [day, both, day.isoformat(), str(both), both.isoformat()]
    assert days_of(cells).tolist() == [day.toordinal()] * len(cells)


@pytest.mark.parametrize("cell", [None, 1717200000, 1.7e9, "01.02.2024", "2024-13-01", "2024-02"])
def test_what_is_no_date_is_no_day(cell: object) -> None:
    assert days_of([cell]).tolist() == [NO_DAY]


def test_who_has_no_year_of_birth_has_no_day() -> None:
    assert day_of_birth(None, 1, 1, "middle") is None
