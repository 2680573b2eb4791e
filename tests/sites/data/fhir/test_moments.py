"""Dates of FHIR are days as they are written, and moments that can be ordered."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.data.fhir.moments import moment_of
from sites.data.mapped.days import PartialDates
from sites.data.mapped.refusals import Refused

TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


@given(TIMES, st.integers(-14 * 60, 14 * 60))
def test_a_time_is_its_instant_and_the_day_as_written(time: datetime, minutes: int) -> None:
    sign, rest = ("-" if minutes < 0 else "+"), divmod(abs(minutes), 60)
    written = f"{time.isoformat()}{sign}{rest[0]:02}:{rest[1]:02}"
    found = moment_of(written, "refuse", path="x")
    instant = time.replace(tzinfo=UTC) - timedelta(minutes=minutes)
    assert found.day == time.toordinal()
    assert found.instant_s == pytest.approx(
        (instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    )


@pytest.mark.parametrize(
    ("written", "rule", "day"),
    [
        ("2024", "middle", date(2024, 7, 2)),
        ("2024", "first", date(2024, 1, 1)),
        ("2024", "last", date(2024, 12, 31)),
        ("2024-02", "middle", date(2024, 2, 16)),
        ("2024-02", "first", date(2024, 2, 1)),
        ("2024-02", "last", date(2024, 2, 29)),
        ("2024-02-03", "refuse", date(2024, 2, 3)),
        ("2024-02-03T10:00:00", "refuse", date(2024, 2, 3)),
        ("2024-02-03T23:59:59.123456789Z", "refuse", date(2024, 2, 3)),
    ],
)
def test_a_part_of_a_date_stands_for_the_day_of_the_rule(
    written: str, rule: PartialDates, day: date
) -> None:
    assert moment_of(written, rule, path="x").day == day.toordinal()


@pytest.mark.parametrize(
    "written",
    [
        *("", "24", "2024-1", "2024-13", "2024-02-30", "20240203", "2024-W01", "03.02.2024"),
        *("2024-02-03 10:00", "2024-02-03T25:00:00Z", "0000", 2024, None, "\u0662024", "2024-02\n"),
    ],
)
def test_what_is_no_date_of_fhir_is_refused(written: object) -> None:
    with pytest.raises(Refused) as refused:
        moment_of(written, "middle", path="effectiveDateTime")
    assert refused.value.element == "effectiveDateTime"


@pytest.mark.parametrize("written", ["2024", "2024-02"])
def test_a_part_of_a_date_is_refused_where_the_map_says_so(written: str) -> None:
    with pytest.raises(Refused, match="birthDate"):
        moment_of(written, "refuse", path="birthDate")
