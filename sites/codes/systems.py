"""Codes of diagnoses, drugs and tests: their normal forms, and the groups that they stand in.

A code is judged by its form and by the chapter it stands in. Whether a classification has that
very code is not looked up: versions differ by year, and the form does not.
"""

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from sites.codes.blocks import BLOCKS, OUT_OF_ORDER
from sites.codes.chapters import CHAPTERS, IcdSystem, chapter_of, range_of

CodeSystem: TypeAlias = Literal["icd-9-cm", "icd-10", "icd-10-cm", "icd-10-gm", "atc", "loinc"]
CodeGroup: TypeAlias = Literal[
    "chapter", "block", "category", "level-1", "level-2", "level-3", "level-4", "level-5", "code"
]

_ICD_GROUPS: tuple[CodeGroup, ...] = ("chapter", "block", "category", "code")
_ATC_LENGTHS: Mapping[CodeGroup, int] = {
    "level-1": 1,
    "level-2": 3,
    "level-3": 4,
    "level-4": 5,
    "level-5": 7,
}
GROUPS: Mapping[CodeSystem, tuple[CodeGroup, ...]] = {
    "icd-9-cm": _ICD_GROUPS,
    "icd-10": _ICD_GROUPS,
    "icd-10-cm": _ICD_GROUPS,
    "icd-10-gm": _ICD_GROUPS,
    "atc": tuple(_ATC_LENGTHS),
    "loinc": ("code",),
}

_ICD_10_FORMS: Mapping[CodeSystem, re.Pattern[str]] = {
    "icd-10": re.compile(r"([A-Z][0-9]{2})(?:\.?([0-9]{1,2})|\.?-)?[†*+]?"),
    "icd-10-gm": re.compile(r"([A-Z][0-9]{2})(?:\.?([0-9]{1,2})-?|\.?-)?[†*+!]?"),
    "icd-10-cm": re.compile(r"([A-Z][0-9A][0-9AB])(?:\.?([0-9A-Z]{1,4}))?"),
}
# Without a dot, a code that lost its zeros would be another code.
_ICD_9_PLAIN = re.compile(r"([0-9]{3}|V[0-9]{2})\.?([0-9]{0,2})|(E[0-9]{3})\.?([0-9]?)")
_ICD_9_DOTTED = re.compile(r"([VE]?)([0-9]{1,3})\.([0-9]{1,2})")
_ATC = re.compile(r"[ABCDGHJLMNPRSV](?:[0-9]{2}(?:[A-Z](?:[A-Z](?:[0-9]{2})?)?)?)?")
_LOINC = re.compile(r"0*([1-9][0-9]{0,6})-([0-9])")


class NotACode(ValueError):
    """A text is no code of a system, or it says too little to tell its group."""


def normal_form(system: CodeSystem, text: str) -> str:
    """Return a code as its system writes it: capitals, the dot of the ICD, no marks, no blanks.

    Guarantee: the normal form of a normal form is itself. Marks of dagger (`†`, `+`), asterisk and
    `!` and a trailing `-` are left out. The zeros of an ICD-9-CM code that has its dot are
    restored, as spreadsheets drop them; without the dot nobody knows how many were lost, and the
    code is refused.

    Raises:
        NotACode: The text is none of the system. For LOINC, the check digit may be wrong.
    """
    code = text.strip().upper()
    match system:
        case "icd-9-cm":
            found = _icd_9(code)
        case "atc":
            found = code if _ATC.fullmatch(code) else None
        case "loinc":
            found = _loinc(code)
        case _:
            form = _ICD_10_FORMS[system].fullmatch(code)
            found = form and _dotted(form[1], form[2])
    if found is None or (system in CHAPTERS and _chapter(system, found) is None):
        raise NotACode(
            f"{text!r} is no code of {system}: see docs/data.md for the forms it may have"
        )
    return found


def group_of(system: CodeSystem, group: CodeGroup, text: str) -> str:
    """Return the group of a code: its chapter, block, category, ATC level, or itself.

    Guarantee: a code and its normal form have the same group, and a group that is a code itself
    is its own group.

    Raises:
        NotACode: The text is no code of the system, is shorter than the group, or stands in no
            block.
    """
    code = normal_form(system, text)
    match group:
        case "chapter":
            return _chapter(system, code) or ""
        case "block":
            return _block(system, code)
        case "category":
            return code.partition(".")[0]
        case "code":
            return code
        case _:
            length = _ATC_LENGTHS[group]
            if len(code) < length:
                raise NotACode(f"{text!r} has fewer than the {length} characters of {group}")
            return code[:length]


def is_group(system: CodeSystem, group: CodeGroup, value: str) -> bool:
    """Return whether a text is the name of such a group."""
    if group in ("chapter", "block"):
        ranges = CHAPTERS if group == "chapter" else BLOCKS
        return value in ranges[cast("IcdSystem", system)]
    try:
        return group_of(system, group, value) == value
    except NotACode:
        return False


def loinc_check_digit(digits: str) -> int:
    """Return the check digit of a LOINC code, modulus 10 (LOINC Users' Guide, appendix C).

    It catches every wrong digit, and every swap of two neighbours except 0 and 9.
    """
    doubled = [
        int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(digits[::-1])
    ]
    return -sum(value // 10 + value % 10 for value in doubled) % 10


def _chapter(system: CodeSystem, code: str) -> str | None:
    return chapter_of(cast("IcdSystem", system), code.partition(".")[0])


def _block(system: CodeSystem, code: str) -> str:
    category = code.partition(".")[0]
    out_of_order = OUT_OF_ORDER.get(category) if system == "icd-10-cm" else None
    found = out_of_order or range_of(BLOCKS[cast("IcdSystem", system)], category)
    if found is None:
        raise NotACode(f"{code!r} stands in no block of {system}")
    return found


def _dotted(category: str, rest: str | None) -> str:
    return f"{category}.{rest}" if rest else category


def _icd_9(code: str) -> str | None:
    if plain := _ICD_9_PLAIN.fullmatch(code):
        return _dotted(plain[1] or plain[3], plain[2] or plain[4])
    if not (dotted := _ICD_9_DOTTED.fullmatch(code)):
        return None
    letter, whole, rest = dotted.groups()
    padded = letter + whole.zfill(2 if letter == "V" else 3)
    return _dotted(padded, rest) if _ICD_9_PLAIN.fullmatch(f"{padded}.{rest}") else None


def _loinc(code: str) -> str | None:
    form = _LOINC.fullmatch(code)
    return f"{form[1]}-{form[2]}" if form and loinc_check_digit(form[1]) == int(form[2]) else None
