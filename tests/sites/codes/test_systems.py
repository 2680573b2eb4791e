"""Codes have one normal form, and stand in one group."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sites.codes.chapters import CHAPTERS
from sites.codes.systems import (
    GROUPS,
    CodeSystem,
    NotACode,
    group_of,
    is_group,
    loinc_check_digit,
    normal_form,
)

_FORMS = {
    "icd-9-cm": r"[0-9]{3}\.?[0-9]{0,2}|V[0-9]{2}\.?[0-9]{0,2}|[0-9]{1,3}\.[0-9]{1,2}|e812",
    "icd-10": r" ?[A-Za-z][0-9]{2}(\.?[0-9]{1,2})?[†*+]?",
    "icd-10-cm": r"[A-Za-z][0-9][0-9ABab](\.?[0-9A-Za-z]{1,4})? ?",
    "icd-10-gm": r"[A-Z][0-9]{2}(\.?[0-9]{1,2}|\.?-)?[†*+!]?",
    "atc": r" ?[A-DGa-d][0-9]{2}[A-Za-z][A-Z][0-9]{2}",
    "loinc": r"0?[1-9][0-9]{0,5}-[0-9]",
}


@pytest.mark.parametrize(
    ("system", "text", "normal"),
    [
        ("icd-9-cm", "25000", "250.00"),
        ("icd-9-cm", "8.45", "008.45"),
        ("icd-9-cm", "v1.5", "V01.5"),
        ("icd-9-cm", "E8120", "E812.0"),
        ("icd-10", "g01*", "G01"),
        ("icd-10-gm", "E11.30†", "E11.30"),
        ("icd-10-gm", "I21.-", "I21"),
        ("icd-10-gm", "B95.6!", "B95.6"),
        ("icd-10-cm", "s72001a", "S72.001A"),
        ("icd-10-cm", "C4A.0", "C4A.0"),
        ("atc", " a10ba02", "A10BA02"),
        ("loinc", "2160-0", "2160-0"),
        ("loinc", "04548-4", "4548-4"),
    ],
)
def test_a_code_has_the_normal_form_that_its_system_writes(
    system: CodeSystem, text: str, normal: str
) -> None:
    """Capitals, the dot, no marks; the zeros of a dotted ICD-9 code come back."""
    assert normal_form(system, text) == normal


@pytest.mark.parametrize(
    ("system", "text"),
    [
        ("icd-9-cm", "84"),  # 008.4 without its zeros, or 084
        ("icd-9-cm", "2500"[:2] + "."),
        ("icd-10", "I2.10"),
        ("icd-10-cm", "D90"),  # in no chapter of ICD-10-CM; one of ICD-10-GM
        ("icd-10-cm", "I21.4*"),
        ("atc", "A1"),
        ("atc", "E01"),
        ("loinc", "2160-1"),
        ("loinc", "2160"),
    ],
)
def test_what_is_no_code_is_refused(system: CodeSystem, text: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(NotACode, match=f"no code of {system}"):
        normal_form(system, text)


@pytest.mark.parametrize("system", list(GROUPS))
@given(data=st.data())
def test_a_code_stands_in_the_group_of_its_normal_form(
    system: CodeSystem, data: st.DataObject
) -> None:
    """The normal form of a normal form is itself; so is a group that is a code."""
    text = data.draw(st.from_regex(_FORMS[system], fullmatch=True))
    try:
        normal = normal_form(system, text)
        groups = {group: group_of(system, group, text) for group in GROUPS[system]}
    except NotACode:  # the form of none, or one between two blocks
        return
    assert normal_form(system, normal) == normal
    for group, found in groups.items():
        assert found == group_of(system, group, normal)
        assert is_group(system, group, found)


@given(st.from_regex(r"[1-9][0-9]{2,6}", fullmatch=True), st.data())
def test_a_check_digit_catches_slips_of_a_hand(digits: str, data: st.DataObject) -> None:
    """One wrong digit, and two neighbours swapped, unless they are 0 and 9."""
    place = data.draw(st.integers(0, len(digits) - 1))
    other = data.draw(st.sampled_from("0123456789"))
    wrong = digits[:place] + other + digits[place + 1 :]
    assert (loinc_check_digit(wrong) == loinc_check_digit(digits)) == (wrong == digits)
    at = data.draw(st.integers(0, len(digits) - 2))
    first, second = digits[at], digits[at + 1]
    swapped = digits[:at] + second + first + digits[at + 2 :]
    same = first == second or {first, second} == {"0", "9"}
    assert (loinc_check_digit(swapped) == loinc_check_digit(digits)) == same


def test_chapters_are_apart() -> None:
    """No category stands in two chapters, and each has as many as were published."""
    assert {name: len(found) for name, found in CHAPTERS.items()} == {
        "icd-9-cm": 19,
        "icd-10": 22,
        "icd-10-cm": 22,
        "icd-10-gm": 22,
    }
    for chapters in CHAPTERS.values():
        ranges = sorted(tuple(one.split("-")) for one in chapters if len(one) == 7)
        for earlier, later in pairwise(ranges):
            assert earlier[1] < later[0]
