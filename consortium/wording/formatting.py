"""Format numbers, names and lists for readers."""

import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

from privacy.errors import number_of

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"

# control, format (which turns the direction of writing), and half a surrogate pair
_MOST = 3  # decimals of a figure below 100
_FEW_DIGITS = 0.1  # below it, three decimals are fewer than three digits that tell
_LONGEST = 8  # decimals, before powers of ten are easier to read
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})

_SMALL = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_KNOWN_NOUNS = frozenset(
    {"bank", "branch", "clinic", "hospital", "insurer", "lab", "lender", "office", "practice"}
)
_NOUN_OF_TASK = {
    "credit": "lender",
    "diagnosis": "hospital",
    "survival": "institution",
    "clinical-notes": "hospital",
    "clinical-entities": "hospital",
    "market-sentiment": "bank",
}
_BYTES = ("bytes", "kB", "MB", "GB", "TB")

Plain: TypeAlias = str | int | float | bool


def escape_controls(text: str) -> str:
    """Return a text of somebody else's as a terminal may show it.

    Guarantee: no control character is left but line ends and tabs, so that a log, a bundle or a
    charter from another party cannot move the cursor, change colours, or set the window's title.
    """
    return "".join(
        one if one in "\n\t" or unicodedata.category(one) not in _UNSEEN else _escape(one)
        for one in text
    )


def _escape(one: str) -> str:
    return one.encode("unicode_escape", "backslashreplace").decode()


def count(number: int) -> str:
    """Return a count with its thousands separated: 12,345."""
    return f"{number:,}"


def part_in_words(part: int, whole: int, nouns: str) -> str:
    """Return a part of a whole in words: all five banks, none of the five banks, two of five."""
    everyone = f"{count_in_words(whole)} {nouns}"
    if part == whole:
        return f"all {everyone}"
    return f"{count_in_words(part)} of {everyone}" if part else f"none of the {everyone}"


def count_in_words(number: int) -> str:
    """Return a count up to twelve in words and a larger one in digits."""
    return _SMALL[number] if 0 <= number < len(_SMALL) else count(number)


def count_with_noun(number: int, noun: str) -> str:
    """Return a count with its noun: 1 round, 20 rounds."""
    return number_of(number, noun).replace(" ", SPACE, 1)


def moment(at: str, *, seconds: bool = False) -> str:
    """Return a time in ISO 8601 as a person writes it: 2026-03-04 05:06, with seconds if asked."""
    return at[: 19 if seconds else 16].replace("T", " ")


def short_run(identifier: str) -> str:
    """Return as much of a run's identifier as tells runs apart."""
    return identifier[:12]


def name_list(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def figure(value: float, unit: str = "") -> str:
    """Return a figure with its significant digits and its unit.

    Without a unit it is a metric, whose third decimal is the last that matters.
    """
    if unit:
        return amount(value, unit)
    size = abs(value)
    return _text_with_sign(f"{size:,.{_decimals(size, _MOST)}f}", value)


def amount(value: float, unit: str = "") -> str:
    """Return a value in the unit of a column, with three digits that tell even where it is small.

    A rate is written as 0.05, and its standard deviation may be 0.0076.
    """
    size = abs(value)
    text = f"{size:,.{_decimals(size, 2 if unit else _MOST)}f}"
    if 0 < size < _FEW_DIGITS:
        digits = 2 - _magnitude(size)
        text = f"{size:.{digits}f}" if digits <= _LONGEST else f"{size:.2e}"
    return _text_with_sign(text, value) + (f"{SPACE}{unit}" if unit else "")


def difference(value: float, unit: str = "") -> str:
    """Return a figure with an explicit sign, plus included."""
    text = figure(value, unit)
    return text if value < 0 else f"+{text}"


def interval(low: float, high: float, unit: str = "") -> str:
    """Return an interval as its two ends: 0.71-0.79 with a dash, or "to" below zero."""
    between = " to " if low < 0 else DASH
    return f"{figure(low)}{between}{figure(high, unit)}"


def bound(error: float, value: float, unit: str = "") -> str:
    """Return an error bound with its significant digits, or that no shown digit can be wrong."""
    if error == 0.0:
        return "exact"
    if figure(value - error, unit) == figure(value, unit) == figure(value + error, unit):
        return "exact as shown"
    digits = max(0, 1 - _magnitude(error))
    return f"{PLUS_MINUS}{SPACE}{error:,.{digits}f}" + (f"{SPACE}{unit}" if unit else "")


def percent(share: float) -> str:
    """Return a share as a percentage: 7.4 %, 32 %."""
    value = 100 * share
    digits = 1 if 0 < value < 10 or 99 < value < 100 else 0
    return f"{value:.{digits}f}{SPACE}%"


def size(number_of_bytes: float) -> str:
    """Return a number of bytes in decimal units: 12.3 MB is 12.3 million bytes."""
    value, unit = float(number_of_bytes), 0
    while value >= 999.5 and unit < len(_BYTES) - 1:
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 99.95 else 0
    return f"{value:,.{digits}f}{SPACE}{_BYTES[unit]}"


def duration(seconds: float) -> str:
    """Return a duration: 0.24 s, 6.2 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 1 else 1}f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{minutes // 60}{SPACE}h {minutes % 60}{SPACE}min"


def readable_name(name: str) -> str:
    """Return a column's name as words: `sale_price` is sale price."""
    return name.replace("_", " ").strip()


def title_in_sentence(title: str) -> str:
    """Return a title as written inside a sentence; an abbreviation keeps its capitals."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def capitalized_text(text: str) -> str:
    """Return text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def setting_text(plain: Plain) -> str:
    """Return a setting's value as written in a config file."""
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def member_noun(names: Sequence[str], task: str) -> str:
    """Return the singular noun for a member: shared by all names, usual for the task, or "site"."""
    words = [set(name.replace("_", "-").replace(".", "-").split("-")) for name in names]
    shared = set.intersection(*words) & _KNOWN_NOUNS if words else set()
    return min(shared, default=_NOUN_OF_TASK.get(task, "site"))


def _text_with_sign(size_text: str, signed_value: float) -> str:
    negative = signed_value < 0 and any(digit in "123456789" for digit in size_text)
    return f"{MINUS}{size_text}" if negative else size_text


def _decimals(size: float, most: int) -> int:
    return 0 if size >= 1000 else 1 if size >= 100 else most if size >= 1 else _MOST


def _magnitude(error: float) -> int:
    """Return the power of ten of the first digit: -3 for 0.0013."""
    return int(f"{error:e}".partition("e")[2])
