"""What a schema for tables could be, for a person to correct: a guess, never used for a run."""

import difflib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consortium.cli.options import parse_data_source
from consortium.site.data_check import DataCheck, check_data
from privacy.errors import ConsortiumError, look_up
from sites.data.guesses import date_forms, reader_with_signs, texts_of
from sites.data.reading import DateForm, Reading

MOST_VALUES = 12  # different ones of a column that are proposed as categories or classes
_ALIKE = 0.75
_OF_A_PERSON = re.compile(
    r"(patient|person|subject|client|customer|borrower|participant|case|fall|proband)(en|s)?"
    r"(_?(id|no|nr|number))?|id|mrn|pid"
)
_NAMES_SOMEBODY = re.compile(r".*_(id|no|nr|number|key)")
_AFFIRMED = frozenset({"yes", "y", "true", "positive", "dead", "ja", "oui", "si", "sí", "sim"})
_DAYS = (-73_000.0, 36_500.0)  # from 1770 to 2069, counted from 1970-01-01


class NoProposal(ConsortiumError, ValueError, code="no-proposal"):
    """Nothing can be proposed for tables; the message says what a person has to say first."""


@dataclass(frozen=True, kw_only=True)
class ProposedColumn:
    """A column as its cells look.

    Args:
        ours: Its name in the schema.
        theirs: Its name in the table of each site that has it.
        values: Its values if they are few.
        bounds: Rounded outwards, if its values are numbers or dates.
        dates: How its dates are written, by site, if they are dates.
        missing: Whether a value is missing somewhere.
        n_texts: Number of different texts.
    """

    ours: str
    theirs: Mapping[str, str]
    values: tuple[str, ...]
    bounds: tuple[float, float] | None
    dates: Mapping[str, DateForm]
    missing: bool
    n_texts: int

    @property
    def is_category(self) -> bool:
        """Whether it is read as categories: of two numbers, 0 and 1 say, each means something."""
        two_numbers = len(self.values) == 2 and not self.dates
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
        words: How each table has to be read, by site, but for its columns.
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


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The cells of a column in one table: its different texts, and what they may be."""

    texts: Sequence[str]
    numbers: Sequence[float]
    form: DateForm | None
    missing: bool


def propose(
    sites: Mapping[str, str],
    words: Sequence[str] = (),
    *,
    person: str | None = None,
    label: str | None = None,
) -> Proposal:
    """Return what a schema for the tables of some sites could be.

    Columns of two tables are one if they have the same name, or nearly.

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
    columns = tuple(
        _column(ours, theirs, {site: checks[site] for site in theirs}, n_sites=len(sites))
        for ours, theirs in _same_columns(checks).items()
    )
    named = {name: one for one in columns for name in (*one.theirs.values(), one.ours)}
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


def _same_columns(checks: Mapping[str, DataCheck]) -> dict[str, dict[str, str]]:
    """Return the name of each column at each site that has it, by the name in the schema."""
    found: dict[str, dict[str, str]] = {}
    for site, check in checks.items():
        left = {str(name): _plain_name(str(name)) for name in check.frame.columns}
        known = {ours: _known_as(ours, theirs, left) for ours, theirs in found.items()}
        for ours, theirs in known.items():
            if theirs in left:
                found[ours][site] = theirs
                del left[theirs]
        for theirs, plain in left.items():
            ours = _alike(plain, _without(found, site)) or _name_of_its_own(plain, found)
            found.setdefault(ours, {})[site] = theirs
    return found


def _known_as(ours: str, theirs: Mapping[str, str], left: Mapping[str, str]) -> str:
    """Return the column of a table that has a known name; "" if none has."""
    same = [name for name in left if name in theirs.values()]
    plain = [name for name, its in left.items() if its == ours]
    return next(iter([*same, *plain]), "")


def _alike(plain: str, known: Sequence[str]) -> str:
    """Return the known name that is nearly the same, or has a unit more or less; "" if none is."""
    longer = [one for one in known if one.startswith(f"{plain}_") or plain.startswith(f"{one}_")]
    close = difflib.get_close_matches(plain, known, n=1, cutoff=_ALIKE)
    return next(iter([*close, *(longer if len(longer) == 1 else [])]), "")


