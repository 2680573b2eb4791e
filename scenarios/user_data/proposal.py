"""What a schema for tables could be, for a person to correct: a guess, never used for a run."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from consortium.cli.options import parse_data_source
from consortium.site.data_check import DataCheck, check_data
from privacy.errors import ConsortiumError, look_up
from sites.data.guesses import date_forms, reader_with_signs, texts_of
from sites.data.reading import DateForm, Reading

MOST_VALUES = 12  # different ones of a column that are proposed as categories or classes
_OF_A_PERSON = re.compile(
    r"(patient|person|subject|client|customer|borrower|participant)(en|s)?([_.-]?(id|no|nr|number))?"
    r"|id|mrn|pid"
)


class NoProposal(ConsortiumError, ValueError, code="no-proposal"):
    """Nothing can be proposed for tables; the message says what a person has to say first."""


@dataclass(frozen=True, kw_only=True)
class ProposedColumn:
    """A column as its cells look.

    Args:
        theirs: Its name in the tables.
        ours: Its name in the schema.
        values: Its values if they are few.
        bounds: Rounded outwards, if its values are numbers or dates.
        date: How its dates are written, if they are dates.
        missing: Whether a value is missing somewhere.
        n_texts: Number of different texts.
    """

    theirs: str
    ours: str
    values: tuple[str, ...]
    bounds: tuple[float, float] | None
    date: DateForm | None
    missing: bool
    n_texts: int

    @property
    def is_category(self) -> bool:
        """Whether it is read as categories: of two numbers, 0 and 1 say, each means something."""
        two_numbers = len(self.values) == 2 and self.date is None
        return two_numbers or (len(self.values) > 1 and self.bounds is None)

    @property
    def is_readable(self) -> bool:
        """Whether a model can read it."""
        return self.is_category or self.bounds is not None


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What is proposed for tables.

    Args:
        sites: The table of each site, as it was typed.
        words: How the tables have to be read, by site.
        columns: What their columns look like.
        person: The column that seems to say whose a row is; None if none does.
        label: The column that seems to be what is learnt.
    """

    sites: Mapping[str, str]
    words: Mapping[str, Sequence[str]]
    columns: Sequence[ProposedColumn]
    person: ProposedColumn | None
    label: ProposedColumn

    @property
    def others(self) -> tuple[ProposedColumn, ...]:
        """The columns besides those of the person and the label."""
        return tuple(one for one in self.columns if one not in (self.person, self.label))


def propose(
    sites: Mapping[str, str],
    words: Sequence[str] = (),
    *,
    person: str | None = None,
    label: str | None = None,
) -> Proposal:
    """Return what a schema for the tables of some sites could be.

    Args:
        sites: A table for each site: a file, or `url::query`.
        words: What is known of how to read them (`sites.data.reading.WORDS`).
        person: The column that says whose a row is; by default the one whose name says so.
        label: The column that is learnt; by default the last one of few values.

    Raises:
        NoProposal: A named column is not there, no column can be the label, or the numbers of a
            table can be read in two ways.
        ConsortiumError: A table cannot be read.
    """
    checks = {site: _checked(text, words) for site, text in sites.items()}
    columns = _columns(list(checks.values()))
    named = {one.theirs: one for one in columns}
    whose = _person(columns) if person is None else _named(person, named)
    learnt = _label(columns, whose) if label is None else _named(label, named)
    told = {site: (*words, *check.proposed) for site, check in checks.items()}
    return Proposal(sites=sites, words=told, columns=columns, person=whose, label=learnt)


def _checked(text: str, words: Sequence[str]) -> DataCheck:
    check = check_data(parse_data_source(text), words, None)
    if check.open:
        raise NoProposal(f"{text} can be read in more than one way: say --data {check.open[0]}")
    return check


def _named(name: str, columns: Mapping[str, ProposedColumn]) -> ProposedColumn:
    return look_up(name, columns, kind="column", refusal=NoProposal)


def _columns(checks: Sequence[DataCheck]) -> tuple[ProposedColumn, ...]:
    theirs = dict.fromkeys(str(name) for check in checks for name in check.frame.columns)
    found: list[ProposedColumn] = []
    for name in theirs:
        holding = [check for check in checks if name in check.frame.columns]
        texts = pd.concat([texts_of(check.frame[name]) for check in holding])
        n_rows = sum(len(check.frame) for check in checks)
        ours = _agreeable_name(name, [one.ours for one in found])
        found.append(_column(name, ours, texts, holding[0].reading, missing=len(texts) < n_rows))
    return tuple(found)


def _column(
    theirs: str, ours: str, texts: "pd.Series[Any]", reading: Reading, *, missing: bool
) -> ProposedColumn:
    distinct = [str(text) for text in texts.unique()]
    numbers = _numbers(distinct, reading)
    forms = [] if numbers or not distinct else date_forms(texts, reading)
    return ProposedColumn(
        theirs=theirs,
        ours=ours,
        values=_in_order(distinct, numbers) if len(distinct) <= MOST_VALUES else (),
        bounds=_rounded_outwards(numbers) if numbers else _bounds_of_dates(forms),
        date=forms[0] if forms else None,
        missing=missing,
        n_texts=len(distinct),
    )


def _numbers(distinct: Sequence[str], reading: Reading) -> list[float]:
    """Return the numbers that texts are; none unless all of them are."""
    read = reader_with_signs(reading, (reading.decimal, reading.thousands))
    numbers = [value for value in map(read, distinct) if isinstance(value, float)]
    return numbers if len(numbers) == len(distinct) else []


def _in_order(distinct: Sequence[str], numbers: Sequence[float]) -> tuple[str, ...]:
    if not numbers:
        return tuple(sorted(distinct))
    return tuple(text for _, text in sorted(zip(numbers, distinct, strict=True)))


def _rounded_outwards(numbers: Sequence[float]) -> tuple[float, float]:
    """Return bounds with one digit that tells: they say little of who is in the tables."""
    low, high = min(numbers), max(numbers)
    size = max(high - low, abs(low), abs(high), 1.0)
    step = 10.0 ** math.floor(math.log10(size))
    below, above = math.floor(low / step) * step, math.ceil(high / step) * step
    return below, above if above > below else below + step


def _bounds_of_dates(forms: Sequence[DateForm]) -> tuple[float, float] | None:
    """Return the days of two centuries, counted from 1970-01-01."""
    return (-73_000.0, 36_500.0) if forms else None


def _agreeable_name(name: str, taken: Sequence[str]) -> str:
    """Return a name as a schema allows it, and that no other column has."""
    plain = re.sub(r"[^a-z0-9_.-]+", "_", name.casefold()).strip("_")
    start = plain if plain[:1].isalpha() else f"column_{plain}".rstrip("_")
    made, number = start[:60], 2
    while made in taken:
        made, number = f"{start[:57]}_{number}", number + 1
    return made


def _person(columns: Sequence[ProposedColumn]) -> ProposedColumn | None:
    return next((one for one in columns if _OF_A_PERSON.fullmatch(one.ours)), None)


def _label(columns: Sequence[ProposedColumn], whose: ProposedColumn | None) -> ProposedColumn:
    fit = [one for one in columns if one is not whose and len(one.values) > 1 and not one.missing]
    if not fit:
        raise NoProposal("no column has a few values and none missing: say --label COLUMN")
    return fit[-1]
