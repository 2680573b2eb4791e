"""A number and its noun agree, everywhere: one function writes them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consortium.wording.formatting import count_with_noun
from privacy.errors import number_of

ROOT = Path(__file__).parents[1]
SAYS = (  # what a person reads while operating; the report has its own tests
    "consortium/audit",
    "consortium/cli",
    "consortium/deployment",
    "consortium/model",
    "consortium/site",
    "privacy",
    "scenarios/cli",
    "scenarios/experiments",
    "strategies",
)
NOUNS = (
    "bundle column entry line log mistake member person record restart round row run site step "
    "upload window"
)
FORMS = {"entry": ("entry", "entries")}


@pytest.mark.parametrize("noun", NOUNS.split())
@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_is_singular_and_none_and_two_are_plural(number: int, noun: str) -> None:
    one, more = FORMS.get(noun, (noun, f"{noun}s"))
    assert number_of(number, noun) == f"{number} {one if number == 1 else more}"


@given(st.integers(0, 10**9), st.sampled_from(NOUNS.split()))
def test_a_page_and_a_terminal_say_the_same(number: int, noun: str) -> None:
    assert count_with_noun(number, noun).replace("\N{NO-BREAK SPACE}", " ") == number_of(
        number, noun
    )


def plurals_by_hand(code: str) -> Iterator[str]:
    """Yield where a text has a computed number before a noun that is always in the plural."""
    nouns = "|".join(FORMS.get(noun, ("", f"{noun}s"))[1] for noun in NOUNS.split())
    for text in ast.walk(ast.parse(code)):
        if not isinstance(text, ast.JoinedStr):
            continue
        for number, words in zip(text.values, text.values[1:], strict=False):
            if not isinstance(number, ast.FormattedValue) or is_constant(number.value):
                continue
            said = ast.literal_eval(words) if isinstance(words, ast.Constant) else ""
            if re.match(rf" (?:{nouns})\b", str(said)):
                yield f"line {text.lineno}: {said}"


def is_constant(value: ast.expr) -> bool:
    """Return whether a value is one of the constants in capitals, whose noun is known."""
    return isinstance(value, ast.Name) and value.id.isupper()


@pytest.mark.parametrize("folder", SAYS)
def test_no_number_stands_before_a_noun_that_is_always_plural(folder: str) -> None:
    found = {
        path.name: list(plurals_by_hand(path.read_text()))
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_plural_by_hand_is_found() -> None:
    """Otherwise the test above proves nothing."""
    assert list(plurals_by_hand("f'finished: {n} rounds, {m}'")) == ["line 1:  rounds, "]
    assert list(plurals_by_hand("f'{WATCHED} rounds and {n} roundsmen'")) == []