def _without(found: Mapping[str, Mapping[str, str]], site: str) -> list[str]:
    """Return the columns of other sites that this one seems to lack."""
    return [ours for ours, theirs in found.items() if theirs and site not in theirs]


def _plain_name(name: str) -> str:
    """Return a name as a schema allows it: small letters without accents, and digits."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[\u0300-\u036f]", "", letters)).strip("_")
    return plain[:60] if plain[:1].isalpha() else f"column_{plain}"[:60].rstrip("_")


def _name_of_its_own(plain: str, taken: Mapping[str, object]) -> str:
    made, number = plain, 2
    while made in taken:
        made, number = f"{plain[:57]}_{number}", number + 1
    return made


def _column(
    ours: str, theirs: Mapping[str, str], checks: Mapping[str, DataCheck], *, n_sites: int
) -> ProposedColumn:
    parts = {site: _cells(check, theirs[site]) for site, check in checks.items()}
    full = {site: part for site, part in parts.items() if part.texts}
    distinct = [*dict.fromkeys(text for part in full.values() for text in part.texts)]
    numeric = bool(full) and all(part.numbers for part in full.values())
    numbers = [number for part in full.values() for number in part.numbers] if numeric else []
    dates = {site: part.form for site, part in full.items() if part.form}
    dated = not numeric and len(dates) == len(full)
    return ProposedColumn(
        ours=ours,
        theirs=theirs,
        values=_in_order(distinct, numeric=numeric) if len(distinct) <= MOST_VALUES else (),
        bounds=_rounded_outwards(numbers) if numeric else (_DAYS if dated and dates else None),
        dates=dates if dated else {},
        missing=len(parts) < n_sites or any(part.missing for part in parts.values()),
        n_texts=len(distinct),
    )


def _cells(check: DataCheck, name: str) -> _Cells:
    texts = texts_of(check.frame[name])
    distinct = [str(text) for text in texts.unique()]
    numbers = _numbers(distinct, check.reading)
    forms = [] if numbers or not distinct else date_forms(texts, check.reading)
    return _Cells(
        texts=distinct,
        numbers=numbers,
        form=forms[0] if forms else None,
        missing=len(texts) < len(check.frame),
    )


def _numbers(distinct: Sequence[str], reading: Reading) -> list[float]:
    """Return the numbers that texts are; none unless all of them are."""
    read = reader_with_signs(reading, (reading.decimal, reading.thousands))
    numbers = [value for value in map(read, distinct) if isinstance(value, float)]
    return numbers if len(numbers) == len(distinct) else []


def _in_order(distinct: Sequence[str], *, numeric: bool) -> tuple[str, ...]:
    """Return values in an order that a person would choose: what is affirmed last."""
    if numeric:
        return tuple(sorted(distinct, key=lambda text: float(text.replace(",", "."))))
    return tuple(sorted(distinct, key=lambda text: (text.casefold() in _AFFIRMED, text)))


def _rounded_outwards(numbers: Sequence[float]) -> tuple[float, float]:
    """Return bounds with one digit that tells: they say little of who is in the tables."""
    low, high = min(numbers), max(numbers)
    size = max(high - low, abs(low), abs(high), 1.0)
    step = 10.0 ** math.floor(math.log10(size))
    below, above = math.floor(low / step) * step, math.ceil(high / step) * step
    return below, above if above > below else below + step


def _person(columns: Sequence[ProposedColumn]) -> ProposedColumn | None:
    named = [one for one in columns if _OF_A_PERSON.fullmatch(one.ours)]
    numbered = [
        one for one in columns if _NAMES_SOMEBODY.fullmatch(one.ours) and not one.is_readable
    ]
    return next(iter([*named, *numbered]), None)


def _label(columns: Sequence[ProposedColumn], whose: ProposedColumn | None) -> ProposedColumn:
    fit = [one for one in columns if one is not whose and len(one.values) > 1 and not one.missing]
    if not fit:
        raise NoProposal("no column has a few values and none missing: say --label COLUMN")
    return fit[-1]
